"""Links of the documentation and the README lead to files and headings that exist; pages are in the navigation."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])
NOT_ON_THE_SITE = {DOCS / "photos" / "CREDITS.md"}
"""Pages that others link, outside the navigation."""
LINK = re.compile(r"\]\(\s*<?([^()\s>]+(?:\([^()\s]*\)[^()\s]*)*)>?(?:\s+\"[^\"]*\")?\s*\)")


def prose(text: str) -> str:
    """Text without blocks and spans of code, in which nothing is a link."""
    text = re.sub(r"^(```+)[^\n]*\n.*?^\1[ \t]*$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", lambda span: re.sub(r"[\[\]()]", "_", span.group()), text)


def anchors(text: str) -> set[str]:
    """Anchors of a page's headings, as Python-Markdown makes them: of two equal ones the second has a number."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), re.M):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\s-]", "", heading).strip().lower()
        name, number = re.sub(r"\s", "-", slug), 0
        while name in found:
            number += 1
            name = f"{slug}_{number}"
        found |= {name, re.sub(r"-+", "-", name)}
    return found


def broken(page: Path) -> list[str]:
    """Links of a page that lead nowhere."""
    wrong = []
    for link in LINK.findall(prose(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            wrong.append(f"{link}: no such file")
        elif DOCS in page.parents and DOCS not in target.parents:
            wrong.append(f"{link}: outside docs/, so the site would not have it")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")):
            wrong.append(f"{link}: no such heading")
    return wrong


def in_navigation(entry: object) -> list[str]:
    """Pages below an entry of the navigation."""
    if isinstance(entry, str):
        return [entry]
    parts = entry.values() if isinstance(entry, dict) else entry
    assert isinstance(parts, list | type({}.values()))
    return [page for part in parts for page in in_navigation(part)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_what_is_broken_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = "# One\n\n## `b` [link](page.md) two\n\n[a](#one) [b](#b-link-two) [c](none.md) [d](#three) `[e](none.md)` [f](https://x)"
    page.write_text(text + "\n\n```md\n[g](none.md)\n# Three\n```\n\n![h](p(1).png)\n")
    assert broken(page) == ["none.md: no such file", "#three: no such heading", "p(1).png: no such file"]


def test_the_navigation_has_every_page_once() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    pages = in_navigation(config["nav"])
    assert len(pages) == len(set(pages))
    assert {DOCS / page for page in pages} == set(DOCS.rglob("*.md")) - NOT_ON_THE_SITE


def test_pages_that_code_names_exist() -> None:
    sources = [file for folder in ("src", "tests", "benchmarks", "tools") for file in (ROOT / folder).rglob("*.py")]
    named = {name for file in sources for name in re.findall(r"\bdocs/\w+\.md\b", file.read_text(encoding="utf-8"))}
    assert "docs/method.md" in named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_photo_has_its_credit_and_its_tags() -> None:
    photos = {path.name for path in (DOCS / "photos").glob("*.jpg")}
    table = (DOCS / "photos" / "CREDITS.md").read_text(encoding="utf-8")
    credited = re.findall(r"^\| `([^`]+)` \| [^|]+ \| (?:public domain|CC0) \|", table, re.MULTILINE)
    tagged = [line.split(",")[0] for line in (DOCS / "photos/labels.csv").read_text().splitlines()[1:]]
    assert photos
    assert photos == set(credited) == set(tagged)
