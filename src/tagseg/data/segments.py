"""Segment maps: the separate regions of a mask, masks laid over one another, another size.

A segment map is int32 (H, W): pixels of the same positive id are one segment, 0 is in none.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Int32
from numpy import ndarray


def separate_regions(mask: Bool[ndarray, "H W"]) -> Int32[ndarray, "H W"]:
    """The connected regions of a mask, corners connect too; ids 1, 2, ... in the order of their first pixels.

    Works on the runs of each row: runs that touch in neighbouring rows are joined until nothing changes.
    """
    height, width = mask.shape
    stride = width + 2  # one column before and one after: no run reaches into the next row, nor touches its runs
    padded = np.zeros((height, stride), np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded.ravel(), prepend=0)
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    # runs of the next row that touch run i are those from first[i] to last[i] - 1
    first, last = np.searchsorted(ends, starts + stride), np.searchsorted(starts, ends + stride, side="right")
    touching = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(len(starts)), touching)
    lower = np.arange(touching.sum()) - np.repeat(touching.cumsum() - touching - first, touching)

    root = np.arange(len(starts))
    while (root[upper] != root[lower]).any():
        least = np.minimum(root[upper], root[lower])
        np.minimum.at(root, root[upper], least)
        np.minimum.at(root, root[lower], least)
        while (root[root] != root).any():
            root = root[root]
    regions = np.zeros(mask.shape, np.int32)
    regions[mask] = np.repeat(np.unique(root, return_inverse=True)[1].reshape(-1) + 1, ends - starts)
    return regions


def smaller_on_top(masks: Iterable[Bool[ndarray, "H W"]], size: tuple[int, int]) -> Int32[ndarray, "H W"]:
    """One map of overlapping masks: mask i is segment i + 1. The smaller is on top, of equal ones the later.

    Args:
        masks: all of that size; taken one by one, since hundreds of a large photo would fill the memory.
        size: (H, W).
    """
    ids = np.zeros(size, np.int32)
    area_on_top = np.full(size, np.iinfo(np.int64).max)
    for number, mask in enumerate(masks, 1):
        area = np.count_nonzero(mask)
        wins = mask & (area <= area_on_top)
        ids[wins] = number
        area_on_top[wins] = area
    return ids


def same_aspect(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether one (H, W) is the other times a factor, up to one pixel of a side."""
    return abs(size[0] * other[1] - size[1] * other[0]) <= max(*size, *other)


def resized(ids: Int32[ndarray, "h w"], size: tuple[int, int]) -> Int32[ndarray, "H W"]:
    """The map at another (H, W): each pixel takes the id at its centre."""
    rows, columns = (((np.arange(n) + 0.5) * (m / n)).astype(int) for n, m in zip(size, ids.shape, strict=True))
    return ids[rows[:, None], columns]
