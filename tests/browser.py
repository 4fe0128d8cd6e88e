"""Pages in headless Chromium: console errors and requests that leave the machine fail the test that opened the page.

``conftest.py`` makes the fixtures (``chromium``, ``open_page``, ``axe``) known to all tests; they skip, saying so,
where there is no Chromium or no npm.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request

OpenPage = Callable[..., "Page"]
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_LOCAL = {"127.0.0.1", "localhost", "::1"}
_IN_PAGE = {"file", "data", "blob", "about"}
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
_TIMEOUT = 20_000
"""Milliseconds until an element that does not appear fails the test; the machine may be busy."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The machine's own Chromium, headless.

    Of a module, not of the session: while it is there, an event loop runs in the thread of the tests.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser, expected one of: {', '.join(_BROWSERS)}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """See ``watched``."""
    with watched(chromium) as open_at:
        yield open_at


@contextmanager
def watched(chromium: Browser) -> Iterator[OpenPage]:
    """``open_page(url, allow=(), **options)``: a new page at that address, in a context of its own.

    ``options`` are those of Playwright's ``new_context`` (``color_scheme="dark"``, ``viewport={"width": 360, "height":
    740}``). Errors in the console and requests to other hosts fail the test at its end, but for console errors that
    match one of the regular expressions ``allow``.
    """
    complaints: list[str] = []
    contexts = []

    def open_at(url: str, allow: tuple[str, ...] = (), **options: Any) -> Page:
        context = chromium.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(_TIMEOUT)
        page = context.new_page()

        def complain(text: str) -> None:
            if not any(re.search(pattern, text) for pattern in allow):
                complaints.append(text)

        def see_request(request: Request) -> None:
            if not _stays_here(request.url):
                complaints.append(f"request: {request.url}")

        def see_line(line: ConsoleMessage) -> None:
            if line.type == "error":
                complain(f"console: {line.text}")

        def see_dialog(dialog: Dialog) -> None:
            complain(f"dialog: {dialog.message}")  # of alert(1) in a name
            dialog.dismiss()

        context.on("request", see_request)
        page.on("console", see_line)
        page.on("dialog", see_dialog)
        page.on("pageerror", lambda error: complain(f"page: {error}"))
        page.goto(url)
        return page

    try:
        yield open_at
    finally:
        for context in contexts:
            context.close()
    assert not complaints, "\n".join(complaints)


def _stays_here(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in _IN_PAGE or parts.hostname in _LOCAL


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, from npm's registry."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm, from which axe-core comes")
    folder = tmp_path_factory.mktemp("axe")
    try:
        packed = subprocess.run([npm, "pack", "axe-core@4"], cwd=folder, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        pytest.skip("npm's registry does not answer, from which axe-core comes")
    if packed.returncode:
        pytest.skip(f"npm has no axe-core: {packed.stderr.strip().splitlines()[-1:]}")
    with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
        file = archive.extractfile("package/axe.min.js")
        assert file is not None
        return file.read().decode()


_SETTLED = """() => Promise.all(document.getAnimations()
    .filter(each => Number.isFinite(each.effect.getComputedTiming().endTime))
    .map(each => each.finished.catch(() => null)))"""
"""Waits until what moves or changes colour has come to its end; what turns for ever is let be."""


def assert_accessible(page: Page, axe: str) -> None:
    """No violation of WCAG 2.1 A or AA that axe-core finds in the page as it stands."""
    page.evaluate(_SETTLED)  # half-way through a change of colour there is a contrast that nobody reads
    page.evaluate(f"() => {{ {axe} }}")
    found = page.evaluate("rules => axe.run(document, {runOnly: rules})", _RULES)
    assert found["passes"], "nothing was checked"
    assert not found["violations"], "\n".join(
        f"{each['id']}: {each['help']}: {node['html']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    )
