"""Photos and tags in memory: pairs and frames, what they mean, and what is refused."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tagseg
from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.given_photos import FILE, data_of, tagged_images
from tagseg.data.sources import load

from ..conftest import assert_refused


class DataFrame:
    """As much of a frame as is read of one; pandas and polars agree on it."""

    def __init__(self, columns: dict[str, list[Any]], index: str | None = None) -> None:
        self.columns = list(columns)
        self._columns = columns
        self.index = SimpleNamespace(name=index)

    def __getitem__(self, name: str) -> Any:
        return SimpleNamespace(to_list=lambda: self._columns[name])

    def reset_index(self) -> "DataFrame":
        return DataFrame({self.index.name: [f"{name}.jpg" for name in "abc"], **self._columns})


DataFrame.__module__ = "pandas.core.frame"


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Three photos in folders that share nothing but the working folder's parent."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.jpg", "c.jpg", "../elsewhere/a.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 3)).save(tmp_path / name)
    return tmp_path


def tags(images: TaggedImages) -> dict[str, set[str]]:
    return {sample.image.name: {images.classes[tag] for tag in sample.tags} for sample in images.samples}


@pytest.mark.parametrize("as_given", [list, tuple, iter])
def test_pairs(photos, as_given):
    given = [("a.jpg", ["cat", "dog"]), (Path("b.jpg"), "dog"), (str(photos / "c.jpg"), {"cat"})]
    images = tagged_images(as_given(given))
    assert tags(images) == {"a.jpg": {"cat", "dog"}, "b.jpg": {"dog"}, "c.jpg": {"cat"}}
    assert images.classes == ("cat", "dog")
    assert images.notes == ()
    assert all(sample.image.is_file() for sample in images.samples)
    assert tags(tagged_images(dict(given))) == tags(images)


def test_a_text_is_one_tag_whatever_it_contains(photos):
    given = [("a.jpg", "salt, pepper"), ("b.jpg", ["pepper", "a;b|c"]), ("c.jpg", "salt")]
    assert tagged_images(given).classes == ("a;b|c", "pepper", "salt", "salt, pepper")


@pytest.mark.parametrize("nothing", [[], None, "", (), set(), "none", "background"])
def test_no_tag(photos, nothing):
    assert tags(tagged_images([("a.jpg", "cat"), ("b.jpg", nothing)]))["b.jpg"] == set()


def test_photos_of_one_name_in_folders_that_share_nothing(photos):
    images = tagged_images([("a.jpg", "cat"), ("../elsewhere/a.jpg", "dog")])
    assert [sample.image for sample in images.samples] == [photos / "a.jpg", photos.parent / "elsewhere" / "a.jpg"]
    assert [sample.tags for sample in images.samples] == [(0,), (1,)]
    assert len({sample.name for sample in images.samples}) == 2


def test_settings_stay_but_for_where_the_photos_are(photos):
    data = DataConfig(source="coco", root="absent", images="absent", classes=("dog", "cat"))
    config = data_of([("a.jpg", "cat")], "out", data)
    assert (config.source, config.classes) == ("folder", ("dog", "cat"))
    assert (Path(config.root) / config.tags).read_text() == json.dumps(
        {"image": str(photos / "a.jpg"), "labels": ["cat"]}
    ) + "\n"
    os.chdir(photos.parent)  # the file does not depend on where it is read from
    assert load(config, "train").samples[0].tags == (1,)


def test_splits(photos):
    given = [("a.jpg", "cat", "train"), ("b.jpg", "dog", "val"), ("c.jpg", "dog", "train")]
    assert tags(load(data_of(given, photos / "out"), "val")) == {"b.jpg": {"dog"}}
    assert list(tags(tagged_images(given))) == ["a.jpg", "c.jpg"]


def test_a_photo_that_is_given_twice_must_mean_the_same(photos):
    assert len(tagged_images([("a.jpg", ["cat", "dog"]), ("./a.jpg", ["dog", "cat"])])) == 1
    twice = [("a.jpg", "cat"), (photos / "a.jpg", [])]
    assert_refused(lambda: tagged_images(twice), "a.jpg twice, with the tags cat and none, expected one pair a photo")
    assert_refused(lambda: data_of([("a.jpg", "cat", "x"), ("a.jpg", "cat", "y")], "out"), "in two splits")


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("photos", ["photos is 'photos', expected pairs of a path and its tags", "DataFrame"]),
        (3, ["photos is 3, expected pairs"]),
        ([], ["photos is a list, expected at least one photo"]),
        (["a.jpg"], ["photos[0] is 'a.jpg', expected pairs"]),
        ([("a.jpg",)], ["photos[0] is a tuple, expected pairs"]),
        ([(1, "cat")], ["photos[0][0] is 1, expected the path of a photo"]),
        ([("a.jpg", 3)], ["photos[0][1] is 3, expected a tag or a list of tags"]),
        ([("a.jpg", ["cat", 3])], ["a tag of photos[0] is 3, expected its name"]),
        ([("a.jpg", {"cat": 1})], ["photos[0][1] is a dict"]),
        ([("a.jpg", "cat", 1)], ["photos[0][2] is 1, expected the name of a split"]),
        ([("a.jpg", "cat"), ("no.jpg", "cat")], ["1 of 2 photos do not exist: ", "no.jpg", "data.skip_missing"]),
        ([("  ", "cat")], ["names no photo"]),
        ([("a.jpg", [])], ["0 classes, expected 1 to 254"]),
    ],
)
def test_what_is_refused(photos, given, parts, unchecked):
    assert_refused(lambda: tagged_images(given), *parts)


def test_other_arguments_are_refused(photos, unchecked):
    number: Any = 3
    text: Any = "photos"
    assert_refused(lambda: data_of([("a.jpg", "cat")], number), "folder is 3")
    assert_refused(lambda: data_of([("a.jpg", "cat")], "out", text), "data is 'photos', expected a DataConfig")


def test_absent_photos_can_be_left_out(photos):
    data = data_of([("a.jpg", "cat"), (photos / "no.jpg", "cat")], "out", DataConfig(skip_missing=True, val_split=""))
    images = load(data, "train")
    assert len(images) == 1
    assert "1 of 2 images that labels.jsonl names are not in" in str(images.notes[0])


@pytest.mark.parametrize(
    ("columns", "note"),
    [
        ({"image": ["a.jpg", "b.jpg", "c.jpg"], "labels": ["cat;dog", "dog", None]}, ""),
        (
            {"filename": [Path("a.jpg"), Path("b.jpg"), Path("c.jpg")], "tag": [("cat", "dog"), ["dog"], float("nan")]},
            "'tag'",
        ),
        ({"path": ["a.jpg", "b.jpg", "c.jpg"], "label": [np.array(["cat", "dog"]), {"dog"}, []]}, "'label'"),
        (
            {"image": ["a.jpg", "b.jpg", "c.jpg"], "cat": [1, 0, 0], "dog": [1.0, 1.0, 0.0], "note": ["x", "y", "z"]},
            "2 col",
        ),
        ({"image": ["a.jpg", "b.jpg", "c.jpg"], "cat": [True, False, False], "dog": [True, True, None]}, "2 columns"),
        ({"image": ["a.jpg", "b.jpg", "c.jpg"], "tag1": ["cat", "dog", ""], "tag2": ["dog", None, None]}, "'tag1'"),
        ({"image": ["a.jpg", "a.jpg", "b.jpg", "c.jpg"], "labels": ["cat", "dog", "dog", ""]}, ""),
    ],
)
def test_frames_are_read_by_the_rules_of_tag_files(photos, caplog, columns, note):
    with caplog.at_level(logging.INFO, "tagseg"):
        images = tagged_images(DataFrame(columns))
    assert tags(images) == {"a.jpg": {"cat", "dog"}, "b.jpg": {"dog"}, "c.jpg": set()}
    assert note in caplog.text


def test_of_a_frame_an_index_that_has_a_name_is_a_column_and_splits_count(photos):
    frame = DataFrame({"label": ["cat", "dog", 7], "split": ["train", "val", "val"]}, index="image")
    config = data_of(frame, "out")
    assert tags(load(config, "val")) == {"b.jpg": {"dog"}, "c.jpg": {"7"}}
    derived = DataFrame({"image": ["a.jpg"], "labels_from_mask": ["cat"]})
    assert load(data_of(derived, "out", DataConfig(val_split="")), "train").tags_from == f"{FILE} (labels_from_mask)"


def test_frames_that_cannot_be_read(photos):
    assert_refused(lambda: tagged_images(DataFrame({"image": ["a.jpg"]})), "the pandas DataFrame has the columns image")
    two = DataFrame({"image": ["a.jpg"], "tag": ["cat"], "label": ["dog"]})
    assert_refused(lambda: tagged_images(two), "the pandas DataFrame has the columns tag and label")
    assert tagged_images(two, DataConfig(column="label")).classes == ("dog",)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_of_both_libraries(photos, library):
    frames = pytest.importorskip(library)
    lists = frames.DataFrame({"file_name": ["a.jpg", "b.jpg", "c.jpg"], "labels": [["cat", "dog"], ["dog"], []]})
    texts = frames.DataFrame({"image": ["a.jpg", "b.jpg", "c.jpg"], "labels": ["cat;dog", "dog", None]})
    onehot = frames.DataFrame({"image": ["a.jpg", "b.jpg", "c.jpg"], "cat": [1, 0, 0], "dog": [1, 1, None]})
    for frame in (lists, texts, onehot):
        assert tags(tagged_images(frame)) == {"a.jpg": {"cat", "dog"}, "b.jpg": {"dog"}, "c.jpg": set()}


def test_neither_library_is_imported():
    code = "import sys, tagseg; tagseg.data_of; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "tagseg.data.given_photos" in modules
    assert not {"pandas", "polars", "datasets", "torch"} & set(modules)
    assert tagseg.data_of is data_of
