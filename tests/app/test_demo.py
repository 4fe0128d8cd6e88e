"""The demo from drawn scenes to pictures, at a few steps."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tagseg.app.demo import configuration, demo, plain_cam
from tagseg.cli import main
from tagseg.errors import TagsegError
from tagseg.methods.build import build_method
from tagseg.methods.config import ClassifierConfig

from ..conftest import CLASSES
from ..steps import LATE, MIXED, batch_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo")
    assert main(["demo", "--output", str(path), "--steps", "4", "--scenes", "16"]) == 0
    return path


def test_leaves_pictures_scores_and_masks(folder: Path) -> None:
    scores = json.loads((folder / "scores.json").read_text())
    assert set(scores) == {"plain_cam", "cam", "segmentation"}
    assert all(0 <= value <= 1 for value in scores.values())
    with Image.open(folder / "grid.png") as grid:
        assert grid.width > grid.height > 500
    assert (folder / "curves.png").stat().st_size > 1000
    page = (folder / "report.html").read_text("utf-8")
    assert all(f">{100 * scores[name]:.2f}</td>" in page for name in ("cam", "segmentation"))
    masks = sorted((folder / "predictions" / "masks").iterdir())
    assert len(masks) == 4
    assert np.asarray(Image.open(masks[0])).max() <= 6
    with (folder / "predictions" / "predictions.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 4


def test_a_second_call_goes_on_where_the_first_stopped(folder: Path) -> None:
    before = (folder / "fsr" / "best.safetensors").read_bytes()
    scores = demo(folder, steps=4, scenes=16)
    assert scores == pytest.approx(json.loads((folder / "scores.json").read_text()))
    assert (folder / "fsr" / "best.safetensors").read_bytes() == before


def test_other_settings_in_the_same_folder_are_refused(folder: Path) -> None:
    with pytest.raises(TagsegError, match="holds a demo with other settings"):
        demo(folder, steps=5, scenes=16)


def test_the_baseline_trains_the_classification_loss_alone_with_all_else_equal(tmp_path: Path) -> None:
    ours = configuration(tmp_path, steps=10, scenes=16, seed=0)
    plain = plain_cam(ours)
    assert set(build_method(plain, CLASSES).losses(batch_of(MIXED, size=128), LATE).terms) == {"classification"}
    assert plain.beyond.labels == "cam"  # labels that no loss reads are not made
    assert isinstance(plain.method, ClassifierConfig)
    assert (plain.network, plain.views) == (ours.network, ours.views)
    assert (plain.method.optimiser, plain.method.cam) == (ours.fsr.optimiser, ours.fsr.cam)
