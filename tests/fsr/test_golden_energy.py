"""The dense energy by the lattice is the published one; the exact sum points where it does, at the calibrated scale."""

import pytest
import torch
from torch.nn import functional as F

from tagseg.fast import bilateral as fast
from tagseg.fsr import energy as plain
from tagseg.fsr.config import EnergyConfig
from tagseg.fsr.energy import LATTICE_SCALE, dense_energy

LEAST_COSINE = {"lattice": 0.999, "exact": 0.99}
RATIO_OF_SIZES = {"lattice": 1.0, "exact": 1.79 / 1.72}
FILTERS = {"plain": plain.lattice_scale_filter, "fast": fast.lattice_scale_filter}
CASES = [(method, form) for method in LEAST_COSINE for form in FILTERS]


@pytest.fixture(scope="module", params=CASES, ids=" ".join)
def energy(golden, request):
    """Method, published loss and gradient, and ours."""
    method, form = request.param
    losses, images = golden("losses.npz"), golden("labels.npz")
    label = losses["energy_label"].long()
    logits = F.interpolate(
        losses["energy_logits_small"], size=label.shape[-2:], mode="bilinear", align_corners=False
    ).requires_grad_()
    loss = dense_energy(logits, images["image_u8"].float(), label, EnergyConfig(method=method), FILTERS[form])
    loss.backward()
    return method, losses["energy_loss"].item(), losses["energy_grad"], loss.item(), logits.grad


def test_the_published_way_is_the_default():
    assert EnergyConfig().method == "lattice"


def test_loss(energy):
    _, published, _, ours, _ = energy
    assert ours == pytest.approx(published, rel=0.01)


def test_the_exact_sum_is_as_much_larger_as_documented(energy):
    method, published, _, ours, _ = energy
    if method == "exact":
        assert ours / LATTICE_SCALE / published == pytest.approx(1.72, rel=0.01)


def test_gradient_has_the_published_direction_and_size(energy):
    method, _, published, _, ours = energy
    assert F.cosine_similarity(ours.flatten(), published.flatten(), dim=0) >= LEAST_COSINE[method]
    ratio = torch.linalg.vector_norm(ours) / torch.linalg.vector_norm(published)
    assert ratio == pytest.approx(RATIO_OF_SIZES[method], rel=0.03)
