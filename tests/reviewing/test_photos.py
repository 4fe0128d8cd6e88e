from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tagseg.data.config import DataConfig
from tagseg.reviewing.photos import listed

from ..conftest import CLASSES, assert_refused


def tagged_with(found, index):
    tags = found.tags(index, len(CLASSES))
    assert tags is not None
    return np.flatnonzero(tags).tolist()


@pytest.fixture
def data(tagged_folder):
    return DataConfig(root=str(tagged_folder))


def test_photos_alone_have_no_known_tags(tagged_folder, tmp_path):
    found = listed(tagged_folder / "images", None, None, CLASSES, tmp_path)
    assert len(found.samples) == 8
    assert found.tagged() == []
    assert found.tags(0, 3) is None
    (note,) = found.reading.notes
    assert str(note) == "no tags known: --data.root FOLDER names tagged photos"
    assert not note.warning


def test_data_alone_give_all_their_splits_without_masks(data, tmp_path):
    found = listed(None, data, None, CLASSES, tmp_path)
    assert len(found.samples) == 8
    assert found.tagged() == list(range(8))
    assert all(sample.mask is None for sample in found.samples), "masks are never read"
    assert len(listed(None, data, "val", CLASSES, tmp_path).samples) == 2
    assert len(listed(None, replace(data, val_split=""), None, CLASSES, tmp_path).samples) == 6


def test_tags_are_matched_to_photos_by_file_however_it_is_named(data, tagged_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tagged_folder)
    found = listed([Path("images/train1.jpg"), "images/../images/train5.jpg"], data, None, CLASSES, tmp_path)
    assert [tagged_with(found, index) for index in (0, 1)] == [[1], []]
    assert [sample.image for sample in found.samples] == [
        Path("images/train1.jpg"),
        Path("images/../images/train5.jpg"),
    ]


def test_tags_are_in_the_order_of_the_network(data, tmp_path):
    found = listed(None, data, "train", CLASSES[::-1], tmp_path)
    assert tagged_with(found, 0) == [2]


def test_tags_that_fit_no_photo_are_a_warning(data, tmp_path, tagged_folder):
    other = tmp_path / "other.jpg"
    other.write_bytes((tagged_folder / "images" / "val0.jpg").read_bytes())
    found = listed(other, data, None, CLASSES, tmp_path / "out")
    assert any(note.warning and "no tags known in" in note.text for note in found.reading.notes)


@pytest.mark.parametrize(
    ("split", "classes", "message"),
    [("test", CLASSES, "test"), (None, ("circle", "square", "star"), "triangle")],
)
def test_what_does_not_fit_is_refused(data, tmp_path, split, classes, message):
    assert_refused(lambda: listed(None, data, split, classes, tmp_path), message)


def test_nothing_to_review(tmp_path):
    assert_refused(lambda: listed(None, None, None, CLASSES, tmp_path), "there are no photos to review")


def test_a_folder_with_a_tag_file_is_data_and_its_masks_are_no_photos(tagged_folder, tmp_path):
    for given in (tagged_folder, str(tagged_folder), [tagged_folder]):
        found = listed(given, None, None, CLASSES, tmp_path)
        assert len(found.samples) == 8
        assert found.tagged() == list(range(8))
    assert len(listed(tagged_folder, None, "val", CLASSES, tmp_path).samples) == 2


def test_the_sheet_of_an_earlier_review_alone_is_no_photo(tagged_folder, tmp_path):
    (tmp_path / "review.jpg").write_bytes((tagged_folder / "images" / "val0.jpg").read_bytes())
    assert_refused(lambda: listed(tmp_path, None, None, CLASSES, tmp_path), "no image in", "earlier review")
