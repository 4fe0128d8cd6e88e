"""COCO's JSON at the door: ids, orphans, sizes, names, other formats."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagseg.data.coco_file import CocoFile, annotated_categories, read_coco_file
from tagseg.errors import TagsegError

from .test_coco_values import ANYTHING

IMAGES: list[dict[str, Any]] = [{"id": 1, "file_name": "a.jpg", "height": 4, "width": 6}]
CATEGORIES: list[dict[str, Any]] = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog", "supercategory": "pets"}]


def thing(image: Any = 1, category: Any = 1, **more: Any) -> dict[str, Any]:
    return {"id": 7, "image_id": image, "category_id": category, "segmentation": [[0, 0, 2, 0, 2, 2]], **more}


def read(folder: Path, outlines: bool = True, **changes: Any) -> CocoFile:
    content = {"images": IMAGES, "annotations": [thing()], "categories": CATEGORIES, **changes}
    (folder / "a.json").write_text(json.dumps(content))
    return read_coco_file(folder / "a.json", outlines)


def texts(file: CocoFile) -> str:
    return " / ".join(map(str, file.notes))


def test_what_a_file_holds(tmp_path):
    file = read(tmp_path)
    (image,) = file.images
    (only,) = image.annotations
    assert (image.file, image.size, only.category, only.crowd, only.extent) == ("a.jpg", (4, 6), 1, False, (0, 0, 2, 2))
    assert (file.annotated, file.outlined, file.notes) == ({1}, {False}, ())
    assert [c.supercategory for c in file.categories] == ["", "pets"]


def test_which_objects_seem_to_have_an_outline(tmp_path):
    without: tuple[Any, ...] = (None, [], {}, [[0, 0, 2, 2]], "")
    every = [thing(segmentation=value) for value in without]
    assert read(tmp_path, outlines=False, annotations=every).outlined == frozenset()
    crowd = thing(segmentation={"size": [4, 6], "counts": [0, 24]}, iscrowd=1)
    assert read(tmp_path, outlines=False, annotations=[*every, crowd]).outlined == {True}
    assert read(tmp_path, annotations=[thing(), crowd]).outlined == {True, False}


def test_ids_as_text_and_as_numbers_are_matched_and_said(tmp_path):
    file = read(tmp_path, annotations=[thing("1", "2"), thing("01", 1.0)])
    assert [a.category for a in file.images[0].annotations] == [2, 1]
    assert "image ids are text in some places and numbers in others" in texts(file)
    assert "category ids are text in some places" in texts(file)
    text = read(tmp_path, images=[{"id": "x-1", "file_name": "a.jpg"}], annotations=[thing("x-1")])
    assert len(text.images[0].annotations) == 1
    assert "ids" not in texts(text)


def test_annotations_of_unknown_images_are_counted_and_left_out(tmp_path):
    file = read(tmp_path, annotations=[thing(), thing(9), thing(8)])
    assert len(file.images[0].annotations) == 1
    (note,) = file.notes
    assert (note.count, note.warning) == (2, True)
    with pytest.raises(TagsegError, match=r"no annotation belongs to one of its images: annotation 7 of image 9"):
        read(tmp_path, annotations=[thing(9)])


def test_sizes_as_text_and_missing_ones(tmp_path):
    assert read(tmp_path, images=[IMAGES[0] | {"height": "4", "width": "6"}]).images[0].size == (4, 6)
    for change in ({"height": None}, {"height": 0}, {"width": ""}):
        file = read(tmp_path, images=[IMAGES[0] | change])
        assert file.images[0].size is None
        assert "1 images without width or height" in texts(file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": [thing(category=4)]}, "annotation 7 of a.jpg has the category 4, which it does not define"),
        ({"annotations": [thing(category=None)]}, "annotation 7 of a.jpg has the id None"),
        ({"annotations": [thing(iscrowd="perhaps")]}, "annotation 7 of a.jpg: iscrowd = 'perhaps'"),
        ({"annotations": [thing(segmentation=[[0, 0, float("nan"), 1, 2, 2]])]}, "annotation 7 of a.jpg: a polygon"),
        ({"annotations": [thing(segmentation={"counts": [3]})]}, "annotation 7 of a.jpg: run lengths without 'size'"),
        ({"annotations": [{"segments_info": []}]}, "panoptic"),
        ({"images": [IMAGES[0], IMAGES[0] | {"file_name": "b.jpg"}]}, "image id 1 belongs to a.jpg and to b.jpg"),
        ({"images": [IMAGES[0], IMAGES[0] | {"id": 2}]}, "image file twice: a.jpg, with the ids 1 and 2"),
        ({"images": [IMAGES[0] | {"file_name": ""}]}, "image 1 has the file_name ''"),
        ({"images": [IMAGES[0] | {"file_name": None}]}, "image 1 has the file_name None"),
        ({"images": [IMAGES[0] | {"width": "wide"}]}, "image a.jpg has a width or height of 'wide'"),
        ({"categories": [CATEGORIES[0], {"id": "1", "name": "dog"}]}, "category id 1 belongs to 'cat' and to 'dog'"),
        ({"categories": None}, "categories is no list"),
    ],
)
def test_contradictions_and_damage_are_one_line(tmp_path, changes, message):
    with pytest.raises(TagsegError, match=message) as error:
        read(tmp_path, **changes)
    assert "a.json" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "a list of 0"),
        (b'{"info": 1, "images": []}', "no annotations and no categories, only info, images"),
        (b"{", "cannot be read"),
        (b"", "cannot be read"),
        ("{'é'}".encode("latin-1"), "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"5", "cannot be read"),
    ],
)
def test_other_files(tmp_path, content, message):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(TagsegError, match=message):
        read_coco_file(tmp_path / "a.json", True)
    assert annotated_categories(tmp_path / "a.json") == frozenset()


def test_a_byte_order_mark_and_utf_16_are_read(tmp_path):
    text = json.dumps({"images": IMAGES, "annotations": [thing()], "categories": CATEGORIES})
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "a.json").write_bytes(text.encode(encoding))
        assert len(read_coco_file(tmp_path / "a.json", True).images) == 1
    assert annotated_categories(tmp_path / "a.json") == {1}


ENTRY = st.dictionaries(
    st.sampled_from(["id", "image_id", "category_id", "segmentation", "bbox", "iscrowd", "file_name", "width", "name"]),
    ANYTHING,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.lists(ENTRY, max_size=2), st.lists(ENTRY, max_size=2), st.lists(ENTRY, max_size=2))
def test_whatever_the_entries_are_a_file_is_read_or_refused_in_one_line(tmp_path, images, annotations, categories):
    message = ""
    try:
        read(tmp_path, images=IMAGES + images, annotations=annotations, categories=CATEGORIES + categories)
    except TagsegError as error:
        message = str(error)
    assert "\n" not in message
