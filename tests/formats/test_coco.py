"""COCO's JSON: what stands in it, that it is read back by the package's own reader, and interrupted runs."""

import json

import numpy as np
import pytest

from tagseg.data.coco_mask import CocoMask, CocoObject
from tagseg.data.outlines import read_outline

from .conftest import Photo, drawn, expected, plan_of, with_files, write


def read(path):
    return json.loads(path.read_text())


@pytest.mark.parametrize(("name", "file"), [("coco", "coco.json"), ("coco-polygons", "coco_polygons.json")])
def test_the_reader_of_the_package_draws_the_same(name, file, photos, tmp_path):
    content = read(write(name, photos, tmp_path / "out") / file)
    assert [image["file_name"] for image in content["images"]] == [f"{each}.png" for each in photos]
    assert [image["id"] for image in content["images"]] == list(range(1, len(photos) + 1))
    assert [each["id"] for each in content["annotations"]] == list(range(1, len(content["annotations"]) + 1))
    assert [each["image_id"] for each in content["annotations"]] == sorted(
        each["image_id"] for each in content["annotations"]
    )
    for image, photo in zip(content["images"], photos.values(), strict=True):
        assert (image["height"], image["width"]) == photo.mask.shape
        objects = [
            CocoObject(each["category_id"], read_outline(each["segmentation"]))
            for each in content["annotations"]
            if each["image_id"] == image["id"]
        ]
        assert photo.path is not None
        np.testing.assert_array_equal(CocoMask(photo.path, photo.mask.shape, tuple(objects))(), expected(photo))


def test_one_photo_by_hand(tmp_path):
    photos = with_files({"sub/a": drawn("1100 1002 0000 3333")}, tmp_path / "photos")
    content = read(write("coco", photos, tmp_path / "out") / "coco.json")
    assert content["categories"] == [
        {"id": 1, "name": "cat", "supercategory": ""},
        {"id": 2, "name": "traffic light", "supercategory": ""},
        {"id": 3, "name": 'say "é" <&>', "supercategory": ""},
    ]
    assert content["images"] == [{"id": 1, "file_name": "sub/a.png", "height": 4, "width": 4}]
    first, second, third = content["annotations"]
    assert (first["area"], first["bbox"], first["category_id"]) == (3, [0, 0, 2, 2], 1)
    assert (second["area"], second["bbox"], second["category_id"]) == (1, [3, 1, 1, 1], 2)
    assert (third["area"], third["bbox"], third["category_id"]) == (4, [0, 3, 4, 1], 3)
    assert {each["iscrowd"] for each in content["annotations"]} == {0}
    polygons = read(write("coco-polygons", photos, tmp_path / "out") / "coco_polygons.json")
    assert polygons["annotations"][2]["segmentation"] == [[0, 3, 4, 3, 4, 4, 0, 4]]


def test_photos_that_differ_in_their_ending_alone_keep_their_files(tmp_path):
    photos = {
        "a.jpg": Photo(drawn("1"), tmp_path / "a.jpg"),
        "a.png": Photo(drawn("1"), tmp_path / "a.png"),
        "b.c": Photo(drawn("1"), tmp_path / "b.c.jpg"),
        "memory": Photo(drawn("1")),
    }
    content = read(write("coco", photos, tmp_path / "out") / "coco.json")
    assert [image["file_name"] for image in content["images"]] == ["a.jpg", "a.png", "b.c.jpg", "memory"]


def test_after_an_interrupt_the_photos_that_were_added_are_there(photos, tmp_path):
    from tagseg.formats.table import Formats

    writing = Formats(["coco"], plan_of(photos, tmp_path / "out"))
    writing.add(photos["row"], "row")
    writing.add(photos["one"], "one")
    writing.close()
    content = read(tmp_path / "out" / "coco.json")
    assert [image["file_name"] for image in content["images"]] == ["one.png", "row.png"]
    assert {each["image_id"] for each in content["annotations"]} == {image["id"] for image in content["images"]}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["coco.json"], "and nothing temporary is left"


def test_nothing_is_written_without_a_photo(photos, tmp_path):
    from tagseg.formats.table import FORMATS, Formats

    every = [name for name in FORMATS if name != "voc-server"]
    Formats(every, plan_of(photos, tmp_path / "out")).close()
    assert not (tmp_path / "out").exists()
