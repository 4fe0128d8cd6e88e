"""The documentation as a site: it is built without a warning, whole, and reading it asks nothing of another machine.

``TAGSEG_SITE`` names a site that is built already (``make docs``); otherwise it is built here, if there is Zensical.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

import tagseg

from .browser import OpenPage, assert_accessible

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
"""Attributes whose address a browser fetches when it shows a page."""
NOT_FETCHED = {"canonical", "alternate", "next", "prev", "author", "license", "edit"}
"""Relations of a ``link`` that is not fetched."""


class Page(HTMLParser):
    """What a page of HTML fetches, where its links lead, and its ids."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values["id"]} if "id" in values else set()
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in FETCHED and values.get(FETCHED[tag]) and values.get("rel") not in NOT_FETCHED:
            self.fetched.append(values[FETCHED[tag]])


@pytest.fixture(scope="module")
def site() -> Iterator[Path]:
    built = os.environ.get("TAGSEG_SITE")
    if built:
        yield ROOT / built
        return
    pytest.importorskip("zensical", reason="the site is built by Zensical, of tagseg[docs]")
    command = [str(Path(sys.executable).parent / "zensical"), "build", "--strict"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    yield ROOT / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    found = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    assert site.resolve() / "index.html" in found
    return found


def test_no_page_fetches_anything_from_another_machine(pages: dict[Path, Page]) -> None:
    elsewhere = {
        path.name: [one for one in page.fetched if re.match(r"([a-z]+:)?//", one)] for path, page in pages.items()
    }
    assert {name: found for name, found in elsewhere.items() if found} == {}


def test_no_style_fetches_anything_from_another_machine(site: Path) -> None:
    styles = list(site.rglob("*.css"))
    assert styles
    for style in styles:
        addresses = re.findall(r"url\(\s*[\"']?([^)\"']+)|@import\s+[\"']([^\"']+)", style.read_text(encoding="utf-8"))
        assert not [one for pair in addresses for one in pair if re.match(r"(https?:)?//", one)], style


def test_links_and_anchors_of_built_pages_lead_somewhere(pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        if path.name == "404.html":  # its links start at the root of a server
            continue
        for link in page.links + page.fetched:
            if re.match(r"[a-z]+:|//", link):
                continue
            place, _, anchor = unquote(link).partition("#")
            target = (path.parent / place.partition("?")[0]).resolve() if place else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (anchor and not anchor.startswith("__") and anchor not in pages[target].ids):
                broken.append(f"{path.name}: {link}")
    assert broken == []


def test_the_reference_has_every_public_name(pages: dict[Path, Page], site: Path) -> None:
    ids = pages[(site / "reference.html").resolve()].ids
    missing = [name for name in tagseg.__all__ if not ids & {f"tagseg.{name}", f"tagseg.presets.{name}"}]
    assert missing == []


def test_the_three_parts_are_in_the_navigation(site: Path) -> None:
    text = (site / "index.html").read_text(encoding="utf-8")
    tabs = re.search(r'class="md-tabs__list".*?</ul>', text, re.DOTALL)
    assert tabs
    assert all(part in tabs.group() for part in ("Use", "Understand", "Develop"))


def test_pages_open_from_disk_without_a_request_to_another_machine(site: Path, open_page: OpenPage) -> None:
    """In the browser, as scripts might ask for more than the text of a page shows; search alone needs a server."""
    page = open_page((site / "index.html").resolve().as_uri(), allow=("ERR_FILE_NOT_FOUND",))
    first = {"Use": "five_minutes", "Understand": "pictures", "Develop": "architecture"}
    for part, name in first.items():
        page.get_by_role("link", name=part, exact=True).first.click()
        page.wait_for_url(f"**/{name}.html")
        assert page.locator("h1").count() == 1


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served on this machine; from disk axe-core could not read the styles."""
    handler = functools.partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and prints nothing."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["results", "reference"])
def test_pages_are_accessible(address: str, open_page: OpenPage, axe: str, name: str, scheme: str) -> None:
    assert_accessible(open_page(f"{address}/{name}.html", color_scheme=scheme), axe)
