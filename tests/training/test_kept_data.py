"""A run with a class map and made splits goes on, and is scored, without the files that said them."""

import csv
from pathlib import Path

import pytest
from PIL import Image

from tagseg.config import replace
from tagseg.config_file import read_config
from tagseg.data import sources
from tagseg.data.split_list import FILE, read_splits
from tagseg.inference.evaluate import evaluate
from tagseg.inference.predict import predict
from tagseg.model.checkpoint import load_network
from tagseg.training.train import train

from ..conftest import make_folder, tiny_config
from .conftest import frozen_config

MAP = """classes:
  edged: {from: [square, triangle], colour: "#ff8000"}
  circle:
"""
COLOURS = ((0, 0, 0), (255, 128, 0), (0, 128, 0))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve photos, of which nothing but the tags names the classes, and a class map."""
    root = make_folder(tmp_path / "photos", train=12, val=0)
    (root / "classes.txt").unlink()
    rows = list(csv.reader((root / "labels.csv").open()))
    (root / "labels.csv").write_text("".join(f"{image},{labels}\n" for image, labels, _ in rows))
    (root / "class_map.yaml").write_text(MAP)
    return root


def names(config, split):
    return [sample.name for sample in sources.load(config.data, split, masks=False).samples]


@pytest.mark.slow
def test_a_run_needs_neither_the_map_nor_the_photos_that_were_there(root, tmp_path):
    config = replace(frozen_config(root, tmp_path / "runs" / "a"), data={"val_share": 0.25})
    train_names, val_names = names(config, "train"), names(config, "val")
    result = train(config)
    splits = read_splits(result.folder / FILE)
    assert splits == dict.fromkeys(train_names, "train") | dict.fromkeys(val_names, "val")
    network = load_network(result.network)
    assert (network.classes, network.colours) == (("edged", "circle"), COLOURS)

    (root / "class_map.yaml").unlink()
    make_folder(root / "more", train=5, val=0)
    with (root / "labels.csv").open("a") as file:
        for index in range(5):
            (root / f"more/images/train{index}.jpg").rename(root / f"images/more{index}.jpg")
            file.write(f"more{index}.jpg,circle\n")
    moved = result.folder.rename(tmp_path / "moved")
    data = read_config(moved / "config.yaml").data
    assert data.classes == ("circle", "square", "triangle")
    assert names(read_config(moved / "config.yaml"), "val") == val_names
    assert evaluate(moved, data, scales=(1.0,), mirror=False, quiet=True).classes == ("background", "edged", "circle")

    predict(moved, root / "images/train0.jpg", tmp_path / "out", quiet=True)
    with Image.open(tmp_path / "out/masks/train0.png") as mask:
        palette = mask.getpalette() or []
        assert palette[:9] == [value for rgb in COLOURS for value in rgb]
    legend = (tmp_path / "out/classes.csv").read_text().split()
    assert legend[1:] == ["0,background,0,0,0", "1,edged,255,128,0", "2,circle,0,128,0"]


@pytest.mark.slow
def test_a_training_by_steps_has_the_colours_and_can_be_resumed(root, tmp_path):
    config = tiny_config(root, tmp_path / "run", data={"val_share": 0.25}, run={"steps": 2})
    result = train(config)
    assert load_network(result.folder / "last_teacher.safetensors").colours == COLOURS
    (root / "class_map.yaml").unlink()
    kept = replace(read_config(result.folder / "config.yaml"), run={"steps": 4})
    again = train(kept, resume=result.folder)
    assert again.steps == 4
    assert load_network(again.network).colours == COLOURS
    assert (result.folder / FILE).read_text().count("val") == 3


@pytest.mark.slow
def test_a_run_without_either_keeps_its_settings_as_they_are(tagged_folder, tmp_path):
    config = replace(frozen_config(tagged_folder, tmp_path / "runs" / "a"), data={"class_map": "none"})
    result = train(config)
    assert read_config(result.folder / "config.yaml").data == config.data
    assert not (result.folder / FILE).exists()
