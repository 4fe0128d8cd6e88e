"""Permutohedral lattice (Adams, Baek & Davis 2010): the Gaussian filter at a cost linear in the number of points.

Points are spread over the corners of the simplex they lie in (splat), the corners' values are blurred along each of the
lattice's directions, and read back (slice). This file is the plain form, in tensor operations on any device;
``tagseg.fast.lattice`` is the same in compiled loops.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tagseg.errors import TagsegError

Bounds: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]
"""Least and most of each feature."""


def pixel_features(image: Float[Tensor, "B 3 H W"], sigma_xy: float, sigma_rgb: float) -> Float[Tensor, "B N 5"]:
    """Position over ``sigma_xy`` and colour over ``sigma_rgb`` of each pixel; colours in 0 to 255, N = H·W."""
    h, w = image.shape[-2:]
    y, x = torch.meshgrid(*(torch.arange(side, device=image.device) for side in (h, w)), indexing="ij")
    position = torch.stack([x, y]).to(image).flatten(1).T / sigma_xy
    colour = image.flatten(2).transpose(1, 2) / sigma_rgb
    return torch.cat([position.expand(len(image), -1, -1), colour], dim=2)


def pixel_bounds(height: int, width: int, sigma_xy: float, sigma_rgb: float) -> Bounds:
    """Between which the ``pixel_features`` of any image of this size lie."""
    most = ((width - 1) / sigma_xy, (height - 1) / sigma_xy, *[255 / sigma_rgb] * 3)
    return (0.0,) * 5, most


def elevation(features: int) -> Float[Tensor, "V F"]:
    """Maps points of F features into the plane of the lattice, V = F + 1 coordinates that sum to zero; float64.

    Scaled so that splat, blur and slice together have the variance of the unit Gaussian.
    """
    matrix = torch.zeros(features + 1, features, dtype=torch.float64)
    for i in range(features):
        scale = (features + 1) * math.sqrt(2 / 3) / math.sqrt((i + 1) * (i + 2))
        matrix[: i + 1, i] = scale
        matrix[i + 1, i] = -(i + 1) * scale
    return matrix


def slice_scale(features: int) -> float:
    """The published factor at slicing, 1 / (1 + 2^−F)."""
    return 1 / (1 + 2.0**-features)


def mass(features: int) -> float:
    """The Gaussian's integral over the lattice filter's: what turns the published scale into an estimate of the sum.

    Where every corner exists a filter passes ``slice_scale`` · 2^V times the value that lies in one corner's cell,
    whose volume is 1.5^(F/2) / √V; the unit Gaussian has (2π)^(F/2). 1.417 for five features.
    """
    corners = features + 1
    cell = 1.5 ** (features / 2) / math.sqrt(corners)
    return (2 * math.pi) ** (features / 2) / (slice_scale(features) * 2**corners * cell)


@dataclass(frozen=True)
class Packing:
    """One integer for the position of a corner, such that neighbours' integers differ by constants.

    Attributes:
        low: (F,) lowest coordinate that can occur, neighbours included.
        stride: (F,) weight of each coordinate; the last of the V coordinates follows from the others.
        size: number of distinct integers.
    """

    low: tuple[int, ...]
    stride: tuple[int, ...]
    size: int

    @classmethod
    def of(cls, least: Float[Tensor, " F"], most: Float[Tensor, " F"], images: int = 1) -> Packing:
        """For points whose features lie between ``least`` and ``most``.

        Raises:
            TagsegError: points so far apart, in units of the kernel's width, that 64 bits do not number the corners.
        """
        corners = len(least) + 1
        matrix = elevation(len(least)).to(least.device)[:-1]
        low = matrix.clamp(min=0) @ least.double() + matrix.clamp(max=0) @ most.double()
        high = matrix.clamp(min=0) @ most.double() + matrix.clamp(max=0) @ least.double()
        margin = 3 * corners  # half a cell to the nearest origin, one to the corners, one to their neighbours
        first = [math.floor(x) - margin for x in low.tolist()]
        spans = [math.ceil(x) + margin - f + 1 for x, f in zip(high.tolist(), first, strict=True)]
        stride = [math.prod(spans[:i]) for i in range(len(spans))]
        size = math.prod(spans)
        if size * images >= 2**62:
            far = float((most - least).max())
            raise TagsegError(
                f"points lie {far:.3g} kernel widths apart, too far for a lattice: use larger sigmas or method exact"
            )
        return cls(tuple(first), tuple(stride), size)

    def offset(self, direction: int) -> int:
        """From a corner to its neighbour: −1 in every coordinate, and V more in the one of the direction."""
        along = (len(self.stride) + 1) * self.stride[direction] if direction < len(self.stride) else 0
        return along - sum(self.stride)


@dataclass(frozen=True)
class Lattice:
    """The corners around B · N points, those of different images apart.

    Attributes:
        vertices: int64 (B·N, V) the corners of each point's simplex, 0 to M-1.
        weights: (B·N, V) float32, or float64 for such points: barycentric coordinates of the point; they sum to 1.
        neighbours: int64 (V, M, 2) each corner's two neighbours in each direction; M where there is none.
    """

    vertices: Int64[Tensor, "P V"]
    weights: Float[Tensor, "P V"]
    neighbours: Int64[Tensor, "V M 2"]

    @classmethod
    def build(cls, points: Float[Tensor, "B N F"]) -> Lattice:
        """Find the simplex of each point and number the corners.

        Raises:
            TagsegError: see ``Packing.of``.
        """
        images, _, features = points.shape
        flat = points.flatten(0, 1).double()
        packing = Packing.of(flat.amin(0), flat.amax(0), images)
        origin, rank, weights = _simplex(flat)
        stride = torch.tensor(packing.stride, device=points.device)
        low = torch.tensor(packing.low, device=points.device)
        image = torch.arange(images, device=points.device).repeat_interleave(points.shape[1])
        base = ((origin[:, :-1] - low) * stride).sum(1) + image * packing.size
        corner = torch.arange(features + 1, device=points.device)
        # Corner r of a simplex: r more in every coordinate, V less in the r of highest rank.
        wrapped = (rank[:, None, :-1] > features - corner[:, None]) * ((features + 1) * stride)
        keys = base[:, None] + corner * stride.sum() - wrapped.sum(2)
        unique, vertices = keys.unique(return_inverse=True)
        offsets = torch.tensor([packing.offset(v) for v in range(features + 1)], device=points.device)
        neighbours = torch.stack([_find(unique, unique + s * offsets[:, None]) for s in (1, -1)], dim=2)
        return cls(vertices, weights.to(points.dtype), neighbours)

    def filter(self, values: Float[Tensor, "B N M"]) -> Float[Tensor, "B N M"]:
        """Splat, blur, slice; at the published scale (times ``mass`` for an estimate of the sum)."""
        features, corners = self.vertices.shape[1] - 1, self.neighbours.shape[1]
        flat = values.flatten(0, 1).to(self.weights.dtype)
        table = flat.new_zeros(corners + 1, flat.shape[1])  # the last row stands for corners that do not exist
        for r in range(features + 1):
            table.index_add_(0, self.vertices[:, r], self.weights[:, r, None] * flat)
        for direction in self.neighbours:
            table[:-1] += 0.5 * (table[direction[:, 0]] + table[direction[:, 1]])
        result = torch.zeros_like(flat)
        for r in range(features + 1):
            result.addcmul_(self.weights[:, r, None], table[self.vertices[:, r]], value=slice_scale(features))
        return result.view_as(values)


def _simplex(points: Float[Tensor, "P F"]) -> tuple[Tensor, Tensor, Tensor]:
    """The simplex each point lies in: its corner with coordinates ≡ 0 mod V, each coordinate's rank, the weights."""
    corners = points.shape[1] + 1
    elevated = points @ elevation(points.shape[1]).to(points).T
    cells = torch.floor(elevated / corners + 0.5)
    origin, total = (cells * corners).long(), cells.sum(1, keepdim=True).long()
    order = (elevated - origin).argsort(dim=1, descending=True, stable=True)
    rank = order.argsort(dim=1) + total
    # The nearest multiples of V need not sum to zero: move those that are farthest off to the next multiple.
    turn = (rank < 0).long() - (rank >= corners).long()
    origin, rank = origin + corners * turn, rank + corners * turn
    rest = torch.empty_like(elevated).scatter_(1, rank, (elevated - origin) / corners)  # by rank, falling
    weights = rest.flip(1) - torch.cat([rest[:, :1], rest[:, 1:].flip(1)], dim=1)
    weights[:, 0] += 1
    return origin, rank, weights


def _find(ordered: Int64[Tensor, " M"], keys: Int64[Tensor, "V M"]) -> Int64[Tensor, "V M"]:
    """Place of each key among the ordered ones; M where it is not."""
    place = torch.searchsorted(ordered, keys).clamp(max=len(ordered) - 1)
    return torch.where(ordered[place] == keys, place, len(ordered))
