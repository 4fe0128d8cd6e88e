"""The compiled loops do what the plain form does."""

import numpy as np
import pytest
import torch

from tagseg.errors import TagsegError
from tagseg.fast.lattice import LANES, CpuLattice
from tagseg.fast.workspace import Workspace
from tagseg.pairwise.lattice import Lattice

from ..pairwise.conftest import photo


def draw(seed, n, channels=2, spread=2.0):
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(n, 5, generator=generator), torch.rand(n, channels, generator=generator)


def assert_equals_the_plain_form(points, values):
    plain = Lattice.build(points[None]).filter(values[None])[0]
    ours = CpuLattice(points.numpy()).filter(values.numpy())
    assert ours.shape == values.shape
    torch.testing.assert_close(torch.from_numpy(ours), plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 255, 256, 257, 1000])
@pytest.mark.parametrize("spread", [0.05, 2.0])
def test_any_number_of_points(n, spread):
    """They are embedded 256 at a time."""
    assert_equals_the_plain_form(*draw(n, n, spread=spread))


@pytest.mark.parametrize("channels", [1, 3, 8, 21])
def test_any_number_of_channels(channels):
    assert_equals_the_plain_form(*draw(channels, 300, channels))


def test_more_corners_than_the_hash_table_has_at_first():
    points, values = draw(0, 5000, spread=20.0)
    assert CpuLattice(points.numpy()).corners > 16_384, "it starts with room for half as many"
    assert_equals_the_plain_form(points, values)


def test_the_corners_and_their_neighbours_are_those_of_the_plain_form():
    points, _ = draw(3, 500)
    ours, plain = CpuLattice(points.numpy()), Lattice.build(points[None])
    name = np.full(ours.corners + 1, ours.corners)  # the plain form's number of each of our corners
    name[ours.vertices] = plain.vertices.numpy()
    assert len(np.unique(name)) == ours.corners + 1 == plain.neighbours.shape[1] + 1
    np.testing.assert_array_equal(name[ours.vertices], plain.vertices)
    np.testing.assert_array_equal(name[ours.neighbours], plain.neighbours.numpy()[:, name[:-1]])
    np.testing.assert_allclose(ours.weights, plain.weights, atol=1e-5)


def test_pixels_of_a_photo():
    """Side by side and often alike, as points are in use: whole numbers of pixels and colours, many in one simplex."""
    image = photo(0, 40, 50).float()
    y, x = torch.meshgrid(torch.arange(40), torch.arange(50), indexing="ij")
    points = torch.cat([torch.stack([x, y]) / 121.3, image / 15.7]).flatten(1).T.contiguous() + 0.0137
    assert_equals_the_plain_form(points, draw(0, len(points), 6)[1])


def test_tables_can_be_used_again():
    points, values = draw(5, 400, LANES)
    lattice, one = CpuLattice(points.numpy()), np.ones(400, np.float32)
    tables = lattice.tables(LANES)
    first = lattice.gather(values.numpy(), one, tables).copy()
    lattice.gather(values.numpy()[::-1].copy(), one, tables)
    np.testing.assert_array_equal(lattice.gather(values.numpy(), one, tables), first)
    assert not first[-1].any(), "the row of the corners that do not exist"


def test_the_scale_multiplies_the_values_before_they_are_spread():
    points, values = draw(6, 100, LANES)
    lattice, scale = CpuLattice(points.numpy()), np.linspace(0.5, 2, 100, dtype=np.float32)
    scaled = lattice.gather(values.numpy(), scale, lattice.tables(LANES)).copy()
    one = np.ones(100, np.float32)
    expected = lattice.gather(values.numpy() * scale[:, None], one, lattice.tables(LANES))
    np.testing.assert_allclose(scaled, expected, rtol=1e-5, atol=1e-6)


def test_a_workspace_can_be_used_for_one_lattice_after_the_other():
    """Larger and smaller ones, with more and fewer channels: nothing of the one before shows."""
    workspace = Workspace()
    for n, channels, spread in [(300, 3, 2.0), (20, 9, 2.0), (1, 1, 1.0), (700, 21, 5.0), (300, 3, 2.0)]:
        points, values = (tensor.numpy() for tensor in draw(n, n, channels, spread))
        result = CpuLattice(points, workspace).filter(values)
        np.testing.assert_array_equal(result, CpuLattice(points).filter(values))


def test_what_was_filtered_outlives_the_workspace():
    workspace = Workspace()
    points, values = (tensor.numpy() for tensor in draw(7, 300))
    result = CpuLattice(points, workspace).filter(values)
    before = result.copy()
    CpuLattice(points[::-1].copy(), workspace).filter(1 - values)
    np.testing.assert_array_equal(result, before)


def test_points_too_far_apart_are_refused():
    with pytest.raises(TagsegError, match="kernel widths apart"):
        CpuLattice(draw(0, 10, spread=1e5)[0].numpy())
