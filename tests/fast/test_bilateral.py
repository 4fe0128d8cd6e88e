"""The Gaussian filter in compiled loops: it gives what the plain one gives, whatever the threads and the memory."""

import pytest
import torch

from tagseg.fast import bilateral
from tagseg.fast.bilateral import gaussian_filter, lattice_filter, lattice_scale_filter
from tagseg.fast.workspace import Workspaces
from tagseg.fsr import energy
from tagseg.pairwise import bilateral as plain
from tagseg.pairwise.bilateral import MOST_EXACT
from tagseg.pairwise.lattice import Lattice

from ..pairwise.conftest import draw

METHODS = pytest.mark.parametrize("method", ["exact", "lattice", "auto"])
COUNTS = pytest.mark.parametrize("n", [1, MOST_EXACT["cpu"], MOST_EXACT["cpu"] + 1])


@METHODS
@COUNTS
def test_it_equals_the_plain_filter(method, n):
    points, values = draw(n, 2, n, 3)
    expected = plain.gaussian_filter(points, values, method)
    torch.testing.assert_close(gaussian_filter(points, values, method), expected, rtol=1e-4, atol=1e-5)


@METHODS
@COUNTS
def test_at_the_scale_of_the_energy_as_well(method, n):
    points, values = draw(n, 2, n, 3)
    expected = energy.lattice_scale_filter(points, values, method)
    torch.testing.assert_close(lattice_scale_filter(points, values, method), expected, rtol=1e-4, atol=1e-5)


def test_five_features_on_a_cpu_go_through_the_compiled_lattice(monkeypatch):
    points, values = draw(2, 2, 300, 3)
    expected = Lattice.build(points).filter(values)
    monkeypatch.setattr(bilateral, "Lattice", None)
    torch.testing.assert_close(lattice_filter(points, values), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("width", [1, 2, 4, 6])
def test_any_other_number_of_features_through_the_plain_one(width):
    points, values = draw(3, 2, 100, 3, width)
    assert torch.equal(lattice_filter(points, values), Lattice.build(points).filter(values))


def test_threads_change_nothing(threads):
    points, values = draw(8, 4, 400)
    threads(1)
    alone = lattice_filter(points, values)
    threads(2)
    assert torch.equal(lattice_filter(points, values), alone)


def test_what_was_returned_stays_when_more_is_filtered():
    """The compiled lattice uses its memory again."""
    points, values = draw(9, 2, 300)
    workspaces = Workspaces()
    result = lattice_filter(points, values, workspaces)
    before = result.clone()
    lattice_filter(-points, 1 - values, workspaces)
    assert torch.equal(result, before)


def test_memory_that_is_used_again_changes_nothing():
    workspaces = Workspaces()
    for n in (300, 20, 700):
        points, values = draw(n, 2, n)
        ours = lattice_filter(points, values, workspaces)
        assert torch.equal(ours, lattice_filter(points, values))
