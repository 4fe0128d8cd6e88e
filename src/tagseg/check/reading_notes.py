"""What readers noticed by themselves: their warnings are findings too."""

from __future__ import annotations

from collections.abc import Iterable

from tagseg.check.finding import Finding
from tagseg.data.notes import Note


def note_findings(notes: Iterable[Note]) -> tuple[Finding, ...]:
    """The warnings of readers, but for those that a check says in its own words; the text names the way out."""
    return tuple(
        Finding(
            "read_with_doubt", "warning", max(1, note.count), note.examples, note.text, "correct it if it is not meant"
        )
        for note in dict.fromkeys(notes)
        if note.warning and not note.kind
    )
