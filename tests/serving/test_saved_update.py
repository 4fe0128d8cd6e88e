"""What an update leaves: there again as it was, and as if it never was where the run's network is another one."""

import pytest

from tagseg.serving.database import Database
from tagseg.serving.edits import PhotoEdit
from tagseg.serving.saved_update import SavedUpdate, Snapshot
from tagseg.serving.worst_first import Standing

NOTHING = Snapshot({}, None)
SOME = Snapshot({"a": PhotoEdit(("cat",), "accepted", 7), "b": PhotoEdit(None, "rejected"), "c": PhotoEdit(())}, 0.25)
QUEUE = {"a": Standing(0.3, 0.7, "thin"), "b": Standing(-0.1, 1.0, "nothing stands out")}


@pytest.fixture
def database(tmp_path):
    opened = Database(tmp_path / "corrections.sqlite")
    yield opened
    opened.close()


def test_a_snapshot_as_text_and_back():
    assert Snapshot.of(SOME.as_json()) == SOME
    assert Snapshot.of(NOTHING.as_json()) == NOTHING


def test_what_differs():
    assert SOME.differing(SOME) == 0
    assert SOME.differing(NOTHING) == NOTHING.differing(SOME) == 4
    assert Snapshot({"a": PhotoEdit()}, None).differing(NOTHING) == 0, "undone"
    assert Snapshot({**SOME.edits, "a": PhotoEdit(("dog",))}, 0.25).differing(SOME) == 1


def test_a_saved_update_is_there_again(database):
    saved = SavedUpdate(database, "run")
    assert (saved.number, saved.heads, saved.queue(), saved.trained_on(NOTHING)) == (0, None, {}, NOTHING)
    saved.save(1, b"heads", SOME, QUEUE)
    first = saved.revision
    again = SavedUpdate(database, "run")
    assert (again.number, again.heads, again.queue(), again.trained_on(NOTHING)) == (1, b"heads", QUEUE, SOME)
    again.save(2, b"others", NOTHING, {"a": QUEUE["b"]})
    assert (again.number, again.heads, again.queue()) == (2, b"others", {"a": QUEUE["b"]})
    assert again.revision > first


def test_an_update_of_another_network_counts_as_none(database):
    SavedUpdate(database, "run").save(1, b"heads", SOME, QUEUE)
    other = SavedUpdate(database, "trained again")
    assert (other.number, other.heads, other.queue(), other.trained_on(NOTHING)) == (0, None, {}, NOTHING)
    before = other.revision
    other.save_queue(QUEUE)
    assert (other.number, other.heads, other.queue()) == (0, None, QUEUE)
    assert other.revision > before, "masks are others by now"


def test_a_queue_alone_keeps_the_update(database):
    saved = SavedUpdate(database, "run")
    saved.save(1, b"heads", SOME, {})
    saved.save_queue(QUEUE)
    assert (saved.number, saved.heads, saved.queue(), saved.trained_on(NOTHING)) == (1, b"heads", QUEUE, SOME)
