"""The Gaussian filter, plain and fast; ``tests/fast/test_bilateral.py`` has what is the fast form's own."""

import pytest
import torch
from torch.nn import functional as F

from tagseg.fast import bilateral as fast
from tagseg.pairwise import bilateral as plain
from tagseg.pairwise.bilateral import MOST_EXACT, SLOW_EXACT, choose
from tagseg.pairwise.exact import exact_filter
from tagseg.pairwise.lattice import Lattice, mass, pixel_features

from .conftest import draw, photo, soft


def plain_lattice(points, values):
    return Lattice.build(points).filter(values)


FORMS = {"plain": plain.gaussian_filter, "fast": fast.gaussian_filter}
LATTICES = {"plain": plain_lattice, "fast": fast.lattice_filter}


@pytest.fixture(params=FORMS.values(), ids=list(FORMS))
def gaussian_filter(request):
    return request.param


def picture(height=60, width=80, classes=4):
    """Points and values as the energy has them: a photo's pixels and class probabilities."""
    points = pixel_features(photo(0, height, width)[None].float(), sigma_xy=50.0, sigma_rgb=15.0)
    return points, soft(0, classes, height, width)[None].flatten(2).transpose(1, 2)


def test_points_are_position_and_colour_over_their_widths():
    image = torch.arange(2 * 3 * 2 * 3).view(2, 3, 2, 3).float()
    points = pixel_features(image, sigma_xy=2.0, sigma_rgb=10.0)
    assert points.shape == (2, 6, 5)
    row, column = 1, 2
    expected = [column / 2, row / 2, *(image[1, :, row, column] / 10).tolist()]
    assert points[1, row * 3 + column].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_auto_is_exact_for_few_points_and_the_lattice_for_many(device):
    most = MOST_EXACT.get(device, MOST_EXACT["cpu"])
    assert choose("auto", most, device) == "exact"
    assert choose("auto", most + 1, device) == "lattice"


def test_a_gpu_sums_more_points_exactly():
    assert choose("auto", 5000, "cpu") == "lattice"
    assert choose("auto", 5000, "cuda") == "exact"


@pytest.mark.parametrize("method", ["exact", "lattice"])
@pytest.mark.parametrize("points", [1, 10**7])
def test_a_chosen_method_is_kept(method, points):
    assert choose(method, points, "cpu") == choose(method, points, "cuda") == method


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_that_exact_is_slow_is_said_once(device, caplog):
    plain._warn_of_time.cache_clear()
    most = SLOW_EXACT.get(device, SLOW_EXACT["cpu"])
    for method in ("auto", "lattice"):
        choose(method, 10 * most, device)
    choose("exact", most, device)
    assert not caplog.messages
    for _ in range(2):
        choose("exact", most + 1, device)
    (message,) = caplog.messages
    assert "ten times" in message
    assert f"{most:,} pixels" in message


def test_exact_is_the_exact_sum(gaussian_filter):
    points, values = draw(0, 2, 50)
    assert torch.equal(gaussian_filter(points, values, "exact"), exact_filter(points, values))


@pytest.mark.parametrize("form", FORMS)
def test_lattice_is_the_lattice_times_its_mass(form):
    points, values = draw(0, 2, 50)
    expected = mass(5) * LATTICES[form](points, values)
    torch.testing.assert_close(FORMS[form](points, values, "lattice"), expected)


@pytest.mark.parametrize("n", [20, 21])
def test_auto_does_what_it_chooses(n, gaussian_filter, monkeypatch):
    monkeypatch.setitem(MOST_EXACT, "cpu", 20)
    points, values = draw(1, 2, n)
    expected = gaussian_filter(points, values, "exact" if n == 20 else "lattice")
    assert torch.equal(gaussian_filter(points, values), expected)


@pytest.mark.parametrize("method", ["exact", "lattice"])
def test_images_of_a_batch_are_filtered_apart(method, gaussian_filter):
    points, values = draw(4, 3, 120)
    together = gaussian_filter(points, values, method)
    for b in range(3):
        torch.testing.assert_close(together[b : b + 1], gaussian_filter(points[b : b + 1], values[b : b + 1], method))


def test_the_lattice_estimates_the_sum_on_a_photo(gaussian_filter):
    """In the sum's direction, and somewhat less of it: the blur passes over corners that no pixel has made."""
    points, values = picture()
    exact, lattice = (gaussian_filter(points, values, method) for method in ("exact", "lattice"))
    assert F.cosine_similarity(exact.flatten(), lattice.flatten(), dim=0) >= 0.99
    assert 0.6 <= lattice.sum() / exact.sum() <= 1


@pytest.mark.parametrize("method", ["exact", "lattice"])
def test_mixed_precision_and_tf32_do_not_reach_it(method, gaussian_filter):
    """Exponents are differences of large numbers: with bfloat16's or TF32's digits the kernel would be noise."""
    points, values = draw(4, 1, 50, spread=8.0)
    expected = gaussian_filter(points, values, method)
    torch.set_float32_matmul_precision("high")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(gaussian_filter(points, values, method), expected)
        assert torch.get_float32_matmul_precision() == "high", "the setting is as before"
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("method", ["exact", "lattice"])
def test_half_precision_is_filtered_in_float32(method, gaussian_filter):
    points, values = (tensor.half() for tensor in draw(5, 1, 80))
    result = gaussian_filter(points, values, method)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, gaussian_filter(points.float(), values.float(), method))


@pytest.mark.parametrize("method", ["exact", "lattice"])
def test_it_is_not_differentiated(method, gaussian_filter):
    points, values = draw(6, 2, 30)
    assert not gaussian_filter(points.requires_grad_(), values.requires_grad_(), method).requires_grad


@pytest.mark.parametrize("lattice_filter", LATTICES.values(), ids=LATTICES)
def test_values_may_lie_in_memory_in_any_order(lattice_filter):
    points, values = draw(7, 2, 100, 3)
    turned = values.transpose(1, 2).contiguous().transpose(1, 2)
    torch.testing.assert_close(lattice_filter(points, turned), lattice_filter(points, values))
