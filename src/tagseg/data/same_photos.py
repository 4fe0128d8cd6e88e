"""Photos that lie in several class folders, byte by byte the same: one photo with several tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tagseg.data.notes import Note
from tagseg.data.resolver import without_extension
from tagseg.data.same_content import same_content
from tagseg.data.tags import TagRow, TagTable


@dataclass(frozen=True)
class SamePhotos:
    """Which photos stand for others.

    Attributes:
        kept_for: photo that was left out → the one that is kept for it; relative to the folder.
        notes: what was joined, and photos that are in two splits.
    """

    kept_for: Mapping[str, str]
    notes: tuple[Note, ...] = ()

    def masks(self, of: Mapping[str, Path]) -> dict[str, Path]:
        """Masks by the names of images, with those of photos that were left out given to the ones that are kept."""
        given = dict(of)
        for left_out, kept in self.kept_for.items():
            mask = given.pop(without_extension(left_out), None)
            if mask is not None:
                given.setdefault(without_extension(kept), mask)
        return given


def joined(table: TagTable, folder: Path) -> tuple[TagTable, SamePhotos]:
    """Join the rows of photos of a split that have the same bytes and other tags; the first one is kept.

    Only files of the same size are read.

    Args:
        table: rows of images that are relative to the folder.
        folder: the folder.
    """
    groups = same_content(folder / row.image for row in table.rows)
    kept_for: dict[str, str] = {}
    rows: dict[str, TagRow] = {row.image: row for row in table.rows}
    several: list[str] = []
    denied: list[str] = []
    leaked: list[str] = []
    for group in groups:
        by_split: dict[str, list[TagRow]] = {}
        for index in group:
            by_split.setdefault(table.rows[index].split, []).append(table.rows[index])
        if len(by_split) > 1:
            leaked.append(" = ".join(same[0].image for same in by_split.values()))
        for same in by_split.values():
            if len({row.labels for row in same}) == 1:
                continue
            first = same[0]
            shown = " = ".join(row.image for row in same)
            (several if all(row.labels for row in same) else denied).append(shown)
            tags = tuple(dict.fromkeys(label for row in same for label in row.labels))
            rows[first.image] = first._replace(labels=tags)
            for row in same[1:]:
                kept_for[row.image] = first.image
                del rows[row.image]
    notes = (
        *Note.of("photos are in several class folders (same bytes), read as one photo with several tags", several),
        *Note.of(
            "photos are in a class folder and in one of images of nothing (same bytes), read as tagged", denied, True
        ),
        *Note.of("photos are in several splits (same bytes), so scores may be too good", leaked, True),
    )
    return replace(table, rows=tuple(rows.values())), SamePhotos(kept_for, notes)
