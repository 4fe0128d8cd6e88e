"""Equals ``pairwise.lattice`` for one image, in compiled loops; one thread, no lock.

The innermost loops run over a point's channels, in rows taken beforehand: LLVM makes vector operations of such loops.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray

from tagseg.fast.compiled import compiled
from tagseg.fast.workspace import Workspace
from tagseg.pairwise.lattice import Packing, elevation, slice_scale

FEATURES = 5
"""x, y, red, green, blue: the loops over a point's six corners are written out."""

LANES = 8
"""A point's channels are padded to a multiple of this, so that vector operations cover all of them."""

_CORNERS = FEATURES + 1

_Table = Float32[ndarray, "rows c"]


class CpuLattice:
    """The corners around N points of five features; values are arrays (N, M) float32 with M a multiple of 8.

    It lies in a workspace and is valid until the workspace's next lattice is built.
    """

    def __init__(self, points: Float32[ndarray, "N 5"], workspace: Workspace | None = None) -> None:
        n, self.workspace = len(points), workspace or Workspace()
        array = self.workspace.array
        packing = Packing.of(torch.from_numpy(points.min(axis=0)), torch.from_numpy(points.max(axis=0)))
        low, stride = np.array(packing.low), np.array(packing.stride)
        keys = array("keys", (n, _CORNERS), np.int64)
        self.weights = array("weights", (n, _CORNERS))
        _embed(points, elevation(FEATURES).float().numpy(), low, stride, keys, self.weights)
        # Unsigned: numba tests whether a signed index is negative, at every row that is taken.
        self.vertices = array("vertices", (n, _CORNERS), np.uint32)
        numbered = array("numbered", (n * _CORNERS,), np.int64)
        self.corners, places = _number(keys.ravel(), self.vertices.ravel(), numbered)
        offsets = np.array([packing.offset(v) for v in range(_CORNERS)])
        self.neighbours = array("neighbours", (_CORNERS, self.corners, 2), np.uint32)
        self.neighbours[:] = self.corners
        _link(numbered[: self.corners], places, offsets, self.neighbours)

    def tables(self, channels: int) -> tuple[_Table, _Table]:
        """Two arrays for the corners' values; the last row stands for corners that do not exist and stays zero."""
        first, second = (self.workspace.array(name, (self.corners + 1, channels)) for name in ("table", "table 2"))
        first[-1] = second[-1] = 0
        return first, second

    def gather(
        self, values: Float32[ndarray, "N c"], scale: Float32[ndarray, " N"], tables: tuple[_Table, _Table]
    ) -> _Table:
        """Splat ``scale`` · ``values`` and blur; returns the table that holds the result."""
        table, other = tables
        table[:] = 0
        splat(values, scale, self.vertices, self.weights, table)
        for direction in self.neighbours:
            blur(table, direction, other)
            table, other = other, table
        return table

    def filter(self, values: Float32[ndarray, "N c"]) -> Float32[ndarray, "N c"]:
        """Splat, blur, slice, as ``Lattice.filter``; any number of channels."""
        n, channels = values.shape
        padded = np.zeros((n, channels + -channels % LANES), np.float32)
        padded[:, :channels] = values
        table = self.gather(padded, np.ones(n, np.float32), self.tables(padded.shape[1]))
        scale, share = np.full(n, slice_scale(FEATURES), np.float32), np.zeros(n, np.float32)
        read(table, self.vertices, self.weights, scale, share, padded)
        return padded[:, :channels]


@compiled
def _embed(points, matrix, low, stride, keys, weights):  # type: ignore[no-untyped-def]
    """Each point's simplex: the packed positions of its corners (N, 6) and its weights there (N, 6).

    Some points at a time and without branches, so that the loops over them become vector operations.
    """
    corners, step = matrix.shape[0], 256
    elevated, origin = np.empty((corners, step), np.float32), np.empty((corners, step), np.float32)
    rank, total = np.empty((corners, step), np.int32), np.empty(step, np.int32)
    ordered, key = np.empty((corners + 1, step), np.float32), np.empty(step, np.int64)
    whole, share = stride.sum(), np.float32(1 / corners)
    for start in range(0, len(points), step):
        block = points[start : start + step]
        n = len(block)
        total[:] = 0
        rank[:] = 0
        ordered[:] = 0
        key[:] = 0
        for a in range(corners):
            x, cell = elevated[a], origin[a]
            for i in range(n):
                x[i] = 0
            for f in range(corners - 1):
                for i in range(n):
                    x[i] += matrix[a, f] * block[i, f]
            for i in range(n):
                multiple = np.floor(x[i] * share + np.float32(0.5))
                total[i] += np.int32(multiple)
                cell[i] = multiple * np.float32(corners)
        for a in range(corners):
            for b in range(a + 1, corners):
                for i in range(n):
                    above = np.int32(elevated[a, i] - origin[a, i] < elevated[b, i] - origin[b, i])
                    rank[a, i] += above
                    rank[b, i] += np.int32(1) - above
        for a in range(corners):
            for i in range(n):
                place = rank[a, i] + total[i]
                turn = np.int32(place < 0) - np.int32(place >= corners)
                rank[a, i] = place + turn * corners
                origin[a, i] += np.float32(turn * corners)
            for r in range(corners):  # the distances from the corner in falling order
                for i in range(n):
                    rest = (elevated[a, i] - origin[a, i]) * share
                    ordered[r, i] += rest if rank[a, i] == r else np.float32(0)
            if a < corners - 1:
                for i in range(n):
                    key[i] += (np.int64(origin[a, i]) - low[a]) * stride[a]
        for i in range(n):
            ordered[corners, i] = ordered[0, i] - np.float32(1)
        for r in range(corners):
            for i in range(n):
                weights[start + i, r] = ordered[corners - 1 - r, i] - ordered[corners - r, i]
                keys[start + i, r] = key[i]
            for i in range(n):
                key[i] += whole
            for a in range(corners - 1):
                for i in range(n):
                    key[i] -= corners * stride[a] if rank[a, i] == corners - 1 - r else 0


@compiled
def _slot(key, mask):  # type: ignore[no-untyped-def]
    """Where a key is looked for first in a table of mask + 1 places (Fibonacci hashing)."""
    return int((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & mask


@compiled
def _number(keys, vertices, numbered):  # type: ignore[no-untyped-def]
    """Number the distinct keys in the order they are met; returns how many and the hash table."""
    places = np.full(1 << 14, -1, np.int32)
    mask, count = len(places) - 1, 0
    for i in range(len(keys)):
        key = keys[i]
        if i >= _CORNERS and keys[i - _CORNERS] == key:  # the pixel before lies in the same simplex
            vertices[i] = vertices[i - _CORNERS]
            continue
        slot = _slot(key, mask)
        while places[slot] >= 0 and numbered[places[slot]] != key:
            slot = (slot + 1) & mask
        if places[slot] < 0:
            places[slot], numbered[count] = count, key
            count += 1
        vertices[i] = places[slot]
        if 2 * count > mask:
            places = np.full(2 * len(places), -1, np.int32)
            mask = len(places) - 1
            for v in range(count):
                slot = _slot(numbered[v], mask)
                while places[slot] >= 0:
                    slot = (slot + 1) & mask
                places[slot] = v
    return count, places


@compiled
def _link(numbered, places, offsets, neighbours):  # type: ignore[no-untyped-def]
    """Store each corner's neighbour in each direction, and the corner as that neighbour's own."""
    mask = len(places) - 1
    for direction in range(len(offsets)):
        for v in range(len(numbered)):
            key = numbered[v] + offsets[direction]
            slot = _slot(key, mask)
            while places[slot] >= 0 and numbered[places[slot]] != key:
                slot = (slot + 1) & mask
            other = places[slot]
            if other >= 0:
                neighbours[direction, v, 0] = other
                neighbours[direction, other, 1] = v


@compiled
def splat(values, scale, vertices, weights, table):  # type: ignore[no-untyped-def]
    """Add scale · values (N, c) to the table's rows of each point's corners."""
    for n in range(len(values)):
        value = values[n]
        for r in range(vertices.shape[1]):
            row, weight = table[vertices[n, r]], scale[n] * weights[n, r]
            for c in range(len(row)):
                row[c] += weight * value[c]


@compiled
def blur(table, direction, result):  # type: ignore[no-untyped-def]
    """Each corner's value and half of those of its two neighbours in one direction."""
    for v in range(len(direction)):
        here, left, right, out = table[v], table[direction[v, 0]], table[direction[v, 1]], result[v]
        for c in range(len(out)):
            out[c] = here[c] + np.float32(0.5) * (left[c] + right[c])


@compiled
def read(table, vertices, weights, scale, share, result):  # type: ignore[no-untyped-def]
    """Slice: result (N, c) ← share · result + scale · the weighted sum of each point's six corners."""
    for n in range(len(result)):
        v, w, s, out = vertices[n], weights[n], scale[n], result[n]
        a0, a1, a2, a3, a4, a5 = table[v[0]], table[v[1]], table[v[2]], table[v[3]], table[v[4]], table[v[5]]
        w0, w1, w2, w3, w4, w5 = s * w[0], s * w[1], s * w[2], s * w[3], s * w[4], s * w[5]
        for c in range(len(out)):
            near = w0 * a0[c] + w1 * a1[c] + w2 * a2[c]
            out[c] = share[n] * out[c] + near + (w3 * a3[c] + w4 * a4[c] + w5 * a5[c])
