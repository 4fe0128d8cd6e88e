"""Folders that are read as another source than ``folder``, and those that are not."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tagseg.data.config import DataConfig
from tagseg.data.recognised import recognise
from tagseg.data.sources import load, load_for_network

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
    assert any("read as with --data.source coco" in str(note) for note in images.notes)
    assert load_for_network(config, "train", ("dog", "cat"), tags=False).samples[0].tags == (1,)


def test_a_tag_file_or_a_setting_comes_first(tmp_path):
    config = lay(tmp_path, result=COCO)
    assert recognise(DataConfig(root=config.root, source="voc"))[0].source == "voc"
    assert recognise(DataConfig(root=config.root, tags="result.json"))[0].source == "folder"
    (tmp_path / "labels.csv").write_text("image,labels\na.jpg,cat\n")
    assert recognise(config) == (config, ())


def test_a_folder_of_voc_is_read_as_such(tmp_path):
    config = lay(tmp_path)
    (tmp_path / "images").rename(tmp_path / "JPEGImages")
    assert recognise(config)[0].source == "folder"
    (tmp_path / "ImageSets" / "Segmentation").mkdir(parents=True)
    assert recognise(config)[0].source == "voc"


def test_other_folders_stay_what_they_are(tmp_path):
    config = lay(tmp_path, labels='[{"image": "a.jpg", "labels": ["cat"]}]', notes="{}")
    assert recognise(config) == (config, ())
    absent = DataConfig(root=str(tmp_path / "absent"))
    assert recognise(absent) == (absent, ())
