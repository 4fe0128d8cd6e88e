"""Pseudo-labels and refinement give what the published implementation gave on the same CAMs."""

import pytest
from torch.nn import functional as F

from tagseg.config import LabelConfig
from tagseg.pseudo.labels import cam_to_label, cam_to_score, refined_label
from tagseg.pseudo.refine import refine

from ..conftest import assert_agrees

HIGH, LOW = 0.7, 0.25


@pytest.fixture(scope="module")
def values(golden):
    values = golden("labels.npz")
    return values | {"cam": values["cams"].float(), "image": values["image_u8"].float() / 255}


def agreement(ours, published):
    assert ours.shape == published.shape
    return (ours == published).float().mean().item()


def test_label_of_a_cam(values):
    label = cam_to_label(values["cam"], values["labels"], HIGH, LOW)
    assert agreement(label, values["label_ignore_mid"]) >= 0.999


def test_label_of_a_cam_for_scoring(values):
    label = cam_to_score(values["cam"], values["labels"], 0.5)
    assert agreement(label, values["label_hard_050"]) >= 0.999


def test_pixel_adaptive_refinement(values):
    small = F.interpolate(values["image"], size=values["par_in"].shape[-2:], mode="bilinear", align_corners=False)
    assert_agrees(refine(small, values["par_in"]), values["par_out"])


def test_refined_label(values):
    label = refined_label(values["image"], values["cam"], values["labels"], LabelConfig(high=HIGH, low=LOW))
    assert agreement(label, values["refined_label"]) >= 0.999
