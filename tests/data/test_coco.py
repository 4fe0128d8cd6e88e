"""The coco source: tags and masks straight from the annotations."""

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.sources import load
from tagseg.errors import TagsegError

from .conftest import true_mask

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "tiny_coco"


def box(x: int, y: int, width: int, height: int) -> list[list[int]]:
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def annotation(image: int, category: int, outline: Any, crowd: int = 0) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "segmentation": outline, "iscrowd": crowd}


ANNOTATIONS = [
    annotation(1, 90, box(3, 1, 1, 1)),  # the smaller is on top, though listed first
    annotation(1, 3, box(2, 0, 3, 2)),
    annotation(1, 7, {"size": [4, 6], "counts": [16, 8]}, crowd=1),  # columns 4 and 5, under the objects
    annotation(2, 7, {"size": [4, 6], "counts": [0, 2, 22]}, crowd=1),
]
CONTENT: dict[str, Any] = {
    "images": [{"id": i, "file_name": f"{i:012}.jpg", "height": 4, "width": 6} for i in (2, 1, 3)],
    "annotations": ANNOTATIONS,
    "categories": [{"id": i, "name": n} for i, n in ((90, "cup"), (3, "table"), (7, "person"))],
}


def make(root: Path, content: Any = CONTENT, split: str = "train") -> None:
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    (root / split).mkdir(exist_ok=True)
    for i in (1, 2, 3):
        Image.new("RGB", (6, 4)).save(root / split / f"{i:012}.jpg")


def get(root: Path, split: str = "train", masks: bool = True, **settings: Any) -> TaggedImages:
    return load(DataConfig(source="coco", root=str(root), **settings), split, masks)


def test_a_crowd_is_a_tag_and_untagged_images_can_be_left_out(tmp_path):
    make(tmp_path)
    every, tagged = get(tmp_path), get(tmp_path, untagged=False)
    assert every.classes == ("table", "person", "cup")  # by id
    assert [(s.name[-1], s.tags) for s in every.samples] == [("2", (1,)), ("1", (0, 1, 2)), ("3", ())]
    assert [s.name for s in tagged.samples] == ["000000000002", "000000000001"]
    train = every
    assert train.tags_from == "instances_train.json"


def test_masks_are_drawn(tmp_path):
    make(tmp_path, split="val")
    crowd, objects, empty = (true_mask(pickle.loads(pickle.dumps(s))) for s in get(tmp_path, "val").samples)
    assert objects.tolist() == [
        [0, 0, 1, 1, 1, 255],
        [0, 0, 1, 3, 1, 255],
        [0, 0, 0, 0, 255, 255],
        [0, 0, 0, 0, 255, 255],
    ]
    assert (objects.dtype, int((crowd == 255).sum()), int(empty.sum())) == (np.uint8, 2, 0)


def test_without_masks_no_outline_is_read(tmp_path):
    make(tmp_path, CONTENT | {"annotations": [annotation(1, 3, "anything")]})
    assert get(tmp_path, masks=False).samples[0].mask is None


def test_chosen_classes_in_their_order(tmp_path):
    make(tmp_path, split="val")
    data = get(tmp_path, "val", classes=("cup", "table"))
    assert [s.tags for s in data.samples] == [(), (0, 1), ()]
    assert np.unique(true_mask(data.samples[1])).tolist() == [0, 1, 2]
    with pytest.raises(TagsegError, match=r"tag 'cap' of --data\.classes.*did you mean 'cup'"):
        get(tmp_path, "val", classes=("cap",))


def test_images_in_another_folder_and_missing_ones(tmp_path, caplog):
    make(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "train").rename(tmp_path / "images" / "train")
    assert get(tmp_path).samples[0].image.is_file()
    make(tmp_path, split="val")
    (tmp_path / "val" / "000000000002.jpg").unlink()
    with pytest.raises(TagsegError, match=r"1 of 3 images that instances_val\.json names .*skip_missing"):
        get(tmp_path, "val")
    with caplog.at_level(logging.WARNING, "tagseg"):
        assert len(get(tmp_path, "val", skip_missing=True)) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": [{"image_id": 1, "category_id": 3}]}, "an entry without 'segmentation'"),
        ({"annotations": [annotation(1, 4, [])]}, "the category 4, which it does not define"),
        ({"annotations": [annotation(1, 3, [[1, 2, 3]])]}, "a polygon that is not"),
        ({"annotations": [annotation(1, 3, [["x", "y"]])]}, "cannot be read"),
        ({"annotations": 5}, "cannot be read"),
        ({"images": [{"id": 1}]}, "an entry without 'file_name'"),
        ({"images": [CONTENT["images"][0]] * 2}, "lists an image file twice"),
    ],
)
def test_malformed_annotations(tmp_path, change, message):
    make(tmp_path, CONTENT | change)
    with pytest.raises(TagsegError, match=message) as error:
        get(tmp_path)
    assert "instances_train.json" in str(error.value)


@pytest.mark.parametrize("outline", [{"size": [4, 6], "counts": [5]}, {"size": [6, 4], "counts": [24]}])
def test_damaged_run_lengths_name_the_image(tmp_path, outline):
    make(tmp_path, CONTENT | {"annotations": [annotation(1, 3, outline)]})
    with pytest.raises(TagsegError, match=r"annotations of 000000000001\.jpg hold run lengths"):
        true_mask(get(tmp_path).samples[1])


def test_resized_images_are_refused(tmp_path):
    make(tmp_path)
    Image.new("RGB", (3, 2)).save(tmp_path / "train" / "000000000001.jpg")
    with pytest.raises(TagsegError, match=r"000000000001\.jpg is 6×4, expected its image's 3×2"):
        true_mask(get(tmp_path).samples[1])


def test_bad_settings(tmp_path):
    make(tmp_path)
    with pytest.raises(TagsegError, match=r"instances_train2017\.json does not exist, splits present: train"):
        get(tmp_path, "train2017")
    with pytest.raises(TagsegError, match=r"--data\.tags is 'labels\.csv', expected auto"):
        get(tmp_path, tags="labels.csv")
    (tmp_path / "train").rename(tmp_path / "elsewhere")
    with pytest.raises(TagsegError, match="no folder train"):
        get(tmp_path)
    (tmp_path / "annotations" / "instances_train.json").write_text("{")
    with pytest.raises(TagsegError, match="cannot be read"):
        get(tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared development data")
def test_real_annotations():
    settings: dict[str, Any] = {"train_split": "train2017", "val_split": "val2017"}
    train, val = (get(SHARED, split, **settings) for split in settings.values())
    assert (len(train), len(val), len(train.classes)) == (50, 50, 80)
    assert train.classes[:2] == ("person", "bicycle")
    assert train.classes[-1] == "toothbrush"
    for sample in (*train.samples, *val.samples):
        labels = set(np.unique(true_mask(sample)).tolist()) - {0, 255}
        assert labels <= {tag + 1 for tag in sample.tags}  # an object may be wholly under others
