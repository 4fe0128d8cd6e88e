"""Where the files are: COCO, Roboflow, CVAT, Label Studio, FiftyOne, and what could be several things."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tagseg.data.coco_layout import choose_images, coco_files, find_annotations, find_layout, usual_name
from tagseg.data.config import DataConfig
from tagseg.errors import TagsegError

CONTENT = {"images": [{"id": 1, "file_name": "a.jpg", "width": 2, "height": 2}], "annotations": [], "categories": []}


def lay(root: Path, *files: str) -> DataConfig:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".jpg":
            Image.new("RGB", (2, 2)).save(path)
        else:
            path.write_text(json.dumps(CONTENT))
    return DataConfig(source="coco", root=str(root))


@pytest.mark.parametrize(
    ("files", "split", "annotations", "images"),
    [
        (
            ("annotations/instances_val2017.json", "val2017/a.jpg"),
            "val2017",
            "annotations/instances_val2017.json",
            "val2017",
        ),
        (
            ("annotations/instances_val2017.json", "val2017/a.jpg"),
            "val",
            "annotations/instances_val2017.json",
            "val2017",
        ),
        (("train/_annotations.coco.json", "train/a.jpg"), "train", "train/_annotations.coco.json", "train"),
        (("valid/_annotations.coco.json", "valid/a.jpg"), "val", "valid/_annotations.coco.json", "valid"),
        (
            ("annotations/instances_Train.json", "images/Train/a.jpg"),
            "train",
            "annotations/instances_Train.json",
            "images/Train",
        ),
        (
            ("annotations/instances_default.json", "images/a.jpg"),
            "train",
            "annotations/instances_default.json",
            "images",
        ),
        (
            ("annotations/instances_default.json", "images/a.jpg"),
            "default",
            "annotations/instances_default.json",
            "images",
        ),
        (("result.json", "images/a.jpg"), "train", "result.json", "images"),
        (("labels.json", "data/a.jpg"), "train", "labels.json", "data"),
        (("train/labels.json", "train/data/a.jpg"), "train", "train/labels.json", "train/data"),
        (("train.json", "a.jpg"), "train", "train.json", "."),
        (("annotations.json", "JPEGImages/a.jpg"), "train", "annotations.json", "JPEGImages"),
        (("annotations/train.json", "images/a.jpg"), "train", "annotations/train.json", "images"),
        (
            ("validation_annotations.json", "images/validation/a.jpg"),
            "val",
            "validation_annotations.json",
            "images/validation",
        ),
    ],
)
def test_layouts_as_tools_write_them(tmp_path, files, split, annotations, images):
    config = lay(tmp_path, *files)
    found = find_annotations(config, tmp_path, split)
    assert found.path == tmp_path / annotations
    assert choose_images(config, tmp_path, found.path, split, ["a.jpg"]) == tmp_path / images
    assert coco_files(tmp_path)


def test_one_file_is_for_all_splits(tmp_path):
    config = lay(tmp_path, "result.json")
    assert [find_annotations(config, tmp_path, split).whole for split in ("train", "val")] == [True, True]
    with pytest.raises(TagsegError, match=r"result\.json has no splits and --split is 'test'"):
        find_annotations(config, tmp_path, "test")


def test_a_named_file_is_that_of_its_split_or_of_all(tmp_path):
    lay(
        tmp_path,
        "mine.json",
        "annotations/my_train.json",
        "annotations/instances_train.json",
        "annotations/instances_val.json",
    )
    whole = DataConfig(source="coco", tags="mine.json")
    assert find_annotations(whole, tmp_path, "val") == (tmp_path / "mine.json", True)
    own = DataConfig(source="coco", tags="annotations/instances_val.json", train_split="train", val_split="val")
    assert find_annotations(own, tmp_path, "val") == (tmp_path / "annotations/instances_val.json", False)
    assert find_annotations(own, tmp_path, "train").path == tmp_path / "annotations/instances_train.json"


def test_what_is_not_there_or_could_be_several(tmp_path):
    config = lay(tmp_path, "notes.json")
    with pytest.raises(TagsegError, match=r"splits present: none; .*it has notes\.json"):
        find_annotations(config, tmp_path, "train")
    assert not coco_files(tmp_path)
    lay(tmp_path, "result.json", "labels.json")
    with pytest.raises(TagsegError, match=r"several files of annotations, labels\.json, result\.json.*--data\.tags"):
        find_annotations(config, tmp_path, "train")
    lay(tmp_path, "annotations/instances_val2014.json", "annotations/instances_val2017.json")
    for split in ("val", "train", "val2015"):
        with pytest.raises(TagsegError, match="splits present: val2014, val2017; set"):
            find_annotations(config, tmp_path, split)
    with pytest.raises(TagsegError, match=r"no folder train.*--data\.images"):
        choose_images(config, tmp_path, tmp_path / "result.json", "train", ["a.jpg"])


def test_other_files_of_coco_are_passed_over(tmp_path):
    lay(tmp_path, *(f"annotations/{kind}_train.json" for kind in ("captions", "person_keypoints", "panoptic", "stuff")))
    assert find_layout(tmp_path).files == ()


def test_only_content_makes_a_folder_coco(tmp_path):
    (tmp_path / "labels.json").write_text('[{"image": "a.jpg", "labels": ["cat"]}]')
    assert not coco_files(tmp_path)


def test_usual_names_of_splits():
    assert [usual_name(n) for n in ("train2014", "Training", "valid", "validation", "val_2017", "test", "mine")] == [
        *("train", "train", "val", "val", "val", "test", "mine")
    ]


def test_names_that_no_disk_takes_are_looked_for_and_not_found(tmp_path):
    config = lay(tmp_path, "annotations/instances_train.json", "train/a.jpg")
    found = tmp_path / "annotations" / "instances_train.json"
    assert (
        choose_images(config, tmp_path, found, "train", ["b" * 300 + ".jpg", "a\0b.jpg", "a.jpg"]) == tmp_path / "train"
    )
