"""L_seg and L_reg some rows at a time: the formulas as they stand, whatever the bands."""

import pytest
import torch
from torch.nn import functional as F

from tagseg.fast import dense_losses as module
from tagseg.fast.bilateral import lattice_scale_filter
from tagseg.fast.dense_losses import dense_losses
from tagseg.fsr import losses as plain
from tagseg.fsr.config import EnergyConfig
from tagseg.fsr.energy import dense_energy
from tagseg.fsr.losses import segmentation_loss

SIZES = {"square": (32, 32), "wide": (16, 48), "rows that fill no band": (22, 32), "odd": (31, 32)}


def inputs(size, classes=5, images=3):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(images, classes, 4, 4, generator=generator)
    label = torch.randint(0, classes + 1, (images, *size), generator=generator)
    label[label == classes] = 255
    image = torch.randint(0, 256, (images, 3, *size), dtype=torch.uint8, generator=generator)
    return logits, label, image


@pytest.mark.parametrize("cached", [1, 5 * 32 * 6, 1_000_000], ids=["two rows", "six rows", "all rows"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("energy", [EnergyConfig(scale=1e-2), None], ids=["energy", "no energy"])
def test_losses_and_gradient_are_those_of_the_formulas(monkeypatch, cached, size, energy):
    monkeypatch.setattr(module, "CACHED", cached)
    logits, label, image = inputs(size)
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    losses = dense_losses(ours, label, image, energy)
    pixels = F.interpolate(theirs, size=size, mode="bilinear", align_corners=False)
    expected = {"segmentation": segmentation_loss(pixels, label)}
    if energy is not None:
        expected["energy"] = dense_energy(pixels, image.float(), label, energy, lattice_scale_filter)
    assert set(losses) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, rtol=1e-5, atol=1e-6)
    (losses["segmentation"] + 3 * losses.get("energy", 0)).backward()
    (expected["segmentation"] + 3 * expected.get("energy", 0)).backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("energy", [EnergyConfig(scale=1e-2, method="exact"), None], ids=["energy", "no energy"])
def test_losses_and_gradient_are_those_of_the_plain_form(size, energy):
    logits, label, image = inputs(size)
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    losses, expected = dense_losses(ours, label, image, energy), plain.dense_losses(theirs, label, image, energy)
    assert set(losses) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, rtol=1e-5, atol=1e-6)
    (losses["segmentation"] + 3 * losses.get("energy", 0)).backward()
    (expected["segmentation"] + 3 * expected.get("energy", 0)).backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)


def test_a_batch_without_a_known_pixel_has_no_loss():
    logits, label, image = inputs((32, 32))
    logits.requires_grad_()
    losses = dense_losses(logits, torch.full_like(label, 255), image, None)
    losses["segmentation"].backward()
    assert losses["segmentation"] == 0
    assert not logits.grad.any()


def test_no_tensor_is_as_large_as_an_images_pixels(monkeypatch):
    monkeypatch.setattr(module, "CACHED", 5 * 64 * 4)
    sizes = []
    softmax = torch.softmax

    def watched(x, dim):
        sizes.append(x.numel())
        return softmax(x, dim)

    monkeypatch.setattr(torch, "softmax", watched)
    logits, label, image = inputs((64, 64))
    logits.requires_grad_()
    torch.stack([*dense_losses(logits, label, image, EnergyConfig()).values()]).sum().backward()
    assert max(sizes) <= 5 * 64 * 4
