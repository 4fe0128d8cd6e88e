"""The page of a report: its sections in order, as one file of bounded size."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from tagseg.errors import TagsegError
from tagseg.files import replacing
from tagseg.reporting.measured_run import MeasuredRun
from tagseg.reporting.page.comparison_section import comparison_section
from tagseg.reporting.page.curve_section import curve_section
from tagseg.reporting.page.data_section import data_section
from tagseg.reporting.page.gallery_section import GallerySection
from tagseg.reporting.page.html import Html, element, join
from tagseg.reporting.page.mistake_sections import (
    boundary_section,
    certainty_section,
    confusion_section,
    size_section,
)
from tagseg.reporting.page.repeat_section import repeat_section
from tagseg.reporting.page.score_section import class_section, score_section

LIMIT = 10_000_000
"""Bytes of a report, at most."""


def save_page(path: Path, runs: Sequence[MeasuredRun], limit: int = LIMIT) -> None:
    """Write the page.

    Args:
        path: the file.
        runs: the first one chose the photos of the gallery.
        limit: bytes; photos are left out of the gallery, and the page says so, until it fits.

    Raises:
        TagsegError: a photo that cannot be read any more, a page that is too large without any photo, or a file that
            cannot be written.
    """
    content = page(runs, limit).encode("utf-8")
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def page(runs: Sequence[MeasuredRun], limit: int = LIMIT) -> str:
    """The text of the page; arguments as of ``save_page``."""
    gallery = GallerySection(runs)
    wanted = most = max((len(names) for names in runs[0].groups.values()), default=0)
    tables = _sections(runs)
    while True:
        cut = None if most == wanted else _cut(most, wanted, limit)
        text = _document(runs, [tables[0], cut, gallery(most), tables[1]])
        size = len(text.encode("utf-8"))
        if size <= limit:
            return text
        if not most:
            raise TagsegError(
                f"the report would be {size / 1e6:.1f} MB, expected at most {limit / 1e6:.0f}: report on fewer runs"
            )
        most //= 2


def _sections(runs: Sequence[MeasuredRun]) -> tuple[list[Html | None], list[Html | None]]:
    """What stands before the gallery, and what after it."""
    before = [
        comparison_section(runs), score_section(runs), class_section(runs), confusion_section(runs),
        boundary_section(runs), size_section(runs), certainty_section(runs),
    ]  # fmt: skip
    return before, [curve_section(runs), data_section(runs), repeat_section(runs)]


_HEADINGS = {
    "comparison": "Comparison", "scores": "Scores", "classes": "Classes", "confusion": "Confusion",
    "boundary": "Boundary", "sizes": "Size", "certainty": "Certainty", "gallery": "Gallery",
    "curves": "Training", "data": "Data",
    "repeat": "Repeat",
}  # fmt: skip


def _document(runs: Sequence[MeasuredRun], content: list[object]) -> str:
    style, script = (_part(name) for name in ("report.css", "report.js"))
    title = f"tagseg report: {', '.join(one.run.name for one in runs)}"
    body = join(content)
    there = {name: text for name, text in _HEADINGS.items() if f'<section id="{name}"' in body}  # no name looks so
    links = [element("a", text, href=f"#{name}") for name, text in there.items()]
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", style),
    )
    switch = element("button", "Dark or light", type="button", id="theme")
    header = element("header", element("h1", title), element("p", "; ".join(one.headline() for one in runs)), switch)
    whole = element(
        "html", head,
        element("body", header, element("nav", links, aria_label="Sections"), element("main", body),
                element("script", script)),
        lang="en",
    )  # fmt: skip
    return f"<!doctype html>\n{whole}\n"


def _cut(most: int, wanted: int, limit: int) -> Html:
    text = (
        f"The gallery shows {most} of {wanted} photos of each group: with all of them this file would be larger than "
        f"{limit / 1e6:g} MB."
    )
    return element("p", text, class_="warning")


def _part(name: str) -> Html:
    """A file of the page; it holds no ``</``, so that it needs no escaping."""
    return Html(files("tagseg.reporting.page").joinpath(name).read_text("utf-8"))


def _hash(text: str) -> str:
    """What a content security policy allows a text by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"
