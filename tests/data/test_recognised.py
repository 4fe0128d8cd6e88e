"""Folders that are read as another source than ``folder``, and those that are not."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tagseg.data.config import DataConfig
from tagseg.data.recognised import RECOGNISERS, recognise
from tagseg.data.sources import SOURCES, load, load_for_network

from ..conftest import assert_refused

COCO = json.dumps(
    {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 8, "height": 8}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 4, 0, 4, 4, 0, 4]], "bbox": [0, 0, 4, 4]}
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }
)


def lay(root: Path, **files: str) -> DataConfig:
    (root / "images").mkdir()
    Image.new("RGB", (8, 8)).save(root / "images" / "a.jpg")
    for name, text in files.items():
        (root / f"{name}.json").write_text(text)
    return DataConfig(root=str(root), val_split="")


@pytest.mark.parametrize("name", ["result", "labels", "annotations"])
def test_a_folder_of_coco_is_read_as_such_and_said(tmp_path, name):
    config = lay(tmp_path, **{name: COCO})
    images = load(config, "train")
    assert images.classes == ("cat",)
    assert images.layout == f"MS COCO's layout ({name}.json)"
    assert load_for_network(config, "train", ("dog", "cat"), tags=False).samples[0].tags == (1,)


def test_a_setting_comes_first(tmp_path):
    config = lay(tmp_path, result=COCO)
    assert recognise(DataConfig(root=config.root, source="voc"))[0].source == "voc"
    assert recognise(DataConfig(root=config.root, tags="result.json"))[0].source == "folder"


def test_two_ways_to_read_a_folder_are_named_with_the_settings_that_choose(tmp_path):
    config = lay(tmp_path, result=COCO)
    (tmp_path / "labels.csv").write_text("image,labels\na.jpg,dog\n")
    assert_refused(
        lambda: load(config, "train"),
        "MS COCO's layout (result.json) or as photos with a tag file (labels.csv)",
        "--data.source coco or --data.tags labels.csv",
    )
    assert load(replace(config, source="coco"), "train").classes == ("cat",)
    assert load(replace(config, tags="labels.csv"), "train").classes == ("dog",)


def test_a_folder_of_voc_is_read_as_such(tmp_path):
    config = lay(tmp_path)
    (tmp_path / "images").rename(tmp_path / "JPEGImages")
    assert recognise(config)[0].source == "folder"
    (tmp_path / "ImageSets" / "Segmentation").mkdir(parents=True)
    assert recognise(config)[0].source == "voc"


def test_other_folders_stay_what_they_are(tmp_path):
    config = lay(tmp_path, labels='[{"image": "a.jpg", "labels": ["cat"]}]', notes="{}")
    assert recognise(config) == (config, "photos with a tag file (labels.json)")
    absent = DataConfig(root=str(tmp_path / "absent"))
    assert recognise(absent) == (absent, "")


def lay_class_folders(root: Path, *names: str) -> DataConfig:
    for shade, name in enumerate(names or ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (40 * shade, 0, 0)).save(root / name)
    return DataConfig(root=str(root), val_split="")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("cat/1.jpg,cat\ncat/2,cat;dog\ndog/1.jpg,dog\n", ""),
        ("cat/1.jpg,indoors\ncat/2.jpg,outdoors\ndog/1.jpg,outdoors\n", ""),
        ("cat/1.jpg,cat\ncat/2.jpg,dog\ndog/1.jpg,dog\n", "contradicts for 1 of 3 (cat/2.jpg)"),
        ("cat/1.jpg,cat\ndog/1.jpg,dog\n", "contradicts for 1 of 3 (cat/2.jpg)"),
    ],
)
def test_a_tag_file_goes_first_unless_it_contradicts_the_class_folders(tmp_path, rows, says):
    config = lay_class_folders(tmp_path)
    (tmp_path / "labels.csv").write_text(f"image,labels\n{rows}")
    if not says:
        assert recognise(config) == (config, "photos with a tag file (labels.csv)")
        return
    ways = (
        "a folder per class (2 classes in 2 folders)",
        says,
        "--data.tags labels.csv or --data.source class_folders",
    )
    assert_refused(lambda: recognise(config), *ways)
    assert load(replace(config, tags="labels.csv"), "train").tags_from == "labels.csv"
    assert load(replace(config, source="class_folders"), "train").tags_from == "the names of the folders"


def test_class_folders_beside_another_layout_are_a_second_way(tmp_path):
    lay(tmp_path, result=COCO)
    config = lay_class_folders(tmp_path)
    assert_refused(lambda: recognise(config), "MS COCO's layout", "--data.source coco or --data.source class_folders")
    (tmp_path / "result.json").unlink()
    (tmp_path / "ImageSets" / "Segmentation").mkdir(parents=True)
    (tmp_path / "images").rename(tmp_path / "JPEGImages")
    assert_refused(lambda: recognise(config), "PASCAL VOC's layout", "--data.source voc or --data.source class_folders")


def test_sub_folders_of_photos_that_only_masks_tell_of_are_no_classes(tmp_path):
    """To score, classes and masks are enough."""
    config = replace(lay_class_folders(tmp_path, "aachen/1.jpg", "bonn/2.jpg"), classes=("road", "car"))
    for name in ("aachen/1.png", "bonn/2.png"):
        (tmp_path / "masks" / name).parent.mkdir(parents=True)
        Image.new("L", (8, 8), 1).save(tmp_path / "masks" / name)
    images = load(config, "train", tags=False)
    assert [(sample.name, sample.tags_known) for sample in images.samples] == [("aachen/1", False), ("bonn/2", False)]
    assert_refused(lambda: load(config, "train"), "aachen/, bonn/, none of which is in the class list (road, car)")


def test_photos_alone_are_refused_with_what_could_be_added(tmp_path):
    config = lay(tmp_path)
    assert recognise(config) == (config, "")
    assert_refused(lambda: load(config, "train"), "no tag file", "labels.csv", "or a folder for each class")


def test_every_way_is_recognised_by_a_source_that_exists(tmp_path):
    config = lay_class_folders(tmp_path)
    for look in RECOGNISERS:
        way = look(tmp_path, config)
        assert way is None or (way.source in SOURCES and way.flag.startswith("--data."))
    assert recognise(config)[0] == replace(config, source="class_folders")
    set_by_hand = replace(config, images=".")
    assert recognise(set_by_hand) == (set_by_hand, "")
