"""FiftyOne's classification export: names, ids, lists, confidences, splits, manifests."""

import json
from dataclasses import replace

import pytest

from tagseg.data.config import DataConfig
from tagseg.data.sources import load
from tagseg.data.tools.export import entries_of
from tagseg.data.tools.fiftyone import is_fiftyone, read_fiftyone
from tagseg.errors import TagsegError

from ...conftest import assert_refused
from .exports import loaded, photos, said, tags_of, write


def read(tmp_path, content):
    return read_fiftyone(tmp_path, [write(tmp_path / "labels.json", content)])


@pytest.mark.parametrize(
    ("target", "tags"),
    [
        (1, ("dog",)),
        ("cat", ("cat",)),
        ([0, 1], ("cat", "dog")),
        (["dog", "dog"], ("dog",)),
        ([], ()),
        ({"label": 1, "confidence": 0.9, "attributes": {}}, ("dog",)),
        ([{"label": "cat"}, {"label": "dog"}], ("cat", "dog")),
    ],
)
def test_a_target_is_a_class_or_several(tmp_path, target, tags):
    export = read(tmp_path, {"classes": ["cat", "dog"], "labels": {"000001": target, "000002": 0}})
    assert tags_of(export) == {"000001": tags, "000002": ("cat",)}


def test_what_is_not_labelled_not_used_or_not_sure_is_said(tmp_path):
    labels = {"a": 0, "b": None, "c": {"label": 1, "confidence": 0.31}}
    export = read(tmp_path, {"classes": ["cat", "dog", "fox"], "labels": labels})
    assert tags_of(export) == {"a": ("cat",), "c": ("dog",)}
    assert "1 images without label (null), left out: b" in said(export)
    assert "1 classes of the export that no image has, left out: fox" in said(export)
    assert "!1 images whose labels have a confidence" in said(export)


def test_boxes_of_a_detection_export_are_tags(tmp_path):
    box = {"label": 1, "bounding_box": [0.1, 0.1, 0.5, 0.5], "attributes": {}}
    export = read(tmp_path, {"classes": ["cat", "dog"], "labels": {"a": [box, box], "b": [box | {"label": 0}]}})
    assert tags_of(export) == {"a": ("dog",), "b": ("cat",)}
    assert "those of its regions are the tags, objects" in said(entries_of(export))


def test_a_folder_is_found_by_its_file(tmp_path):
    photos(tmp_path / "data", "000001.jpg", "sub/000002.png", "000003.jpg")
    write(tmp_path / "labels.json", {"classes": ["cat", "dog"], "labels": {"000001": 0, "sub/000002": 1}})
    images = load(DataConfig(root=str(tmp_path), val_split=""), "train")
    assert loaded(images) == {"000001": ("cat",), "sub/000002": ("dog",)}
    assert images.layout == "a classification export of FiftyOne (labels.json)"
    assert images.samples[0].image == tmp_path / "data" / "000001.jpg"


def test_a_folder_a_split(tmp_path):
    for number, split in enumerate(("train", "validation")):
        photos(tmp_path / split / "data", "a.jpg")
        write(tmp_path / split / "labels.json", {"classes": ["cat", "dog"], "labels": {"a": number}})
    config = DataConfig(root=str(tmp_path))
    assert loaded(load(config, "train", masks=False)) == {"train/data/a": ("cat",)}
    assert loaded(load(config, "val", masks=False)) == {"validation/data/a": ("dog",)}


def test_images_may_be_listed_in_a_manifest(tmp_path):
    photos(tmp_path / "elsewhere", "a.jpg")
    photos(tmp_path / "set" / "images", "b.jpg")
    write(tmp_path / "set" / "data.json", {"a": str(tmp_path / "elsewhere" / "a.jpg")})
    write(tmp_path / "set" / "labels.json", {"classes": ["cat"], "labels": {"a": 0}})
    data = DataConfig(root=str(tmp_path / "set"), val_split="")
    assert_refused(lambda: load(data, "train"), "labels.json entry 1 names", "is outside of", "--data.outside allow")
    images = load(replace(data, outside="allow"), "train")
    assert images.samples[0].image == tmp_path / "elsewhere" / "a.jpg"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"classes": ["cat"], "labels": {"a": 1}}, "has the class id 1 for 'a', expected 0 to 0"),
        ({"classes": ["cat"], "labels": {"a": -1}}, "has the class id -1 for 'a'"),
        ({"labels": {"a": 1}}, "has the class id 1 for 'a' and no list 'classes'"),
        ({"classes": ["cat"], "labels": {"a": True}}, "has True for 'a'"),
        ({"classes": ["cat"], "labels": {"a": {"confidence": 1}}}, "has None for 'a'"),
        ({"classes": {"0": "cat"}, "labels": {"a": 0}}, "has 'classes' that are no list of names"),
        ({"classes": ["cat"], "labels": [0]}, "has no object 'labels'"),
        ([], "has no object 'labels'"),
        ({"classes": ["cat"], "labels": {"a": None}}, r"no annotated image \(1 images without label \(null\)"),
    ],
)
def test_anything_else_is_refused_in_one_line(tmp_path, content, message):
    with pytest.raises(TagsegError, match=message) as caught:
        entries_of(read(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_what_it_begins_with_tells_it_from_a_tag_file(tmp_path):
    def is_it(content):
        return is_fiftyone(write(tmp_path / "x.json", content))

    assert is_it({"classes": ["cat"], "labels": {"a": 0}})
    assert is_it({"classes": None, "labels": {"a": "cat"}})
    assert not is_it({"a.jpg": ["cat"]})
    assert not is_it([{"image": "a.jpg", "labels": ["cat"]}])
    assert not is_it({"images": [], "annotations": [], "categories": []})
    assert not is_fiftyone(tmp_path / "absent.json")
    (tmp_path / "x.json").write_text(json.dumps({"classes": ["cat"], "labels": {"a": 0}}, indent=4))
    assert is_fiftyone(tmp_path / "x.json")
