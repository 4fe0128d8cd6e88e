"""From a folder per class, and from photos and tags in memory, to a network that is scored; all from the outside."""

import csv
import json
import shutil
from pathlib import Path

import pytest

import tagseg
from tagseg.cli import main
from tagseg.config_file import read_config, save_config

from ..conftest import CLASSES
from .conftest import frozen_config

pytestmark = pytest.mark.slow


@pytest.fixture
def rows(tagged_folder):
    """Name, tag and split of each photo of ``tagged_folder``."""
    with (tagged_folder / "labels.csv").open(newline="") as file:
        return [(row["image"], row["labels"], row["split"]) for row in csv.DictReader(file)]


@pytest.fixture
def class_folders(tagged_folder, rows, tmp_path) -> Path:
    """The photos in folders of their classes and splits, those without a tag in ``none``, the masks likewise."""
    root = tmp_path / "photos"
    for image, tag, split in rows:
        for source, name in (("images", image), ("masks", f"{Path(image).stem}.png")):
            folder = (root / "masks" if source == "masks" else root) / split / (tag or "none")
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(tagged_folder / source / name, folder / name)
    (root / "classes.txt").write_text("\n".join(CLASSES))
    return root


def test_a_folder_per_class_on_the_command_line(capsys, caplog, class_folders, tmp_path):
    save_config(frozen_config("absent", tmp_path / "run", run={"validate_every": 0.1}), tmp_path)
    assert main(["train", str(class_folders), "--config", str(tmp_path / "config.yaml")]) == 0
    layout = "a folder per class (3 classes in 4 folders, none/ holds images of nothing), split by train/ and val/"
    assert f"data     {class_folders}: {layout}" in caplog.messages
    assert "training on the tags of 6 images, scoring 2 by their masks" in caplog.messages
    read = json.loads((tmp_path / "run" / "data.json").read_text())
    assert (read["taken for"], read["splits"]["train"]["without tags"]) == (layout, 1)
    caplog.clear()
    assert main(["evaluate", str(tmp_path / "run"), "--scales", "[1.0]"]) == 0
    assert f"data     {class_folders}: {layout}" in caplog.messages
    table = capsys.readouterr().out
    assert all(name in table for name in ("mIoU", *CLASSES))


def test_a_folder_that_could_be_meant_in_two_ways_is_one_line(capsys, class_folders, tmp_path):
    (class_folders / "labels.csv").write_text("image,labels\ntrain0.jpg,square\n")
    assert main(["train", str(class_folders), "--run.output", str(tmp_path / "run")]) == 2
    captured = capsys.readouterr()
    (line,) = (line for line in captured.err.splitlines() if "error" in line)
    assert "can be read as photos with a tag file (labels.csv) or as a folder per class" in line
    assert "--data.tags labels.csv or --data.source class_folders" in line
    assert not (tmp_path / "run").exists()


def test_photos_and_tags_in_memory(tagged_folder, rows, tmp_path, monkeypatch):
    config = frozen_config("absent", tmp_path / "run", data={"classes": CLASSES})
    photos = [(tagged_folder / "images" / image, tag, split) for image, tag, split in rows]
    run = tagseg.train(config, photos=photos)
    assert (run.folder / "data" / "labels.jsonl").is_file()
    monkeypatch.chdir(tagged_folder)  # from anywhere
    kept = read_config(run.folder / "config.yaml")
    assert tagseg.load_network(run.network).classes == CLASSES
    run.network.unlink()
    again = tagseg.train(kept, resume=run.folder)
    assert json.loads((again.folder / "data.json").read_text())["splits"]["train"]["images"] == 6
    with_masks = tagseg.replace(kept, data={"masks": str(tagged_folder / "masks")}).data
    data = tagseg.data_of(photos, tmp_path / "list", with_masks)
    score = tagseg.evaluate(run.folder, data, split="val", scales=(1.0,), quiet=True)
    assert score.classes == ("background", *CLASSES)
    assert score.matrix.sum() > 0
