"""Half-whitening: afterwards the covariance is the square root of what it was."""

import pytest
import torch

from tagseg.frozen import whitening as whitening_file
from tagseg.frozen.whitening import SMALLEST, Whitening


def spread(count=40, width=6, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    mixed = torch.randn(width, width, generator=generator)
    features = torch.einsum("ij,njhw->nihw", mixed, torch.randn(count, width, 5, 4, generator=generator))
    return (features + torch.arange(width)[:, None, None]).to(dtype)


def rows(features):
    return features.double().transpose(0, 1).flatten(1)


def covariance(features):
    return torch.cov(rows(features), correction=0)


@pytest.mark.parametrize("at_once", [1, 7, 64])
def test_the_covariance_becomes_its_square_root_and_the_mean_0(at_once):
    features = spread()
    white = Whitening.fitted(features, at_once)(features)
    after = covariance(white)
    torch.testing.assert_close(after @ after, covariance(features), rtol=1e-3, atol=1e-3)
    assert rows(white).mean(dim=1).abs().max() < 1e-4


@pytest.mark.parametrize(("power", "expected"), [(0.0, lambda c: c), (1.0, lambda c: torch.eye(len(c)).double())])
def test_no_power_keeps_and_the_whole_whitens(monkeypatch, power, expected):
    monkeypatch.setattr(whitening_file, "POWER", power)
    features = spread()
    after = covariance(Whitening.fitted(features)(features))
    torch.testing.assert_close(after, expected(covariance(features)), rtol=1e-3, atol=1e-3)


def test_the_matrix_is_symmetric_and_the_map_is_that_of_each_patch():
    features = spread()
    white = Whitening.fitted(features)
    assert torch.allclose(white.matrix, white.matrix.T, atol=1e-6)
    patch = white.matrix @ (features[3, :, 2, 1] - white.mean)
    torch.testing.assert_close(white(features)[3, :, 2, 1], patch, rtol=1e-4, atol=1e-4)


def test_a_direction_without_variance_is_stretched_no_further_than_the_smallest():
    features = spread()
    features[:, 0] = 3
    white = Whitening.fitted(features)
    stretch = torch.linalg.eigvalsh(white.matrix.double())
    largest = torch.linalg.eigvalsh(covariance(features))[-1]
    assert stretch[-1] == pytest.approx(float((SMALLEST * largest) ** -0.25), rel=0.05)


@pytest.mark.parametrize("width", [1, 2, 6])
@pytest.mark.parametrize("value", [0.0, 0.1, 3.3, 1e3, 6e4])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_equal_features_stay_finite(width, value, dtype):
    features = torch.full((5, width, 3, 3), value, dtype=dtype)
    white = Whitening.fitted(features)
    assert white.matrix.isfinite().all()
    assert white(features).isfinite().all()


def test_half_precision_is_that_of_the_same_values():
    half = spread(dtype=torch.float16)
    torch.testing.assert_close(Whitening.fitted(half)(half), Whitening.fitted(half.float())(half.float()))


def test_a_single_photo():
    features = spread(count=1)
    assert Whitening.fitted(features)(features).isfinite().all()
