"""Training on ground-truth masks, the network to compare with: it reads them, says so, and needs no CAM."""

import dataclasses
import logging
import shutil
from typing import Any

import pytest
import torch

from tagseg.config import replace
from tagseg.errors import TagsegError
from tagseg.fsr.losses import segmentation_loss
from tagseg.fsr.step import State, training_step
from tagseg.training.train import train

from ..conftest import tiny_config
from ..steps import LATE, MIXED, batch_of, module_of

pytestmark = pytest.mark.slow

ALONE: dict[str, dict[str, Any]] = {
    "beyond": {"labels": "masks"},
    "mask": {"choice": "none"},
    "losses": {"affinity": 0.0, "energy": 0.0, "segmentation": 1.0, "segmentation_from": 0},
}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return replace(tiny_config(tmp_path_factory.mktemp("none"), tmp_path_factory.mktemp("none")), **ALONE)


@pytest.mark.parametrize("form", ["fast", "plain"])
def test_the_segmentation_loss_is_that_of_the_masks(config, form):
    module = module_of(replace(config, network={"drop_path": 0.0}, speed={"step": form}))
    batch = batch_of(MIXED, label=True)
    logits = module.student.segment_logits(module.student.normalise(batch.view1))
    logits = torch.nn.functional.interpolate(logits, size=(32, 32), mode="bilinear", align_corners=False)
    expected = segmentation_loss(logits, batch.label.long())
    torch.testing.assert_close(module.losses(batch, LATE).terms["segmentation"], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", ["fast", "plain"])
def test_no_cam_is_made_that_nobody_reads(config, form):
    module = module_of(replace(config, speed={"step": form}))
    state, steps = State(module.student, module.teacher, module.centres), config.run.steps

    def never(*_):
        pytest.fail("a CAM is made")

    ops = dataclasses.replace(module.ops, cams=never, auxiliary_cam=never)
    losses = training_step(state, batch_of(MIXED, label=True), 0, steps, config.fsr, ops)
    assert set(losses.terms) == {"classification", "segmentation"}


@pytest.mark.parametrize("augment", ["loader", "device"])
def test_it_learns_the_masks_and_says_that_it_reads_them(tagged_folder, tmp_path, caplog, augment):
    run = {"steps": 60, "batch": 4, "validate_every": 60}
    optimiser = {"rate": 1e-3, "warmup": 5}
    settings: dict[str, Any] = {**ALONE, "run": run, "optimiser": optimiser, "views": {"size": 32, "augment": augment}}
    with caplog.at_level(logging.INFO, "tagseg"):
        done = train(tiny_config(tagged_folder, tmp_path / "run", **settings))
    assert "GROUND-TRUTH MASKS" in caplog.text
    assert done.scores["val/student/segmentation"] > 0.3, (
        "two or three classes of which one is background: chance is less"
    )


def test_a_photo_without_a_mask_is_named(tagged_folder, tmp_path):
    root = shutil.copytree(tagged_folder, tmp_path / "photos")
    (root / "masks" / "train2.png").unlink()
    expected = r"beyond.labels is masks, but 1 of 6 images of .* have none \(train2\).*--beyond.labels cam"
    with pytest.raises(TagsegError, match=expected):
        train(tiny_config(root, tmp_path / "run", **ALONE))
    assert not (tmp_path / "run").exists()
