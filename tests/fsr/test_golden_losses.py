"""Losses and their gradients equal those of the published implementation."""

import pytest
import torch
from torch.nn import functional as F

from tagseg.fsr.distillation import Centres, TeacherProjections, certain_loss, uncertain_loss
from tagseg.fsr.losses import affinity_loss, affinity_pairs, segmentation_loss
from tagseg.fsr.schedules import teacher_temperature

from ..conftest import assert_agrees


@pytest.fixture(scope="module")
def values(golden):
    return golden("losses.npz")


def test_affinity_loss(values):
    features = values["aff_fmap"].clone().requires_grad_()
    loss = affinity_loss(features, values["aff_label"].long())
    loss.backward()
    assert_agrees(loss, values["aff_loss"])
    assert_agrees(features.grad, values["aff_grad"])


def test_affinity_pairs(values):
    same, different = affinity_pairs(values["aff_label"].long())
    pairs = torch.full(same.shape, 255, dtype=torch.uint8)
    pairs[same], pairs[different] = 1, 0
    assert torch.equal(pairs, values["aff_mask"])


def test_segmentation_loss(values):
    label = values["seg_label"].long()
    logits = F.interpolate(values["seg_logits_small"], size=label.shape[-2:], mode="bilinear", align_corners=False)
    logits.requires_grad_()
    loss = segmentation_loss(logits, label)
    loss.backward()
    assert_agrees(loss, values["seg_loss"])
    assert logits.grad is not None
    assert_agrees(logits.grad.norm(), values["seg_grad_norm"])


def test_teacher_temperature(values):
    published = values["fsr_teacher_temp_0_63"]
    ours = [teacher_temperature(step, 8, 0.04, 0.07) for step in range(len(published))]
    assert_agrees(torch.tensor(ours, dtype=torch.float64), published, 1e-9)


def test_three_steps_of_self_distillation_with_their_centres(values):
    centres = Centres(values["fsr0_teacher"].shape[-1], momentum=0.9)
    half = len(values["fsr_mask"]) // 2
    mask = values["fsr_mask"][half:].flatten(1)
    for call in range(3):
        teacher, student = values[f"fsr{call}_teacher"], values[f"fsr{call}_student"].clone().requires_grad_()
        temperatures = 0.1, teacher_temperature(int(values[f"fsr{call}_epoch"]), 8, 0.04, 0.07)
        projections = TeacherProjections(teacher[:half, 0], teacher[half:, 1:][mask], teacher[half:, 1:].mean((0, 1)))
        certain = certain_loss(student[half:, 0], projections.token, centres.token, *temperatures)
        uncertain = uncertain_loss(student[half:, 1:][mask], projections.patches, mask, centres.patch, *temperatures)
        (certain.loss + uncertain.loss).backward()
        centres.update(projections)
        assert_agrees(certain.loss, values[f"fsr{call}_class_loss"])
        assert_agrees(uncertain.loss, values[f"fsr{call}_patch_loss"])
        assert_agrees(student.grad, values[f"fsr{call}_grad"])
        assert_agrees(centres.token, values[f"fsr{call}_class_center"].flatten())
        assert_agrees(centres.patch, values[f"fsr{call}_patch_center"].flatten())
