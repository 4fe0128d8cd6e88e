"""Masks of a step, and a step in float64. Which losses a step has when: ``methods/test_fsr.py``."""

import dataclasses

import pytest
import torch

from tagseg.config import replace
from tagseg.fast.ops import FAST
from tagseg.fsr.schedules import mask_choice
from tagseg.fsr.step import PLAIN, State, mask_view2, training_step

from ..conftest import tiny_config
from ..steps import EVERY, LATE, MIXED, batch_of, module_of

OPS = pytest.mark.parametrize("ops", [PLAIN, FAST], ids=["plain", "fast"])


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return tiny_config(tmp_path_factory.mktemp("none"), tmp_path_factory.mktemp("none"))


def mask_of(config, batch, step, ops):
    """Masked patches of view 2 at a step of a training."""
    student, settings = module_of(config).student, config.fsr
    choice = mask_choice(step, config.run.steps, settings.mask)
    x2 = student.normalise(batch.view2)
    return mask_view2(student, x2, batch, ops.cam_classes(batch.tags), choice, settings, ops)


@OPS
def test_masks_cover_the_ratio_and_follow_each_images_seed(config, ops):
    batch = batch_of([[1, 0, 0]] * 3)
    early, late = mask_of(config, batch, 0, ops), mask_of(config, batch, LATE, ops)
    assert early.shape == late.shape == (3, 4, 4)
    assert early.sum((1, 2)).tolist() == late.sum((1, 2)).tolist() == [7] * 3, "0.4 of 16 blocks, rounded up"
    last = batch.parts(3)[2]
    assert torch.equal(mask_of(config, last, 0, ops), early[2:])
    assert mask_of(replace(config, mask={"choice": "none"}), batch, LATE, ops) is None


@OPS
def test_late_masks_hide_uncertain_blocks_first(config, ops):
    cam = torch.zeros(1, 1, 32, 32)
    cam[..., 24:] = 0.5  # between both thresholds

    def auxiliary_cam(network, images, scales, classes):
        return cam.expand(-1, classes.tags.shape[1], -1, -1)

    ops = dataclasses.replace(ops, auxiliary_cam=auxiliary_cam)
    assert mask_of(config, batch_of([[1, 0, 0]]), LATE, ops)[0, :, 3].all()
    missed = [not mask_of(config, batch_of([[1, 0, 0]], seed=seed), 0, ops)[0, :, 3].all() for seed in range(10)]
    assert any(missed), "early ones are random"


@pytest.mark.parametrize("label", [False, True], ids=["pseudo-labels", "labels"])
@pytest.mark.parametrize("local", [0, 2])
def test_a_plain_step_computes_in_float64_where_its_networks_are(config, label, local):
    """To compare with: its losses are those of float32 with more digits."""
    config = replace(config, energy={"scale": 1e-3})
    results = []
    for dtype in (torch.float64, torch.float32):
        module = module_of(config).to(dtype)
        batch = batch_of(MIXED, local=local, label=label)
        state = State(module.student, module.teacher, module.centres)
        losses = training_step(state, batch, LATE, config.run.steps, config.fsr, PLAIN)
        losses.total.backward()
        gradients = [p.grad for p in module.student.parameters() if p.grad is not None]
        values = [losses.total, *losses.terms.values(), *losses.health.values(), *gradients, module.centres.token]
        assert {value.dtype for value in values} == {dtype}
        assert set(losses.terms) == EVERY
        results.append(losses)
    double, single = results
    for name, value in double.terms.items():
        torch.testing.assert_close(single.terms[name], value.float(), rtol=1e-4, atol=1e-5)
