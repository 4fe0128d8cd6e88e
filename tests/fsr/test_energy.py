import resource
import sys
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from tagseg.data.dataset import IGNORE
from tagseg.fast import bilateral as fast
from tagseg.fsr import energy as plain
from tagseg.fsr.config import EnergyConfig
from tagseg.fsr.energy import LATTICE_SCALE
from tagseg.pairwise.bilateral import MOST_EXACT
from tagseg.pairwise.lattice import Lattice, pixel_features, slice_scale

from ..pairwise.conftest import photo, soft

CONFIG = EnergyConfig(sigma_xy=8.0, sigma_rgb=60.0, scale=0.01, method="exact")
LATTICE = replace(CONFIG, method="lattice")
METHODS = pytest.mark.parametrize("method", ["exact", "lattice"])
FILTERS = {"plain": plain.lattice_scale_filter, "fast": fast.lattice_scale_filter}


@pytest.fixture(params=FILTERS.values(), ids=list(FILTERS))
def dense_energy(request):
    """With the plain filter and with the fast one."""
    return partial(plain.dense_energy, bilateral=request.param)


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(2, 3, 12, 10, generator=generator)
    image = 255 * torch.rand(2, 3, 12, 10, generator=generator)
    label = torch.randint(0, 3, (2, 12, 10), generator=generator)
    label[0, :, :5] = IGNORE
    return logits, image, label


def plain_energy(logits, image, label, config):
    """Section 7 of docs/method.md with the full kernel, in float64, differentiable by autograd."""
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
        # it see the part that section 7 differentiates, with the value of the whole.
        flat = s.flatten(1)
        filtered = kernel @ flat.T
        value = (flat.T * gate[:, None] * filtered).sum()
        differentiated = 2 * (flat.T * (gate[:, None] * filtered).detach()).sum()
        total = total - (value.detach() + differentiated - differentiated.detach())
    return total / len(logits) * config.scale * LATTICE_SCALE


def test_value_and_gradient_equal_those_of_the_full_kernel(case, dense_energy):
    logits, image, label = case
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    energy, expected = dense_energy(ours, image, label, CONFIG), plain_energy(theirs, image, label, CONFIG)
    energy.backward()
    expected.backward()
    torch.testing.assert_close(energy.double(), expected, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-7)


def test_with_an_open_gate_the_gradient_is_that_of_finite_differences(case, dense_energy):
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


@METHODS
def test_the_gate_is_open_where_the_label_is_ignored(case, method, dense_energy):
    logits, image, label = case
    config = replace(CONFIG, method=method)
    sure = torch.zeros_like(logits)
    sure[:, 1] = 100.0  # where the label is known, a sure prediction shuts the gate
    assert dense_energy(sure, image, torch.zeros_like(label), config).abs() < 1e-4
    assert dense_energy(sure, image, torch.full_like(label, IGNORE), config) < -0.1


@METHODS
def test_an_unsure_prediction_opens_the_gate(case, method, dense_energy):
    logits, image, label = case
    sure = torch.zeros_like(logits)
    sure[:, 1] = 100.0
    config = replace(CONFIG, method=method)
    unsure, certain = (
        dense_energy(x, image, torch.zeros_like(label), config) for x in (torch.zeros_like(logits), sure)
    )
    assert unsure < -0.05
    assert certain.abs() < 1e-4


@METHODS
def test_equal_labels_for_like_colours_have_less_energy(method, dense_energy):
    config = replace(CONFIG, method=method)
    image = torch.zeros(1, 3, 8, 8)
    image[..., 4:] = 255.0
    along = torch.zeros(1, 2, 8, 8)
    along[:, 0, :, :4], along[:, 1, :, 4:] = 3.0, 3.0
    label = torch.full((1, 8, 8), IGNORE)
    assert dense_energy(along, image, label, config) < dense_energy(along.transpose(2, 3), image, label, config)


@METHODS
def test_the_energy_of_a_batch_is_the_mean_of_its_images(case, method, dense_energy):
    logits, image, label = case
    config = replace(CONFIG, method=method)
    parts = [dense_energy(logits[i : i + 1], image[i : i + 1], label[i : i + 1], config) for i in range(2)]
    torch.testing.assert_close(dense_energy(logits, image, label, config), sum(parts) / 2)


def test_one_pixel_is_enough(dense_energy):
    """It is its own neighbour; on a corner of the lattice it keeps its value but for the published factor."""
    one = torch.zeros(1, 2, 1, 1), torch.zeros(1, 3, 1, 1), torch.full((1, 1, 1), IGNORE)
    assert dense_energy(*one, CONFIG).item() == pytest.approx(-0.5 * CONFIG.scale * LATTICE_SCALE)
    assert dense_energy(*one, LATTICE).item() == pytest.approx(-0.5 * CONFIG.scale * slice_scale(5), rel=2**-5)


def by_hand(logits, image, label, config, lattice):
    """Energy, and the gradient of section 7, −2 · Gate · (K S) / B with respect to S, as a constant for autograd."""
    half = logits.shape[2] // 2, logits.shape[3] // 2
    soft = F.interpolate(logits.softmax(1), size=half, mode="bilinear")
    points = pixel_features(image[:, :, ::2, ::2], config.sigma_xy / 2, config.sigma_rgb)
    filtered = lattice(points, soft.detach().flatten(2).transpose(1, 2)).transpose(1, 2).view_as(soft)
    known = label[:, ::2, ::2] != IGNORE
    gate = torch.where(known, 1 - soft.detach().amax(1), 1.0)[:, None]
    value = -(soft.detach() * gate * filtered).sum() / len(logits) * config.scale
    to_soft = -2 * gate * filtered / len(logits) * config.scale
    (gradient,) = torch.autograd.grad(soft, logits, to_soft)
    return value, gradient


def plain_lattice(points, values):
    return Lattice.build(points).filter(values)


LATTICES = {"plain": plain_lattice, "fast": fast.lattice_filter}


@pytest.mark.parametrize("form", FILTERS)
@pytest.mark.parametrize("lattice", LATTICES)
def test_value_and_gradient_by_the_lattice(case, form, lattice):
    """The forms differ a little: pixels at x = 0 or y = 0 lie between simplices, where rounding decides."""
    tolerance = 1e-5 if form == lattice else 0.03
    logits, image, label = case
    leaf = logits.clone().requires_grad_()
    energy = plain.dense_energy(leaf, image, label, LATTICE, FILTERS[form])
    energy.backward()
    value, gradient = by_hand(logits.clone().requires_grad_(), image, label, LATTICE, LATTICES[lattice])
    torch.testing.assert_close(energy, value, rtol=tolerance, atol=0)
    assert (leaf.grad - gradient).abs().max() <= tolerance * gradient.abs().max()


@METHODS
def test_the_gradient_goes_with_what_is_built_on_the_energy(case, method, dense_energy):
    logits, image, label = case
    config = replace(CONFIG, method=method)
    once, thrice = (logits.clone().requires_grad_() for _ in range(2))
    dense_energy(once, image, label, config).backward()
    (-3 * dense_energy(thrice, image, label, config)).backward()
    torch.testing.assert_close(thrice.grad, -3 * once.grad)


def test_auto_is_the_exact_sum_of_few_points_and_the_lattice_of_many(case, monkeypatch, dense_energy):
    exact, lattice, auto = (dense_energy(*case, replace(CONFIG, method=m)) for m in ("exact", "lattice", "auto"))
    assert exact != lattice
    assert auto == exact
    monkeypatch.setitem(MOST_EXACT, "cpu", 29)
    assert dense_energy(*case, replace(CONFIG, method="auto")) == lattice, "the case has 30 points at half its size"


def large_case(side=400, classes=21):
    """A view's image and labels; 40,000 points."""
    image = photo(0, side, side)[None].float()
    logits = soft(0, classes, side, side)[None].log().requires_grad_()
    return logits, image, torch.full((1, side, side), IGNORE)


@contextmanager
def room_for(most):
    """Allocations fail beyond so many bytes more than now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft_limit, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft_limit, hard))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds a process's memory like this")
def test_memory_is_linear_in_the_number_of_pixels(case, dense_energy):
    """10 kB a point with 21 classes, less than a tenth of what a matrix of all pairs would take."""
    dense_energy(*case, LATTICE)  # the loops are compiled
    logits, image, label = large_case()
    points = 200 * 200
    with room_for(10_000 * points):
        with pytest.raises((RuntimeError, MemoryError)):
            torch.empty(points, points // 2)
        dense_energy(logits, image, label, LATTICE).backward()
    assert logits.grad.abs().max() > 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds a process's memory like this")
def test_memory_of_the_exact_sum_as_well(monkeypatch, dense_energy):
    logits, image, label = large_case(200, 3)
    points = 100 * 100
    with room_for(10_000 * points):
        with pytest.raises((RuntimeError, MemoryError)):
            torch.empty(points, points)
        dense_energy(logits, image, label, CONFIG).backward()
    assert logits.grad.abs().max() > 0
