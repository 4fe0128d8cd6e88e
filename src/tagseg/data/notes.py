"""What a reader noticed: every decision about the data that the user did not write down literally, with its count."""

from __future__ import annotations

from dataclasses import dataclass, field

from tagseg.errors import list_some

EXAMPLES = 3
"""Names that a note keeps."""

MISSING, RESPELLED = "missing images", "respelled tags"
"""Kinds of notes that ``tagseg check`` says in its own words."""


@dataclass(frozen=True)
class Note:
    """One thing that was noticed, left out, or read other than literally; shown at the start of each verb.

    Attributes:
        text: what, in a few words, e.g. ``images named by an upload prefix, matched without it``.
        count: how many images, rows, files or annotations it concerns; 0 where it concerns the data as a whole.
        examples: a few of their names.
        warning: whether it may well be a mistake in the data.
        kind: one of the kinds above, or empty.
    """

    text: str
    count: int = 0
    examples: tuple[str, ...] = ()
    warning: bool = False
    kind: str = field(default="", compare=False)

    @staticmethod
    def of(text: str, names: list[str], warning: bool = False, kind: str = "") -> tuple[Note, ...]:
        """A note about these names; none if there are no names."""
        return (Note(text, len(names), tuple(names[:EXAMPLES]), warning, kind),) if names else ()

    def as_json(self) -> dict[str, object]:
        """What is saved of it."""
        return {"text": self.text, "count": self.count, "examples": list(self.examples), "warning": self.warning}

    def __str__(self) -> str:
        """``12 images named …: a, b, c and 9 more``."""
        if not self.count:
            return self.text
        if not self.examples:
            return f"{self.count} {self.text}"
        names = [*self.examples, *[""] * (self.count - len(self.examples))]
        return f"{self.count} {self.text}: {list_some(names, EXAMPLES)}"
