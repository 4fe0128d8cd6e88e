import math

import numpy as np
import pytest

from tagseg.reviewing.estimate import RIDGE, Fitted, as_json, fitted, read_fitted
from tagseg.reviewing.measure import NAMES


def photos(count=1500, seed=0):
    """Two signals that tell the IoU, one of them badly, and one that tells nothing."""
    rng = np.random.default_rng(seed)
    iou = rng.uniform(0.2, 0.9, count)
    signals = np.stack([iou + rng.normal(0, 0.1, count), -2 * iou + rng.normal(0, 1, count), rng.normal(0, 1, count)])
    return signals.T, iou


@pytest.fixture(scope="module")
def fit():
    signals, iou = photos()
    return Fitted.of(("good", "poor", "none"), ("good", "poor"), signals, iou, 0.04)


def test_with_all_signals_it_is_a_ridge_regression(fit):
    signals, iou = photos()
    used = signals[:, :2]
    standard = (used - used.mean(axis=0)) / used.std(axis=0)
    weights = np.linalg.solve(
        standard.T @ standard / len(iou) + RIDGE * np.eye(2), standard.T @ (iou - iou.mean()) / len(iou)
    )
    expected = standard @ weights + iou.mean()
    values = [fit(dict(zip(("good", "poor"), row, strict=True))).value for row in used[:20]]
    np.testing.assert_allclose(values, expected[:20], atol=1e-3)


def test_fewer_signals_give_an_estimate_nearer_to_the_mean(fit):
    both = fit({"good": 0.9, "poor": -1.8})
    poor, nothing = fit({"good": math.nan, "poor": -1.8}), fit({})
    assert both.known == ("good", "poor")
    assert poor.known == ("poor",)
    assert nothing.value == pytest.approx(0.55, abs=0.01)
    assert nothing.value < poor.value < both.value


def test_the_estimate_has_limits_and_what_is_ranked_by_has_not(fit):
    far = fit({"good": 9.0})
    assert far.iou == 1
    assert far.value > 1
    assert fit({"good": -9.0}).iou == 0


def test_signals_that_are_not_used_still_tell_a_reason(fit):
    estimate = fit({"good": 0.2, "none": 1.0})
    assert set(estimate.pulls) == {"good", "none"}
    assert estimate.pulls["good"] < -0.1
    assert abs(estimate.pulls["none"]) < 0.02
    assert estimate.known == ("good",)


def test_the_scatter_is_the_error_on_other_photos(fit):
    signals, iou = photos(seed=1)
    for known in (("good", "poor"), ("poor",)):
        columns = [("good", "poor").index(name) for name in known]
        errors = [
            fit(dict(zip(known, row, strict=True))).value - y for row, y in zip(signals[:, columns], iou, strict=True)
        ]
        assert np.std(errors) == pytest.approx(fit.scatter(known), rel=0.05)
    assert fit.scatter(()) == pytest.approx(iou.std(), rel=0.05)


def test_it_is_kept_as_json(fit):
    assert read_fitted(as_json(fit)) == fit


def test_what_the_package_comes_with():
    own = fitted()
    assert own.names == NAMES
    assert set(own.used) <= set(NAMES)
    assert own.photos > 100
    correlation = np.array(own.correlation)
    np.testing.assert_allclose(correlation, correlation.T)
    assert np.linalg.eigvalsh(correlation).min() > -1e-3
    assert own({"expected_iou": 0.9}).iou > own({"expected_iou": 0.5}).iou
