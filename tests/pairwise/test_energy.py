import pytest
import torch
from torch.nn import functional as F

from tagseg.config import EnergyConfig
from tagseg.data.dataset import IGNORE
from tagseg.pairwise.energy import LATTICE_SCALE, dense_energy

CONFIG = EnergyConfig(sigma_xy=8.0, sigma_rgb=60.0, scale=0.01)


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(2, 3, 12, 10, generator=generator)
    image = 255 * torch.rand(2, 3, 12, 10, generator=generator)
    label = torch.randint(0, 3, (2, 12, 10), generator=generator)
    label[0, :, :5] = IGNORE
    return logits, image, label


def plain_energy(logits, image, label, config):
    """METHOD §7 with the full kernel, in float64, differentiable by autograd."""
    height, width = logits.shape[2] // 2, logits.shape[3] // 2
    soft = F.interpolate(logits.double().softmax(1), size=(height, width), mode="bilinear")
    small = image.double()[:, :, ::2, ::2]
    total = 0
    for s, im, la in zip(soft, small, label[:, ::2, ::2], strict=True):
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        f = torch.cat([x.reshape(1, -1) / (config.sigma_xy / 2), y.reshape(1, -1) / (config.sigma_xy / 2),
                       im.flatten(1) / config.sigma_rgb]).T  # fmt: skip
        kernel = torch.exp(-0.5 * (f[:, None] - f[None]).square().sum(2))
        gate = torch.where(la == IGNORE, 1.0, (1 - s.max(0).values).clamp(min=0)).flatten().detach()
        # The gate is a constant and the gradient 2 · Gate · K S: autograd of S Gate K S has Gate and K Gate, so let
        # it see the part that METHOD differentiates, with the value of the whole.
        flat = s.flatten(1)
        filtered = kernel @ flat.T
        value = (flat.T * gate[:, None] * filtered).sum()
        differentiated = 2 * (flat.T * (gate[:, None] * filtered).detach()).sum()
        total = total - (value.detach() + differentiated - differentiated.detach())
    return total / len(logits) * config.scale * LATTICE_SCALE


def test_value_and_gradient_equal_those_of_the_full_kernel(case):
    logits, image, label = case
    ours, plain = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    energy, expected = dense_energy(ours, image, label, CONFIG), plain_energy(plain, image, label, CONFIG)
    energy.backward()
    expected.backward()
    torch.testing.assert_close(energy.double(), expected, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(ours.grad, plain.grad, rtol=1e-3, atol=1e-7)


def test_with_an_open_gate_the_gradient_is_that_of_finite_differences(case):
    """Where all pixels are ignored the gate is 1 everywhere, and −SᵀKS has the analytic gradient −2KS."""
    logits, image, label = case
    label = torch.full_like(label, IGNORE)
    leaf = logits.clone().requires_grad_()
    dense_energy(leaf, image, label, CONFIG).backward()
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        direction = torch.randn(logits.shape, generator=generator)
        up, down = (plain_energy(logits.double() + e * direction, image, label, CONFIG) for e in (1e-4, -1e-4))
        assert (leaf.grad * direction).sum().item() == pytest.approx(((up - down) / 2e-4).item(), rel=1e-3)


def test_the_gate_is_open_where_the_label_is_ignored(case):
    logits, image, label = case
    sure = torch.zeros_like(logits)
    sure[:, 1] = 100.0  # where the label is known, a sure prediction shuts the gate
    assert dense_energy(sure, image, torch.zeros_like(label), CONFIG).abs() < 1e-4
    assert dense_energy(sure, image, torch.full_like(label, IGNORE), CONFIG) < -0.1


def test_an_unsure_prediction_opens_the_gate(case):
    logits, image, label = case
    assert dense_energy(torch.zeros_like(logits), image, torch.zeros_like(label), CONFIG) < -0.1


def test_equal_labels_for_like_colours_have_less_energy():
    image = torch.zeros(1, 3, 8, 8)
    image[..., 4:] = 255.0
    along = torch.zeros(1, 2, 8, 8)
    along[:, 0, :, :4], along[:, 1, :, 4:] = 3.0, 3.0
    label = torch.full((1, 8, 8), IGNORE)
    assert dense_energy(along, image, label, CONFIG) < dense_energy(along.transpose(2, 3), image, label, CONFIG)


def test_the_energy_of_a_batch_is_the_mean_of_its_images(case):
    logits, image, label = case
    parts = [dense_energy(logits[i : i + 1], image[i : i + 1], label[i : i + 1], CONFIG) for i in range(2)]
    torch.testing.assert_close(dense_energy(logits, image, label, CONFIG), sum(parts) / 2)


def test_one_pixel_is_enough():
    energy = dense_energy(torch.zeros(1, 2, 1, 1), torch.zeros(1, 3, 1, 1), torch.full((1, 1, 1), IGNORE), CONFIG)
    assert energy.item() == pytest.approx(-0.5 * CONFIG.scale * LATTICE_SCALE)
