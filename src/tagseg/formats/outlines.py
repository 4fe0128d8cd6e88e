"""The connected parts of a region with their run lengths and outlines, exact to the pixel.

Everything is read off the *cracks*: the sides between a pixel inside and one outside. A crack points so that the inside
is on its right; its successor turns left where it can, so pixels that touch at a corner are one part (8-connected).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

EAST, SOUTH, WEST, NORTH = range(4)
"""Directions of the cracks above, right of, below and left of a pixel."""
_START_X, _START_Y = np.array([0, 1, 1, 0]), np.array([0, 0, 1, 1])


@dataclass(frozen=True, eq=False)
class Part:
    """A connected part of a region.

    Attributes:
        size: (H, W) of the image.
        starts: where its runs down the columns begin (column x H + row), ascending; no two runs touch.
        stops: where they end, exclusive.
        box: left, top, width and height in pixels.
        corners: one closed polygon along the corners of its pixels, (x, y) each, without the first again at the end.
        centres: the same through the (column, row) of its border pixels, of at least one point.
    """

    size: tuple[int, int]
    starts: Int[ndarray, " runs"]
    stops: Int[ndarray, " runs"]
    box: tuple[int, int, int, int]
    corners: Int[ndarray, "n 2"]
    centres: Int[ndarray, "m 2"]

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int((self.stops - self.starts).sum())


def parts_of(inside: Bool[ndarray, "H W"]) -> list[Part]:
    """The 8-connected parts of a region, in the order of their first pixel, row by row.

    A polygon has its holes joined to it by horizontal bridges, each passed forth and back, which lie in the part.
    """
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return []
    top, left = int(rows[0]), int(columns[0])
    region = np.pad(inside[top : rows[-1] + 1, left : columns[-1] + 1], 1)
    cracks = _Cracks.of(region)
    loops, loop_of = _loops(cracks.successors(region))
    parents = _parents(cracks, loop_of)
    holes = _attached(parents)
    place = np.array([left - 1, top - 1])  # less the padding
    found = []
    for outer, own in _members(loop_of, parents):
        codes = np.array(list(_polygon(outer, loops, parents, holes)))
        corners, centres = cracks.corners(codes) + place, cracks.centres(codes) + place
        starts, stops = cracks.runs(own, place, inside.shape[0])
        box = _box(cracks.centres(own) + place)
        found.append(Part(inside.shape[:2], starts, stops, box, _straightened(corners), _straightened(centres)))
    return found


@dataclass(frozen=True)
class _Cracks:
    """All cracks of a padded region, in the order of their pixels; crack ``4 x pixel + direction``.

    Attributes:
        ids: ascending.
        width: of the padded region.
    """

    ids: Int[ndarray, " n"]
    width: int

    @classmethod
    def of(cls, region: Bool[ndarray, "h w"]) -> _Cracks:
        flat, width = region.ravel(), region.shape[1]
        inner, outside = slice(width, -width), {EAST: -width, SOUTH: 1, WEST: width, NORTH: -1}
        ids = [
            4 * (width + np.flatnonzero(flat[inner] > flat[width + step : len(flat) - width + step])) + direction
            for direction, step in outside.items()
        ]
        return cls(np.sort(np.concatenate(ids)), width)

    def successors(self, region: Bool[ndarray, "h w"]) -> list[int]:
        """The index of the crack that follows each one."""
        flat, pixel, direction = region.ravel(), self.ids // 4, self.ids % 4
        ahead = pixel + np.array([1, self.width, -1, -self.width])[direction]
        beside = ahead + np.array([-self.width, 1, self.width, -1])[direction]
        straight = np.where(flat[ahead], 4 * ahead + direction, 4 * pixel + (direction + 1) % 4)
        following = np.where(flat[beside], 4 * beside + (direction + 3) % 4, straight)
        found: list[int] = np.searchsorted(self.ids, following).tolist()
        return found

    def centres(self, codes: Int[ndarray, " m"]) -> Int[ndarray, "m 2"]:
        """(column, row) of the pixels of cracks."""
        pixel = self.ids[np.where(codes < 0, ~codes, codes)] // 4
        return np.stack([pixel % self.width, pixel // self.width], axis=1)

    def corners(self, codes: Int[ndarray, " m"]) -> Int[ndarray, "m 2"]:
        """(x, y) of the starts of cracks; where a code is the complement of a crack that points north, of its end."""
        direction = self.ids[np.where(codes < 0, ~codes, codes)] % 4
        below = _START_Y[direction] - (codes < 0)
        return self.centres(codes) + np.stack([_START_X[direction], below], axis=1)

    def runs(self, own: ndarray, place: ndarray, height: int) -> tuple[ndarray, ndarray]:
        """Starts and stops of the runs down the columns that these cracks enclose."""
        x, y = (self.centres(own) + place).T
        direction, position = self.ids[own] % 4, x * height + y
        starts, stops = np.sort(position[direction == EAST]), np.sort(position[direction == WEST] + 1)
        apart = starts[1:] != stops[:-1]  # a run that reaches the lowest row may go on in the next column
        return starts[np.append(True, apart)], stops[np.append(apart, True)]


def _loops(successors: list[int]) -> tuple[list[list[int]], ndarray]:
    """The closed loops of cracks, and the loop of each crack."""
    loops: list[list[int]] = []
    loop_of = [-1] * len(successors)
    for first in range(len(successors)):
        if loop_of[first] >= 0:
            continue
        loop, crack = [], first
        while loop_of[crack] < 0:
            loop_of[crack] = len(loops)
            loop.append(crack)
            crack = successors[crack]
        loops.append(loop)
    return loops, np.array(loop_of)


def _parents(cracks: _Cracks, loop_of: ndarray) -> dict[int, tuple[int, int]]:
    """For each loop around a hole: the crack of its own and the one further left that a bridge joins.

    The bridge starts left of the hole's first pixel and follows the row as far as the part goes. It ends at the outer
    loop or at a hole whose first pixel comes earlier, so that bridges form a tree.
    """
    direction, rows = cracks.ids % 4, cracks.ids // 4 // cracks.width
    across = np.where(direction == WEST, rows + 1, np.where(direction == EAST, -rows, 0))
    area = np.bincount(loop_of, across)
    pixels, north = cracks.ids // 4, np.flatnonzero(direction == NORTH)
    south = np.flatnonzero(direction == SOUTH)
    loops, first = np.unique(loop_of[south], return_index=True)
    inner = area[loops] < 0
    own = south[first[inner]]
    other = north[np.searchsorted(pixels[north], pixels[own], side="right") - 1]
    bridges = zip(own.tolist(), other.tolist(), strict=True)
    return dict(sorted(zip(loops[inner].tolist(), bridges, strict=True), key=itemgetter(1)))


def _attached(parents: dict[int, tuple[int, int]]) -> dict[int, list[int]]:
    """The loops that are joined to each crack."""
    attached: dict[int, list[int]] = {}
    for loop, (_, other) in parents.items():
        attached.setdefault(other, []).append(loop)
    return attached


def _members(loop_of: ndarray, parents: dict[int, tuple[int, int]]) -> Iterator[tuple[int, ndarray]]:
    """Each outer loop with the cracks of its part, its holes' included."""
    roots = np.arange(loop_of.max() + 1)
    for loop, (_, other) in parents.items():
        roots[loop] = roots[loop_of[other]]
    of_part = roots[loop_of]
    order = np.argsort(of_part, kind="stable")
    outer, first = np.unique(of_part[order], return_index=True)
    yield from zip(outer.tolist(), np.split(order, first[1:]), strict=True)


def _polygon(
    outer: int, loops: list[list[int]], parents: dict[int, tuple[int, int]], holes: dict[int, list[int]]
) -> Iterator[int]:
    """The cracks of a part along one closed polygon; complements stand for the ends of bridges."""
    paths: list[Iterator[int]] = [iter(loops[outer])]
    while paths:
        for crack in paths[-1]:
            yield crack
            if crack in holes:
                paths.append(chain.from_iterable(_around(loops[hole], *parents[hole]) for hole in holes[crack]))
                break
        else:
            paths.pop()


def _around(loop: list[int], own: int, other: int) -> list[int]:
    """Over a bridge, around a hole, and back."""
    start = loop.index(own)
    return [~other, *loop[start:], *loop[:start], own, ~other]


def _box(centres: ndarray) -> tuple[int, int, int, int]:
    (left, top), (right, bottom) = centres.min(axis=0).tolist(), centres.max(axis=0).tolist()
    return left, top, right - left + 1, bottom - top + 1


def _straightened(points: Int[ndarray, "n 2"]) -> Int[ndarray, "m 2"]:
    """A closed polygon without repeated points and those in the middle of a straight line; at least one point."""
    moved = (points != np.roll(points, 1, axis=0)).any(axis=1)
    if not moved.any():
        return points[:1]
    points = points[moved]
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turn = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    ahead = (before * after).sum(axis=1)
    return points[(turn != 0) | (ahead <= 0)]
