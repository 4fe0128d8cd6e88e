"""``data/notes.py``: what was noticed, in a line."""

from __future__ import annotations

from tagseg.data.notes import Note


def test_a_note_about_no_names_is_no_note() -> None:
    """Nothing is said of what did not happen."""
    assert Note.of("rows left out", []) == ()


def test_a_note_names_three_and_counts_the_others() -> None:
    """Enough to find the trouble."""
    (note,) = Note.of("rows left out", ["a", "b", "c", "d", "e"], warning=True)
    assert str(note) == "5 rows left out: a, b, c and 2 more"
    assert note.warning


def test_a_note_may_concern_the_data_as_a_whole() -> None:
    """Without a count or names there is only the text."""
    assert str(Note("tags are separated by ','")) == "tags are separated by ','"
    assert str(Note("objects without outline", 7)) == "7 objects without outline"
