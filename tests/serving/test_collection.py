"""The photos of a run: what is shown, what is corrected, what is refused, and what a second process is told."""

import threading

import numpy as np
import pytest

from tagseg.inference.result import Result
from tagseg.serving.collection import Collection
from tagseg.serving.photo_row import OutOfDate, UnknownPhoto

from ..conftest import CLASSES, assert_refused
from .conftest import rows_of


def test_the_rows(collection):
    rows = rows_of(collection)
    assert sorted(rows) == [f"train{index}" for index in range(6)]
    assert [rows[f"train{index}"].tags for index in range(6)] == [(1,), (2,), (3,), (1,), (2,), ()]
    for row in rows.values():
        assert (row.width, row.height, row.state) == (48, 40, "open")
        assert 0 <= row.iou <= 1
        assert row.why
        assert collection.image_path(row.id).stem == row.name
        assert collection.photo(row.id) == row
    assert len(collection) == 6
    assert collection.classes == CLASSES
    assert len(collection.colours) == 4
    assert collection.pending == 0
    assert collection.network.name == "last.safetensors"


def test_worst_first_and_by_name(collection):
    total, rows = collection.photos()
    assert total == 6
    assert [row.iou for row in rows] == sorted(row.iou for row in rows)
    assert [row.name for row in collection.photos("name")[1]] == sorted(row.name for row in rows)


def test_pages_add_up(collection):
    pages = [collection.photos(offset=offset, limit=4) for offset in (0, 4, 8)]
    assert [total for total, _ in pages] == [6, 6, 6]
    assert [len(rows) for _, rows in pages] == [4, 2, 0]
    assert pages[0][1] + pages[1][1] == collection.photos()[1]


def test_filters(collection):
    rows = rows_of(collection)
    collection.set_state(rows["train0"].id, "accepted")
    collection.set_state(rows["train1"].id, "rejected")
    collection.set_tags(rows["train2"].id, [1, 2])

    def names(**wanted):
        return {row.name for row in collection.photos(**wanted)[1]}

    assert names(label=1) == {"train0", "train2", "train3"}
    assert names(label=0) == {"train5"}
    assert names(state="accepted") == {"train0"}
    assert names(state="rejected") == {"train1"}
    assert names(label=1, state="open") == {"train2", "train3"}


def test_what_is_not_there_cannot_be_listed(collection):
    for wanted in (
        {"order": "best"}, {"label": 4}, {"label": -1}, {"state": "done"}, {"offset": -1}, {"limit": -1},
    ):  # fmt: skip
        assert_refused(lambda wanted=wanted: collection.photos(**wanted), str(*wanted.values()), "expected")


def test_a_mask_has_the_size_of_the_photo_and_its_tags_alone(collection):
    rows = rows_of(collection)
    for name, row in rows.items():
        mask = collection.mask(row.id)
        assert mask.shape == (40, 48)
        assert mask.dtype == np.uint8
        assert set(mask.ravel()) <= {0, *row.tags}
        assert name != "train5" or not mask.any()


def test_a_mask_follows_its_tags_at_once(collection):
    row = rows_of(collection)["train0"]
    before = collection.mask(row.id)
    after = collection.set_tags(row.id, [3])
    assert after.tags == (3,)
    assert after.version > row.version
    assert set(np.unique(before)) == {0, 1}, "there is something to see"
    assert set(np.unique(collection.mask(row.id))) == {0, 3}
    assert not collection.set_tags(row.id, []).tags
    assert not collection.mask(row.id).any()
    assert collection.undo() == "train0: triangle → no tag"
    assert collection.undo() == "train0: circle → triangle"
    assert np.array_equal(collection.mask(row.id), before)
    assert collection.redo() == "train0: circle → triangle"
    assert collection.photo(row.id).tags == (3,)


def test_pending_counts_what_differs_from_what_was_trained_on(collection):
    row = rows_of(collection)["train0"]
    collection.set_tags(row.id, [2])
    collection.set_tags(row.id, [3])
    collection.set_share(0.3)
    assert collection.pending == 2
    collection.set_tags(row.id, [1])  # as in the data
    assert collection.pending == 1
    collection.set_share(None)
    assert collection.pending == 0
    assert len(collection.history()) == 5


def test_nothing_of_the_user_is_touched(collection, tagged_folder):
    before = {path: path.stat().st_mtime_ns for path in tagged_folder.rglob("*")}
    row = rows_of(collection)["train0"]
    collection.set_tags(row.id, [2])
    collection.set_state(row.id, "accepted")
    assert {path: path.stat().st_mtime_ns for path in tagged_folder.rglob("*")} == before


def test_everything_is_there_again_after_closing(run):
    with Collection.open(run) as collection:
        rows = rows_of(collection)
        collection.set_tags(rows["train0"].id, [2, 3])
        collection.set_state(rows["train1"].id, "accepted")
        collection.set_state(rows["train2"].id, "rejected")
        collection.set_share(0.25)
        collection.undo()
        before = rows_of(collection), {row.id: collection.mask(row.id) for row in rows.values()}, collection.history()
    with Collection.open(run) as again:
        assert rows_of(again) == before[0]
        assert all(np.array_equal(again.mask(id), mask) for id, mask in before[1].items())
        assert again.history() == before[2]
        assert again.share is None
        assert again.redo() == "foreground share: 25 %"
        assert again.share == 0.25


def test_an_accepted_mask_becomes_a_result(collection):
    rows = rows_of(collection)
    for name in ("train3", "train0"):
        collection.set_state(rows[name].id, "accepted")
    found = list(collection.results())
    assert [result.path and result.path.stem for result in found] == ["train0", "train3"], "by name"
    for result in found:
        assert result.path is not None
        assert isinstance(result, Result)
        assert np.array_equal(result.mask, collection.mask(rows[result.path.stem].id))
        assert result.names == dict(enumerate(("background", *CLASSES)))
        assert result.shares().keys() == {"circle"}


def test_other_tags_open_an_accepted_mask_again(collection):
    row = rows_of(collection)["train0"]
    collection.set_state(row.id, "accepted")
    assert collection.set_tags(row.id, [2]).state == "open"
    assert list(collection.results()) == []
    collection.undo()
    assert collection.photo(row.id).state == "accepted"
    assert set(np.unique(collection.mask(row.id))) == {0, 1}
    collection.set_state(row.id, "rejected")
    assert collection.set_tags(row.id, [2]).state == "rejected"


def test_a_mask_that_is_not_the_judged_one_is_not_accepted(collection):
    row = rows_of(collection)["train0"]
    collection.set_tags(row.id, [2])
    with pytest.raises(OutOfDate, match="look at it again"):
        collection.set_state(row.id, "accepted", row.version)
    assert collection.photo(row.id).state == "open"
    assert collection.set_state(row.id, "accepted", collection.photo(row.id).version).state == "accepted"


@pytest.mark.usefixtures("unchecked")
def test_wrong_input_is_one_line_and_changes_nothing(collection):
    id = rows_of(collection)["train0"].id
    for labels in ([0], [4], [True], ["cat"], [1.0], [255]):
        assert_refused(lambda labels=labels: collection.set_tags(id, labels), repr(labels[0]), "1 to 3")
    assert_refused(lambda: collection.set_state(id, "fine"), "'fine'", "accepted")
    for share in (0, 1, -0.1, float("nan"), "half", True):
        assert_refused(lambda share=share: collection.set_share(share), repr(share), "between 0 and 1")
    assert collection.history() == ()


def test_a_photo_that_is_not_there(collection):
    for ask in (collection.photo, collection.mask, collection.image_path, lambda id: collection.set_tags(id, []),
                lambda id: collection.set_state(id, "accepted")):  # fmt: skip
        with pytest.raises(UnknownPhoto, match="no photo 'none'"):
            ask("none")


def test_a_second_process_is_refused_with_one_line(collection, run):
    assert_refused(lambda: Collection.open(run), str(run), "open in another process")


def test_threads_read_while_others_write(collection):
    rows = list(rows_of(collection).values())
    errors = []

    def read():
        try:
            for _ in range(5):
                for row in rows:
                    assert set(np.unique(collection.mask(row.id))) <= {0, 1, 2, 3}
                assert collection.photos()[0] == 6
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(30):
        collection.set_tags(rows[number % 6].id, [number // 6 % 3 + 1])
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(collection.history()) >= 24
