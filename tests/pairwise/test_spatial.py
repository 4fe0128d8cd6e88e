import math

import pytest
import torch

from tagseg.pairwise.spatial import axis_kernel, normaliser, smooth, taps

from .conftest import normalised, positions, squared_distances

SIGMAS = [0.5, 1.0, 2.0, 3.3]
SIZES = [(1, 1), (1, 5), (7, 1), (3, 4), (12, 15), (30, 4)]


def full_kernel(size, sigma):
    return torch.exp(-0.5 * squared_distances(positions(*size) / sigma))


def values_of(height, width, batch=2, channels=3):
    return torch.rand(batch, height, width, channels, generator=torch.Generator().manual_seed(height * width))


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("size", SIZES)
def test_it_equals_the_normalised_sum_over_all_pixels(size, sigma):
    """But for what lies further away than four widths."""
    values = values_of(*size)
    expected = normalised(full_kernel(size, sigma)) @ values.double().flatten(1, 2)
    torch.testing.assert_close(smooth(values, sigma).double().flatten(1, 2), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("size", SIZES)
def test_the_product_of_both_axes_is_the_planes_normaliser(size, sigma):
    ours = normaliser(size[0], sigma)[:, None] * normaliser(size[1], sigma)
    torch.testing.assert_close(ours.flatten(), full_kernel(size, sigma).sum(dim=1).rsqrt(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("side", [1, 2, 5, 40])
def test_the_kernel_of_an_axis_is_symmetric_and_normalised_by_what_it_sums(side, sigma):
    kernel, norm = axis_kernel(side, sigma), normaliser(side, sigma)
    torch.testing.assert_close(kernel, kernel.T, rtol=1e-12, atol=0)
    torch.testing.assert_close(norm, (kernel / norm[:, None] / norm).sum(dim=1).rsqrt())


@pytest.mark.parametrize("sigma", SIGMAS)
def test_weights_fall_from_one_to_almost_nothing(sigma):
    weights = taps(sigma)
    assert weights[0] == 1
    assert (weights.diff() < 0).all()
    assert weights[-1] <= math.exp(-8)
    assert weights[1] == pytest.approx(math.exp(-0.5 / sigma**2))


def test_a_lone_pixel_is_itself():
    """One pixel's kernel is 1 and its normaliser too."""
    assert smooth(torch.full((1, 1, 1, 2), 0.3), 1.0).flatten().tolist() == pytest.approx([0.3, 0.3])


def test_images_and_channels_are_smoothed_apart():
    values = values_of(6, 9)
    result = smooth(values, 1.5)
    torch.testing.assert_close(smooth(values[1:, ..., 2:], 1.5), result[1:, ..., 2:])


def test_turning_the_image_turns_the_result():
    values = values_of(6, 9)
    torch.testing.assert_close(smooth(values.transpose(1, 2), 1.5), smooth(values, 1.5).transpose(1, 2))


def test_mixed_precision_does_not_reach_it():
    values = values_of(6, 9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(smooth(values, 1.0), smooth(values, 1.0).float())
        inside = smooth(values, 1.0)
    assert torch.equal(inside, smooth(values, 1.0))
