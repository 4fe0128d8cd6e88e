"""Eight numbers at once give what one after the other does."""

import numpy as np
import pytest

from tagseg.pairwise.compiled import compiled
from tagseg.pairwise.vectors import LANES, load, plus, scaled, store, total


@compiled
def run(source, start, other, factor, result, place):
    x = load(source, start)
    store(result, place, plus(scaled(factor, x), load(other, 0)))
    return total(x)


@pytest.fixture
def arrays():
    generator = np.random.default_rng(0)
    return generator.random((5, 7), np.float32), generator.random(LANES, np.float32), np.zeros((4, 6), np.float32)


@pytest.mark.parametrize("start", [0, 1, 5, 35 - LANES])
@pytest.mark.parametrize("place", [0, 3, 24 - LANES])
def test_from_and_to_any_place_of_an_array(arrays, start, place):
    """Also one that a vector's size does not divide, and over the ends of rows."""
    source, other, result = arrays
    sum_ = run(source, start, other, np.float32(3.5), result, place)
    eight = source.ravel()[start : start + LANES]
    expected = np.zeros(24, np.float32)
    expected[place : place + LANES] = np.float32(3.5) * eight + other
    np.testing.assert_allclose(result.ravel(), expected, rtol=1e-6)
    assert sum_ == pytest.approx(float(eight.sum()), rel=1e-6)
