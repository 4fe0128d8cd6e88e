from collections import defaultdict
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.errors import TagsegError
from tagseg.pairwise.lattice import Lattice, Packing, elevation, mass, slice_scale

CASES = st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 30), st.floats(0.1, 5)


def draw(seed, n, width=5, channels=2, spread=2.0, batch=1):
    """Random points never lie on the border of two simplices, where rounding would decide which one it is."""
    generator = torch.Generator().manual_seed(seed)
    points = spread * torch.randn(batch, n, width, generator=generator)
    return points, torch.rand(batch, n, channels, generator=generator)


def reference(points, values):
    """The filter from its definition, for points (N, F) and values (N, M); float64, a dictionary, no packing.

    The lattice is the grid of all integer vectors of V numbers seen along (1, …, 1): z is at V · z − Σz. Its simplices
    are Freudenthal's: from the floor of a point, one step along each axis in the falling order of the fractions.
    """
    corners = points.shape[1] + 1
    axes = np.eye(corners, dtype=int)
    matrix = elevation(points.shape[1]).numpy()
    table: dict[tuple[int, ...], Any] = defaultdict(float)
    simplices = []
    for point, value in zip(points.double().numpy(), values.double().numpy(), strict=True):
        place = matrix @ point / corners
        corner = np.floor(place).astype(int)
        order = np.argsort(corner - place)
        fractions = (place - corner)[order]
        shares = [1 - fractions[0] + fractions[-1], *-np.diff(fractions)]
        simplex = []
        for share, axis in zip(shares, order, strict=True):
            simplex.append((tuple(corners * corner - corner.sum()), share))
            corner = corner + axes[axis]
        for vertex, share in simplex:
            table[vertex] = table[vertex] + share * value
        simplices.append(simplex)
    zero = np.zeros(values.shape[1])
    for axis in axes:
        step = corners * axis - 1
        table = {
            v: x + (table.get(tuple(v + step), zero) + table.get(tuple(v - step), zero)) / 2 for v, x in table.items()
        }
    total = [sum(share * table[vertex] for vertex, share in simplex) for simplex in simplices]
    return torch.from_numpy(np.stack(total)) / (1 + 2.0 ** -points.shape[1])


@settings(deadline=None, max_examples=40)
@given(*CASES)
def test_it_equals_the_lattice_from_its_definition(seed, width, n, spread):
    points, values = draw(seed, n, width, channels=3, spread=spread)
    result = Lattice.build(points).filter(values)[0].double()
    torch.testing.assert_close(result, reference(points[0], values[0]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8])
def test_elevation_keeps_angles_and_ends_in_the_plane_of_the_lattice(width):
    matrix = elevation(width)
    torch.testing.assert_close(matrix.sum(dim=0), torch.zeros(width).double(), rtol=0, atol=1e-12)
    scale = (width + 1) ** 2 * 2 / 3
    torch.testing.assert_close(matrix.T @ matrix, scale * torch.eye(width).double())


@settings(deadline=None, max_examples=30)
@given(*CASES)
def test_barycentric_weights_are_shares(seed, width, n, spread):
    weights = Lattice.build(draw(seed, n, width, spread=spread)[0]).weights
    assert weights.shape == (n, width + 1)
    assert weights.min() >= -1e-6
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(n))


@settings(deadline=None, max_examples=30)
@given(*CASES)
def test_neighbours_are_mutual(seed, width, n, spread):
    lattice = Lattice.build(draw(seed, n, width, spread=spread)[0])
    corners = lattice.neighbours.shape[1]
    assert corners == lattice.vertices.max() + 1
    for direction in lattice.neighbours:
        for first, second in ((0, 1), (1, 0)):
            here = (direction[:, first] < corners).nonzero()[:, 0]
            assert torch.equal(direction[direction[here, first], second], here)


def test_the_corners_of_a_simplex_are_neighbours_of_each_other():
    """From each corner of rank r to the next is one step in one of the directions, which none uses twice."""
    lattice = Lattice.build(draw(0, 50)[0])
    for simplex in lattice.vertices:
        used = []
        for here, there in zip(simplex, simplex.roll(-1), strict=True):
            used += (lattice.neighbours[:, here] == there).any(dim=1).nonzero()[:, 0].tolist()
        assert sorted(used) == list(range(6))


@pytest.mark.parametrize("spread", [0.0, 0.3, 3.0])
def test_images_of_a_batch_do_not_mix(spread):
    """Even where their points are the same or side by side."""
    points, values = draw(1, 40, batch=3, spread=spread)
    together = Lattice.build(points).filter(values)
    for b in range(3):
        alone = Lattice.build(points[b : b + 1]).filter(values[b : b + 1])
        torch.testing.assert_close(together[b : b + 1], alone, rtol=1e-5, atol=1e-6)


def test_one_point_on_a_corner_keeps_its_value():
    """But for the published factor, and what returns to it around the corners of its simplex."""
    result = Lattice.build(torch.zeros(1, 1, 5)).filter(torch.tensor([[[2.0]]]))
    assert result.item() == pytest.approx(2 * slice_scale(5), rel=2**-5)


def test_channels_are_filtered_apart_and_linearly():
    points, values = draw(2, 60, channels=4)
    lattice = Lattice.build(points)
    filtered = lattice.filter(values)
    torch.testing.assert_close(lattice.filter(values[..., 2:3]), filtered[..., 2:3])
    mixture = 3 * values[..., :1] - 2 * values[..., 1:2]
    torch.testing.assert_close(
        lattice.filter(mixture), 3 * filtered[..., :1] - 2 * filtered[..., 1:2], rtol=1e-4, atol=1e-5
    )


def test_the_mass_of_five_features():
    assert mass(5) == pytest.approx(1.417, abs=5e-4)


@pytest.mark.parametrize(("width", "side", "step"), [(1, 12.0, 0.02), (2, 10.0, 0.1), (3, 8.0, 0.4)])
def test_times_its_mass_it_estimates_the_sum_over_dense_points(width, side, step):
    """Evenly spread points with smooth values, away from the border."""
    axis = torch.arange(0, side, step)
    points = torch.stack([x.flatten() for x in torch.meshgrid(*[axis] * width, indexing="ij")], dim=1) + 0.0137
    values = torch.stack([torch.ones(len(points)), 2 + torch.cos(points.sum(dim=1) * 0.3)], dim=1)
    inner = ((points - side / 2).abs() < 0.7).all(dim=1)
    scaled = mass(width) * Lattice.build(points[None]).filter(values[None])[0][inner].double()
    kernel = torch.exp(-0.5 * torch.cdist(points[inner].double(), points.double()).square())
    ratio = scaled / (kernel @ values.double())
    assert ratio.mean().item() == pytest.approx(1, abs=0.01)
    assert (ratio - 1).abs().max() <= 0.06


def test_it_is_as_wide_as_the_gaussian():
    """The variance of what one point sends to all others, per feature; both are 1 over even points."""
    generator = torch.Generator().manual_seed(0)
    points = 10 * torch.rand(6000, 2, generator=generator) - 5
    variances = []
    for start in torch.rand(30, 2, generator=generator):
        points[0], value = start, torch.zeros(1, len(points), 1)
        value[0, 0] = 1.0
        received = Lattice.build(points[None]).filter(value)[0, 1:]
        variances.append((received * (points[1:] - start).square()).sum(dim=0) / received.sum())
    assert torch.stack(variances).mean(dim=0).tolist() == pytest.approx([1, 1], abs=0.05)


def test_points_too_far_apart_are_refused_in_one_line():
    points, _ = draw(0, 10, spread=1e5)
    with pytest.raises(TagsegError) as error:
        Lattice.build(points)
    message = str(error.value)
    assert "\n" not in message
    far = (points.amax(dim=1) - points.amin(dim=1)).max().item()
    assert f"{far:.3g} kernel widths" in message
    assert "larger sigmas" in message
    assert "exact" in message


def test_more_images_need_more_numbers():
    least, most = torch.zeros(5), torch.full((5,), 500.0)
    size = Packing.of(least, most).size
    Packing.of(least, most, (2**62 - 1) // size)
    with pytest.raises(TagsegError):
        Packing.of(least, most, 2**62 // size + 1)


def test_points_far_apart_do_not_reach_each_other():
    points = torch.linspace(0, 2000, 30)[None, :, None] * torch.tensor([1.0, 0.9, 0, 0, 0]) + 0.0137
    values = torch.rand(1, 30, 2, generator=torch.Generator().manual_seed(0))
    alone = Lattice.build(points.transpose(0, 1)).filter(values.transpose(0, 1)).transpose(0, 1)
    torch.testing.assert_close(Lattice.build(points).filter(values), alone)
