import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagseg.data.assignment import best_assignment


@given(st.integers(1, 5), st.integers(0, 2), st.integers(0, 10_000))
def test_no_assignment_has_a_larger_sum(rows, more, seed):
    gains = np.random.default_rng(seed).integers(-9, 9, (rows, rows + more)).astype(float)
    columns = best_assignment(gains)
    assert len(set(columns.tolist())) == rows
    best = max(
        sum(gains[row, column] for row, column in enumerate(some))
        for some in itertools.permutations(range(rows + more), rows)
    )
    assert gains[np.arange(rows), columns].sum() == best


def test_a_permutation_of_many_is_found():
    order = np.random.default_rng(0).permutation(254)
    gains = np.random.default_rng(1).random((254, 256)) * 0.5
    gains[np.arange(254), order] = 1
    np.testing.assert_array_equal(best_assignment(gains), order)


def test_fewer_columns_than_rows():
    with pytest.raises(ValueError, match="2 columns for 3 rows"):
        best_assignment(np.zeros((3, 2)))
