"""CVAT's archive: colours that are declared, objects, and what its lists cannot hold."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from tagseg.data.palette import palette
from tagseg.errors import TagsegError
from tagseg.formats.cvat import Cvat
from tagseg.formats.format import Plan

from .conftest import CLASSES, Photo, drawn, expected, plan_of, write


def pictures(archive: zipfile.ZipFile, name: str) -> tuple[np.ndarray, np.ndarray]:
    folders = ("SegmentationClass", "SegmentationObject")
    classes, objects = (Image.open(io.BytesIO(archive.read(f"{folder}/{name}.png"))) for folder in folders)
    assert classes.mode == objects.mode == "RGB"
    return np.asarray(classes), np.asarray(objects)


def test_colours_are_declared_and_objects_have_one_class(photos, tmp_path):
    with zipfile.ZipFile(write("cvat", photos, tmp_path / "out") / "cvat.zip") as archive:
        assert archive.testzip() is None
        comment, *lines = archive.read("labelmap.txt").decode().splitlines()
        assert comment == "# label:color_rgb:parts:actions"
        assert lines == ["background:0,0,0::", "cat:128,0,0::", "traffic light:0,128,0::", 'say "é" <&>:128,128,0::']
        assert archive.read("ImageSets/Segmentation/default.txt").decode().splitlines() == list(photos)
        for name, photo in photos.items():
            classes, objects = pictures(archive, name)
            np.testing.assert_array_equal(classes, palette()[expected(photo)])
            pairs = {tuple(pair) for pair in np.concatenate([objects, classes], axis=2).reshape(-1, 6).tolist()}
            assert len(pairs) == len({pair[:3] for pair in pairs}), "an object of two classes"
            assert (((objects == 0).all(axis=2)) == (expected(photo) == 0)).all()


def test_a_photo_of_more_parts_than_colours_has_an_object_for_each_class(tmp_path):
    mask = np.zeros((24, 52), np.uint8)
    mask[::2, ::4], mask[::2, 2::4] = 1, 3
    with zipfile.ZipFile(write("cvat", {"a": Photo(mask)}, tmp_path / "out") / "cvat.zip") as archive:
        classes, objects = pictures(archive, "a")
    assert len(np.unique(objects.reshape(-1, 3), axis=0)) == 3
    np.testing.assert_array_equal(classes, palette()[mask])


def test_colours_that_two_classes_share_are_replaced(tmp_path):
    photos = {"a": Photo(drawn("123"))}
    plan = plan_of(photos, tmp_path)
    same = Plan(plan.output, plan.names, ((0, 0, 0), (9, 9, 9), (9, 9, 9), (1, 2, 3)), plan.photos)
    writing = Cvat(same)
    writing.add(photos["a"], "a")
    writing.close()
    with zipfile.ZipFile(tmp_path / "cvat.zip") as archive:
        np.testing.assert_array_equal(pictures(archive, "a")[0], palette()[[[1, 2, 3]]])
        assert b"traffic light:0,128,0::" in archive.read("labelmap.txt")


@pytest.mark.parametrize("name", ["a:b", " a", "#a", "a\nb", "background"])
def test_classes_that_labelmap_cannot_hold(name, tmp_path):
    with pytest.raises(TagsegError, match="cannot stand in labelmap"):
        Cvat(plan_of({"a": Photo(drawn("1"))}, tmp_path, (*CLASSES[:1], name)))


@pytest.mark.parametrize("name", ["#a", "a\nb", "a ", "caf\udce9"])
def test_photos_that_the_list_cannot_hold(name, tmp_path):
    with pytest.raises(TagsegError, match="cannot stand in the list of photos"):
        Cvat(plan_of({name: Photo(drawn("1"))}, tmp_path))
