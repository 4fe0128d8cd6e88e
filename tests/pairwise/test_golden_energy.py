"""The exact dense energy points where the published lattice approximation does, at the calibrated scale."""

import pytest
import torch
from torch.nn import functional as F

from tagseg.config import EnergyConfig
from tagseg.pairwise.energy import LATTICE_SCALE, dense_energy


@pytest.fixture(scope="module")
def energy(golden):
    """Published loss and gradient, ours, and the inputs."""
    losses, images = golden("losses.npz"), golden("labels.npz")
    label = losses["energy_label"].long()
    logits = F.interpolate(
        losses["energy_logits_small"], size=label.shape[-2:], mode="bilinear", align_corners=False
    ).requires_grad_()
    loss = dense_energy(logits, images["image_u8"].float(), label, EnergyConfig())
    loss.backward()
    return losses["energy_loss"].item(), losses["energy_grad"], loss.item(), logits.grad


def test_loss_at_the_calibrated_scale(energy):
    published, _, ours, _ = energy
    assert ours == pytest.approx(published, rel=0.01)


def test_the_exact_sum_is_as_much_larger_as_documented(energy):
    published, _, ours, _ = energy
    assert ours / LATTICE_SCALE / published == pytest.approx(1.72, rel=0.01)


def test_gradient_has_the_published_direction_and_size(energy):
    _, published, _, ours = energy
    assert F.cosine_similarity(ours.flatten(), published.flatten(), dim=0) >= 0.99
    ratio = torch.linalg.vector_norm(ours) / torch.linalg.vector_norm(published)
    assert ratio == pytest.approx(1.79 / 1.72, rel=0.03)
