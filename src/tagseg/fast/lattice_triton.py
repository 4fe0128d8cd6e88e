"""Equals ``pairwise.lattice`` on a GPU, in Triton kernels; importing it needs Triton.

Corners are found by a hash table on the device, and only there is it known how many exist: building and filtering wait
for nothing when the points' bounds are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import triton
from jaxtyping import Float32, Int32, Int64
from torch import Tensor
from torch.nn import functional as F

from tagseg.errors import TagsegError
from tagseg.fast import lattice_kernels as kernels
from tagseg.pairwise.lattice import Bounds, Packing, elevation, slice_scale

MOST_CORNERS = 1 << 29
"""Corners of all points together, each as often as points share it; places of the hash table have 32 bits."""

MOST_TABLE_BYTES = 256 << 20
"""Where it is not known how many corners exist, a table has room for all that could. More channels than fit this are
filtered one part after the other."""

_EMBEDDED = 16  # points a program embeds, each with 8 · 8 pairs of coordinates
_ENTRIES = 128  # one for each thread, so that no atomic operation is made twice
_PROGRAMS = 4096  # most of those that run through the corners: more than a GPU runs at a time
_NUMBERS = 512  # of a tile: points or corners times channels, four for each thread


@dataclass(frozen=True)
class GpuLattice:
    """The corners around B · N points of F features, those of different images apart.

    Attributes:
        images: B.
        features: F.
        vertices: (P, V) the row of each of a point's corners.
        weights: (P, V) its barycentric coordinates; NaN for points outside of the given bounds.
        neighbours: (V, 2, rows) each corner's two neighbours in each direction; -1 where there is none.
        corners: how many exist.
        rows: room for so many, at least ``corners``.
    """

    images: int
    features: int
    vertices: Int32[Tensor, "P V"]
    weights: Float32[Tensor, "P V"]
    neighbours: Int32[Tensor, "V 2 rows"]
    corners: Int32[Tensor, " 1"]
    rows: int

    @classmethod
    def build(cls, points: Float32[Tensor, "B N F"], bounds: Bounds | None = None, fit: bool = False) -> GpuLattice:
        """Find the simplex of each point and number the corners.

        Args:
            points: features in units of the kernel's widths; F is small, 5 for position and colour.
            bounds: least and most of each feature. Default: the points' own, for which the host waits for the device.
            fit: wait until it is known how many corners exist, and take no more memory than that.

        Raises:
            TagsegError: see ``Packing.of``; too many points at once for 32-bit numbers.
        """
        images, n, features = points.shape
        count, total = images * n, images * n * (features + 1)
        if total > MOST_CORNERS:
            raise TagsegError(f"a lattice got {count:,} points, expected at most {MOST_CORNERS // (features + 1):,}")
        if bounds is None:
            flat = points.flatten(0, 1)
            bounds = (tuple(flat.amin(0).tolist()), tuple(flat.amax(0).tolist()))
        packing = _packing(bounds, images, points.device)
        with torch.cuda.device_of(points):  # Triton launches on the current device, which need not be the tensors'
            keys = torch.empty(count, features + 1, dtype=torch.int64, device=points.device)
            weights = torch.empty(count, features + 1, device=points.device)
            width = triton.next_power_of_2(features + 1)
            kernels.embed[(triton.cdiv(count, _EMBEDDED),)](
                points.contiguous(), _elevation(features, points.device), packing, keys, weights, n, count,
                F=features, WIDTH=width, BLOCK=_EMBEDDED, num_warps=4, num_stages=1,
            )  # fmt: skip
            offsets = packing[-features - 1 :]
            vertices, neighbours, corners = _numbered(keys, offsets, fit)
        return cls(images, features, vertices, weights, neighbours, corners, neighbours.shape[2])

    def filter(self, values: Float32[Tensor, "B N M"]) -> Float32[Tensor, "B N M"]:
        """Splat, blur, slice; at the published scale (times ``pairwise.lattice.mass`` for an estimate of the sum)."""
        flat = values.flatten(0, 1).float()
        one = flat.new_ones(len(flat))
        at_once = max(1, MOST_TABLE_BYTES // (4 * 8 * self.rows)) * 8
        parts = []
        for part in flat.split(at_once, dim=1):
            channels = part.shape[1]
            padded = F.pad(part, (0, -channels % 8)).contiguous()
            table = self.gather(padded, one, self.tables(padded.shape[1]))
            parts.append(self.read(table)[:, :channels])
        return (parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)).reshape(values.shape)

    def tables(self, channels: int) -> tuple[Float32[Tensor, "rows c"], Float32[Tensor, "rows c"]]:
        """Two tables for the corners' values, of a multiple of 8 channels; they hold anything."""
        first, second = (torch.empty(self.rows, channels, device=self.weights.device) for _ in range(2))
        return first, second

    def gather(
        self,
        values: Float32[Tensor, "P c"],
        scale: Float32[Tensor, " P"],
        tables: tuple[Tensor, Tensor],
        width: int = 0,
    ) -> Float32[Tensor, "rows c"]:
        """Splat ``scale`` · ``values`` and blur, c a multiple of 8; returns the table that holds the result.

        ``width``: of the tiles, where it is to be more than ``tile_of`` says, as other calls have it.
        """
        count, channels = values.shape
        units, width, block = tile_of(channels, width)
        table, other = tables
        with torch.cuda.device_of(values):
            kernels.clear[(min(_PROGRAMS, triton.cdiv(self.rows * channels, 2048)),)](
                table, self.corners, units, BLOCK=2048, num_warps=4, num_stages=1
            )
            kernels.splat[(triton.cdiv(count, block),)](
                values, scale, self.vertices, self.weights, table, count, units,
                V=self.features + 1, WIDTH=width, BLOCK=block, num_warps=4, num_stages=1,
            )  # fmt: skip
            for direction in range(self.features + 1):
                kernels.blur[(min(_PROGRAMS, triton.cdiv(self.rows, block)),)](
                    table, self.neighbours, other, self.corners, direction, self.rows, units,
                    WIDTH=width, BLOCK=block, num_warps=4, num_stages=1,
                )  # fmt: skip
                table, other = other, table
        return table

    def read(self, table: Float32[Tensor, "rows c"], width: int = 0) -> Float32[Tensor, "P c"]:
        """Slice, at the published scale."""
        count, channels = len(self.vertices), table.shape[1]
        units, width, block = tile_of(channels, width)
        result = torch.empty(count, channels, device=table.device)
        with torch.cuda.device_of(table):
            kernels.read[(triton.cdiv(count, block),)](
                table, self.vertices, self.weights, result, slice_scale(self.features), count, units,
                V=self.features + 1, WIDTH=width, BLOCK=block, num_warps=4, num_stages=1,
            )  # fmt: skip
        return result


def tile_of(channels: int, least: int = 0) -> tuple[int, int, int]:
    """Of rows of so many channels, a multiple of 8: how many 8s, a tile's width in channels, and its rows."""
    width = max(least, triton.next_power_of_2(channels))
    if 8 < width < 32:
        width = 32  # one kernel compiled, instead of two
    return channels // 8, width, max(1, _NUMBERS // width)


def _numbered(
    keys: Int64[Tensor, "P V"], offsets: Int64[Tensor, " V"], fit: bool
) -> tuple[Int32[Tensor, "P V"], Int32[Tensor, "V 2 rows"], Int32[Tensor, " 1"]]:
    """Each distinct key's number in the place of the key, the corners' neighbours, and how many there are."""
    total, corners = keys.numel(), keys.shape[1]
    # At most two thirds are occupied, so that a search always ends, and soon.
    places = max(1024, triton.next_power_of_2(total + total // 2))
    hashed = torch.full((places + kernels.IDLE.value,), kernels.EMPTY.value, dtype=torch.int64, device=keys.device)
    slots, new = (torch.empty(total, dtype=torch.int32, device=keys.device) for _ in range(2))
    grid = (triton.cdiv(total, _ENTRIES),)
    kernels.insert[grid](keys, hashed, slots, new, total, places - 1, BLOCK=_ENTRIES, num_warps=4, num_stages=1)
    ends = new.cumsum(0, dtype=torch.int32)
    found = ends[-1:]
    rows = int(found) if fit else total
    numbers = torch.empty(places, dtype=torch.int32, device=keys.device)
    neighbours = torch.empty(corners, 2, rows, dtype=torch.int32, device=keys.device)
    row_keys = torch.empty(rows, dtype=torch.int64, device=keys.device)
    kernels.number[grid](
        keys, slots, ends, numbers, row_keys, neighbours, total, rows,
        V=corners, BLOCK=_ENTRIES, num_warps=4, num_stages=1,
    )  # fmt: skip
    kernels.link[(min(_PROGRAMS, triton.cdiv(rows, _ENTRIES)), corners)](
        row_keys, hashed, numbers, offsets, neighbours, found, places - 1, rows,
        BLOCK=_ENTRIES, num_warps=4, num_stages=1,
    )  # fmt: skip
    return numbers.index_select(0, slots).view(keys.shape), neighbours, found.clone()


@lru_cache(maxsize=64)
def _packing(bounds: Bounds, images: int, device: torch.device) -> Int64[Tensor, " k"]:
    """What ``kernels.embed`` takes: the numbers of an image's corners, low, span, stride; then the offsets."""
    least, most = (torch.tensor(side, dtype=torch.float64) for side in bounds)
    packing = Packing.of(least, most, images)
    ends = [*packing.stride[1:], packing.size]
    spans = [end // stride for end, stride in zip(ends, packing.stride, strict=True)]
    offsets = [packing.offset(direction) for direction in range(len(least) + 1)]
    numbers = torch.tensor([packing.size, *packing.low, *spans, *packing.stride, *offsets])
    return numbers.to(device, non_blocking=True)


@lru_cache(maxsize=16)
def _elevation(features: int, device: torch.device) -> Tensor:
    return elevation(features).to(device, non_blocking=True)
