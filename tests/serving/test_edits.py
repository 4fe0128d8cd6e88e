"""The log of corrections: undo and redo against a list of states, and what a killed process had done."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.serving.database import Database
from tagseg.serving.edits import SHARE, UNCHANGED, Edits, PhotoEdit

from ..conftest import assert_refused


@pytest.fixture
def edits(tmp_path):
    database = Database(tmp_path / "corrections.sqlite")
    yield Edits(database)
    database.close()


def tag(edits, id, *tags):
    return edits.change(id, f"{id} {tags}", lambda edit, keep: replace(edit, tags=tags))


def test_a_correction_is_there_until_it_is_undone(edits):
    assert edits.photo("a") == UNCHANGED
    assert tag(edits, "a", "cat") == PhotoEdit(("cat",))
    tag(edits, "a", "cat", "dog")
    tag(edits, "b")
    assert edits.photos() == {"a": PhotoEdit(("cat", "dog")), "b": PhotoEdit(())}
    assert edits.undo() == "b ()"
    assert edits.undo() == "a ('cat', 'dog')"
    assert edits.photo("a") == PhotoEdit(("cat",))
    assert edits.redo() == "a ('cat', 'dog')"
    assert [(entry.text, entry.undone) for entry in edits.history()] == [
        ("a ('cat',)", False), ("a ('cat', 'dog')", False), ("b ()", True)
    ]  # fmt: skip


def test_nothing_to_undo_or_to_redo(edits):
    assert edits.undo() is None
    assert edits.redo() is None
    tag(edits, "a", "cat")
    assert edits.redo() is None
    edits.undo()
    assert edits.undo() is None
    assert edits.photo("a") == UNCHANGED


def test_what_changes_nothing_is_no_action(edits):
    tag(edits, "a", "cat")
    tag(edits, "a", "cat")
    edits.set_share(None, None, "estimated")
    assert len(edits.history()) == 1


def test_the_share_is_undone_as_well(edits):
    assert edits.share(0.4) == 0.4
    edits.set_share(0.2, 0.4, "20 %")
    edits.set_share(None, 0.4, "estimated")
    assert edits.share(0.4) is None
    edits.undo()
    assert edits.share(0.4) == 0.2
    edits.undo()
    assert edits.share(0.4) == 0.4


def test_a_kept_mask_comes_back_with_redo(edits):
    edits.change("a", "accepted", lambda edit, keep: PhotoEdit(edit.tags, "accepted", keep(b"the mask")))
    edits.undo()
    assert edits.photo("a").mask is None
    edits.redo()
    number = edits.photo("a").mask
    assert number is not None
    assert edits.mask(number) == b"the mask"


def test_an_error_within_an_action_leaves_nothing_of_it(edits):
    def fails(edit, keep):
        keep(b"lost")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        edits.change("a", "fails", fails)
    assert edits.history() == ()
    assert edits.database.rows("SELECT * FROM masks") == []
    tag(edits, "a", "cat")  # the file is not left in the middle of something


def test_each_change_has_a_higher_revision(edits):
    seen = []
    for step in (lambda: tag(edits, "a", "cat"), lambda: tag(edits, "b"), edits.undo, edits.undo, edits.redo):
        step()
        seen.append(max(edits.revisions().values()))
    assert seen == sorted(set(seen))


def test_names_in_other_bytes_are_no_error(edits):
    edits.change("a", "caf\udce9.jpg", lambda edit, keep: replace(edit, tags=("caf\udce9",)))
    assert edits.photo("a").tags == ("caf\udce9",)
    assert edits.history()[0].text == "caf?.jpg"


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), st.just(("undo", "")), st.just(("redo", "")),
        st.tuples(st.just(SHARE), st.sampled_from([0.1, 0.2, None])),
    ), max_size=25,
)  # fmt: skip


@settings(max_examples=25)
@given(STEPS)
def test_it_does_what_a_list_of_states_does(steps):
    database = Database(Path(":memory:"))
    edits, place = Edits(database), 0
    states: list[tuple[dict, float | None]] = [({}, None)]
    for what, value in steps:
        photos, share = states[place]
        if what == "undo":
            place -= edits.undo() is not None
        elif what == "redo":
            place += edits.redo() is not None
        else:
            if what == SHARE:
                edits.set_share(value, None, "share")
                new = photos, value
            else:
                tag(edits, what, value)
                new = {**photos, what: (value,)}, share
            if new != states[place]:
                states, place = [*states[: place + 1], new], place + 1
        found = {id: edit.tags for id, edit in edits.photos().items() if edit != UNCHANGED}
        assert (found, edits.share(None)) == states[place]
    assert len(edits.history()) == len(states) - 1
    database.close()


KILLED = """
import sys
from pathlib import Path
from dataclasses import replace
from pathlib import Path
from tagseg.serving.database import Database
from tagseg.serving.edits import Edits
edits = Edits(Database(Path(sys.argv[1])))
for number in range(1_000_000):
    mask = bytes([number % 256]) * 50_000
    edits.change("a", str(number), lambda edit, keep: replace(edit, tags=(str(number),), mask=keep(mask)))
    print(number, flush=True)
"""


def test_what_a_killed_process_had_done_is_there(tmp_path):
    path = tmp_path / "corrections.sqlite"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(20)]
    os.kill(process.pid, signal.SIGKILL)
    said += process.stdout.readlines()  # those that it had said before it was killed
    assert process.wait() == -signal.SIGKILL
    last = int([line for line in said if line.endswith("\n")][-1])
    database = Database(path)  # its lock went with it
    edits, edit = Edits(database), Edits(database).photo("a")
    assert edit.tags is not None
    assert edit.mask is not None
    found = int(edit.tags[0])
    assert found >= last, "all that was answered is there"
    assert len(edits.history()) == found + 1
    assert edits.mask(edit.mask) == bytes([found % 256]) * 50_000
    assert json.loads(database.rows("SELECT after FROM actions ORDER BY id DESC")[0][0])["tags"] == [str(found)]
    database.close()


@pytest.mark.parametrize(
    ("table", "value"),
    [
        ("subjects", '{"tags": 1, "state": "open", "mask": null}'),
        ("subjects", '{"tags": null, "state": "wrong", "mask": null}'),
        ("subjects", '{"tags": null}'),
        ("subjects", "[" * 50_000),
        ("subjects", 7),
    ],
)
def test_a_damaged_correction_is_one_line_that_names_the_file(tmp_path, table, value):
    database = Database(tmp_path / "corrections.sqlite")
    with database.writing() as cursor:
        cursor.execute("INSERT INTO subjects VALUES ('a', ?, 1)", (value,))
    edits = Edits(database)
    for read in (edits.photos, lambda: edits.photo("a"), lambda: edits.change("a", "text", lambda old, _: old)):
        assert_refused(read, "corrections.sqlite: damaged (", "move it away to begin without any")
    database.close()


def test_a_share_and_a_mask_that_are_none_are_told(tmp_path):
    database = Database(tmp_path / "corrections.sqlite")
    with database.writing() as cursor:
        cursor.execute("INSERT INTO subjects VALUES ('', '{\"share\": 3}', 1)")
    edits = Edits(database)
    assert_refused(lambda: edits.share(None), "a share that is none, the share 3")
    assert_refused(lambda: edits.set_share(0.5, None, "text"), "a share that is none")
    assert_refused(lambda: edits.mask(9), "the accepted mask 9 is not there")
    database.close()
