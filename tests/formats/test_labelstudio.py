"""Label Studio's tasks and interface."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from tagseg.errors import TagsegError
from tagseg.formats.settings import FormatSettings

from .conftest import CLASSES, Photo, drawn, write
from .test_brush import decode


def test_tasks_and_interface(photos, tmp_path):
    out = write("labelstudio", photos, tmp_path / "out")
    tasks = json.loads((out / "labelstudio.json").read_text())
    assert len(tasks) == len(photos)
    for task, (name, photo) in zip(tasks, photos.items(), strict=True):
        (prediction,) = task["predictions"]
        labels = np.zeros(photo.mask.shape, np.uint8)
        for result in prediction["result"]:
            assert (result["original_height"], result["original_width"]) == photo.mask.shape
            assert (result["type"], result["value"]["format"]) == ("brushlabels", "rle")
            (label,) = result["value"]["brushlabels"]
            labels[decode(result["value"]["rle"]).reshape(*photo.mask.shape, 4)[..., 3] == 255] = (
                CLASSES.index(label) + 1
            )
        np.testing.assert_array_equal(labels, np.where(photo.mask == 255, 0, photo.mask), name)
    ids = [result["id"] for task in tasks for result in task["predictions"][0]["result"]]
    assert len(ids) == len(set(ids))
    assert tasks[7]["data"] == {"image": "/data/local-files/?d=sub/open%20corner.png"}
    interface = ElementTree.parse(out / "labelstudio.xml").getroot()
    assert [label.get("value") for label in interface.iter("Label")] == list(CLASSES)
    assert [label.get("background") for label in interface.iter("Label")] == ["#800000", "#008000", "#808000"]


def test_names_and_addresses_are_those_of_the_project(tmp_path):
    settings = {"url_prefix": "s3://bucket/x/", "from_name": "brush", "to_name": "photo"}
    photos = {"ä": Photo(drawn("1"), tmp_path / "ä.jpg")}
    out = write("labelstudio", photos, tmp_path / "out", CLASSES, **settings)
    (task,) = json.loads((out / "labelstudio.json").read_text())
    assert task["data"] == {"photo": "s3://bucket/x/%C3%A4.jpg"}
    (result,) = task["predictions"][0]["result"]
    assert (result["from_name"], result["to_name"]) == ("brush", "photo")
    interface = ElementTree.parse(out / "labelstudio.xml").getroot()
    (image,), (brush,) = interface.iter("Image"), interface.iter("BrushLabels")
    assert (image.get("name"), image.get("value")) == ("photo", "$photo")
    assert (brush.get("name"), brush.get("toName")) == ("brush", "photo")


def test_a_name_that_no_interface_can_have():
    with pytest.raises(TagsegError, match="from_name is 'a b', expected letters"):
        FormatSettings(from_name="a b")
