"""The permutohedral lattice of one image in compiled loops (``lattice`` is the plain form); one thread, no lock."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray

from tagseg.pairwise.compiled import compiled
from tagseg.pairwise.lattice import Packing, elevation, slice_scale
from tagseg.pairwise.room import Room
from tagseg.pairwise.vectors import LANES, load, plus, scaled, store

FEATURES = 5
"""x, y, red, green, blue: the loops over a point's six corners are written out."""

_CORNERS = FEATURES + 1

_Table = Float32[ndarray, "rows c"]


class CpuLattice:
    """The corners around N points of five features; values are arrays (N, M) float32 with M a multiple of 8.

    It lies in a room and is valid until the room's next lattice is built.
    """

    def __init__(self, points: Float32[ndarray, "N 5"], room: Room | None = None) -> None:
        n, self.room = len(points), room or Room()
        array = self.room.array
        packing = Packing.of(torch.from_numpy(points.min(axis=0)), torch.from_numpy(points.max(axis=0)))
        low, stride = np.array(packing.low), np.array(packing.stride)
        keys = array("keys", (n, _CORNERS), np.int64)
        self.weights = array("weights", (n, _CORNERS))
        _embed(points, elevation(FEATURES).float().numpy(), low, stride, keys, self.weights)
        self.vertices = array("vertices", (n, _CORNERS), np.int32)
        found = array("found", (n * _CORNERS,), np.int64)
        self.corners, places = _number(keys.ravel(), self.vertices.ravel(), found)
        offsets = np.array([packing.offset(v) for v in range(_CORNERS)])
        self.neighbours = array("neighbours", (_CORNERS, self.corners, 2), np.int32)
        self.neighbours[:] = self.corners
        _link(found[: self.corners], places, offsets, self.neighbours)

    def tables(self, channels: int) -> tuple[_Table, _Table]:
        """Room for the corners' values, twice; the last row stands for corners that do not exist and stays zero."""
        first, second = (self.room.array(name, (self.corners + 1, channels)) for name in ("table", "table 2"))
        first[-1] = second[-1] = 0
        return first, second

    def gather(
        self, values: Float32[ndarray, "N c"], scale: Float32[ndarray, " N"], tables: tuple[_Table, _Table]
    ) -> _Table:
        """Splat ``scale`` · ``values`` and blur; returns the one of the tables that holds the result."""
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
        _read_all(table, self.vertices, self.weights, np.float32(slice_scale(FEATURES)), padded)
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
def _number(keys, vertices, found):  # type: ignore[no-untyped-def]
    """Number the distinct keys in the order they are met; returns how many and the hash table."""
    places = np.full(1 << 14, -1, np.int32)
    mask, count = len(places) - 1, 0
    for i in range(len(keys)):
        key = keys[i]
        if i >= _CORNERS and keys[i - _CORNERS] == key:  # the pixel before lies in the same simplex
            vertices[i] = vertices[i - _CORNERS]
            continue
        slot = _slot(key, mask)
        while places[slot] >= 0 and found[places[slot]] != key:
            slot = (slot + 1) & mask
        if places[slot] < 0:
            places[slot], found[count] = count, key
            count += 1
        vertices[i] = places[slot]
        if 2 * count > mask:
            places = np.full(2 * len(places), -1, np.int32)
            mask = len(places) - 1
            for v in range(count):
                slot = _slot(found[v], mask)
                while places[slot] >= 0:
                    slot = (slot + 1) & mask
                places[slot] = v
    return count, places


@compiled
def _link(found, places, offsets, neighbours):  # type: ignore[no-untyped-def]
    """Enter each corner's neighbour in each direction, and it as that one's other neighbour."""
    mask = len(places) - 1
    for direction in range(len(offsets)):
        for v in range(len(found)):
            key = found[v] + offsets[direction]
            slot = _slot(key, mask)
            while places[slot] >= 0 and found[places[slot]] != key:
                slot = (slot + 1) & mask
            other = places[slot]
            if other >= 0:
                neighbours[direction, v, 0] = other
                neighbours[direction, other, 1] = v


@compiled
def splat(values, scale, vertices, weights, table):  # type: ignore[no-untyped-def]
    """Add scale · values (N, c) to the table's rows of each point's corners."""
    channels = values.shape[1]
    for n in range(len(values)):
        for c in range(0, channels, LANES):
            value = scaled(scale[n], load(values, n * channels + c))
            for r in range(vertices.shape[1]):
                place = vertices[n, r] * channels + c
                store(table, place, plus(load(table, place), scaled(weights[n, r], value)))


@compiled
def blur(table, direction, result):  # type: ignore[no-untyped-def]
    """Each corner's value and half of those of its two neighbours in one direction."""
    channels = table.shape[1]
    for v in range(len(direction)):
        left, right = direction[v, 0] * channels, direction[v, 1] * channels
        for c in range(0, channels, LANES):
            around = plus(load(table, left + c), load(table, right + c))
            store(result, v * channels + c, plus(load(table, v * channels + c), scaled(np.float32(0.5), around)))


@compiled
def read(table, n, c, vertices, weights):  # type: ignore[no-untyped-def]
    """Slice: the weighted sum of point n's six corners, eight channels from c on."""
    channels = table.shape[1]
    near = scaled(weights[n, 0], load(table, vertices[n, 0] * channels + c))
    near = plus(near, scaled(weights[n, 1], load(table, vertices[n, 1] * channels + c)))
    near = plus(near, scaled(weights[n, 2], load(table, vertices[n, 2] * channels + c)))
    far = scaled(weights[n, 3], load(table, vertices[n, 3] * channels + c))
    far = plus(far, scaled(weights[n, 4], load(table, vertices[n, 4] * channels + c)))
    far = plus(far, scaled(weights[n, 5], load(table, vertices[n, 5] * channels + c)))
    return plus(near, far)


@compiled
def _read_all(table, vertices, weights, scale, result):  # type: ignore[no-untyped-def]
    """scale · slice at every point."""
    channels = result.shape[1]
    for n in range(len(result)):
        for c in range(0, channels, LANES):
            store(result, n * channels + c, scaled(scale, read(table, n, c, vertices, weights)))
