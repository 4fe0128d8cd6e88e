"""Pseudo-labels and refinement give what the published implementation gave on the same CAMs."""

import pytest
from torch.nn import functional as F

from tagseg.fast import par as fast_par
from tagseg.fast import pseudo_labels as fast_pseudo_labels
from tagseg.fsr import par, pseudo_labels
from tagseg.fsr.config import LabelConfig
from tagseg.fsr.pseudo_labels import cam_to_label, cam_to_score

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


@pytest.mark.parametrize("refine", [par.refine, fast_par.refine], ids=["plain", "fast"])
def test_pixel_adaptive_refinement(values, refine):
    small = F.interpolate(values["image"], size=values["par_in"].shape[-2:], mode="bilinear", align_corners=False)
    assert_agrees(refine(small, values["par_in"], LabelConfig()), values["par_out"])


@pytest.mark.parametrize(
    "pseudo_label", [pseudo_labels.pseudo_label, fast_pseudo_labels.pseudo_label], ids=["plain", "fast"]
)
def test_refined_label(values, pseudo_label):
    label = pseudo_label(values["image"], values["cam"], values["labels"], LabelConfig(high=HIGH, low=LOW))
    assert agreement(label, values["refined_label"]) >= 0.999
