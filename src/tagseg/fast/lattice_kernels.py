"""The kernels of ``lattice_triton``; importing them needs Triton.

Points are numbered over all images of a batch, P of them; each has V corners. A table holds one row of channels for
each corner that exists; rows are a multiple of 8 channels wide, ``units`` of 8, so that rows start at whole sectors.
How many corners exist is only known on the device: kernels over corners run through them in strides of the grid.
"""

from __future__ import annotations

from typing import no_type_check

import triton
import triton.language as tl

EMPTY: tl.constexpr = tl.constexpr(-(1 << 62))
"""A place of the hash table that holds no key; keys are larger, whatever the points."""

IDLE: tl.constexpr = tl.constexpr(1 << 13)
"""Further places, for lanes that have nothing to insert: atomic operations take no mask in every Triton."""

GOLDEN: tl.constexpr = tl.constexpr(0x9E3779B97F4A7C15 - (1 << 64))
"""2^64 over the golden ratio, as a signed number (Fibonacci hashing)."""


@triton.jit(do_not_specialize=["points_an_image", "count"])
@no_type_check  # Triton compiles the function's source: type checkers and the tests' instrumentation leave it alone.
def embed(
    points, matrix, packing, keys, weights, points_an_image, count,
    F: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Each point's simplex: the packed positions of its corners (P, V) and its weights there (P, V).

    In float64, as the plain form: a point near a border must fall on the same side. ``packing``: the numbers of an
    image's corners, then low, span and stride of each coordinate. A point outside of what they hold has weights NaN.
    """
    V: tl.constexpr = F + 1
    point = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = point < count
    corner = tl.arange(0, WIDTH)[None, :]
    packed = corner < F  # the last coordinate follows from the others
    elevated = tl.zeros((BLOCK, WIDTH), tl.float64)
    for f in tl.static_range(F):
        feature = tl.load(points + point.to(tl.int64) * F + f, mask=live, other=0.0).to(tl.float64)
        elevated += feature[:, None] * tl.load(matrix + corner * F + f, mask=corner < V, other=0.0)
    low = tl.load(packing + 1 + corner, mask=packed, other=0)
    span = tl.load(packing + 1 + F + corner, mask=packed, other=0)
    stride = tl.load(packing + 1 + 2 * F + corner, mask=packed, other=0)
    # Two cells from the border at least: one to the corners, one to their neighbours. NaN is not inside.
    place = elevated - low.to(tl.float64)
    inside = (place >= 2 * V) & (place <= (span - 1 - 2 * V).to(tl.float64))
    lost = tl.sum((packed & (inside == 0)).to(tl.int32), axis=1) > 0

    # All pairs of a point's coordinates at once: far less code than coordinate by coordinate.
    a = tl.arange(0, WIDTH)[None, :, None]
    b = tl.arange(0, WIDTH)[None, None, :]
    cells = tl.floor(elevated / V + 0.5)
    total = tl.sum(cells, axis=1).to(tl.int32)
    rest = elevated - cells * V
    here, other = rest[:, :, None], rest[:, None, :]
    larger = (b < V) & ((other > here) | ((other == here) & (b < a)))
    rank = tl.sum(larger.to(tl.int32), axis=2) + total[:, None]
    # The nearest multiples of V need not sum to zero: move those that are farthest off to the next multiple.
    turn = (rank < 0).to(tl.int32) - (rank >= V).to(tl.int32)
    rank = tl.where(corner < V, rank + V * turn, -1)
    cells += turn.to(tl.float64)
    rest = tl.where(corner < V, (elevated - cells * V) / V, 0.0)

    # From here on b is a corner: b more in every coordinate, V less in the b of highest rank.
    place = rank[:, :, None]
    gains, loses = place == F - b, (place == V - b) | ((place == 0) & (b == 0))
    weight = tl.sum(rest[:, :, None] * (gains.to(tl.float64) - loses.to(tl.float64)), axis=1) + (corner == 0)
    image = (point // points_an_image).to(tl.int64)
    key = tl.sum((cells.to(tl.int64) * V - low) * stride, axis=1) + image * tl.load(packing)
    less = tl.sum((place > F - b).to(tl.int64) * stride[:, :, None], axis=1)
    key = key[:, None] + corner * tl.sum(stride, axis=1)[:, None] - V * less
    tile = point[:, None] * V + corner
    wanted = live[:, None] & (corner < V)
    tl.store(weights + tile, tl.where(lost[:, None], float("nan"), weight).to(tl.float32), mask=wanted)
    tl.store(keys + tile, key, mask=wanted)


@triton.jit(do_not_specialize=["count", "mask"])
@no_type_check
def insert(keys, hashed, slots, new, count, mask, BLOCK: tl.constexpr):
    """Put each key once into the table of mask + 1 places; where it lies, and 1 where this entry put it there."""
    entry = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    todo = entry < count
    key = tl.load(keys + entry, mask=todo, other=0)
    slot = (((key * GOLDEN) >> 32) & mask).to(tl.int32)
    idle = mask + 1 + (entry & (IDLE - 1))
    empty = tl.full((BLOCK,), EMPTY, tl.int64)
    first = tl.zeros((BLOCK,), tl.int32)
    while tl.max(todo.to(tl.int32), axis=0) > 0:
        # Most keys are there already. Not from the first-level cache, which does not see what others insert.
        seen = tl.load(hashed + slot, mask=todo, other=0, cache_modifier=".cg")
        free = todo & (seen == EMPTY)
        if tl.max(free.to(tl.int32), axis=0) > 0:
            old = tl.atomic_cas(hashed + tl.where(free, slot, idle), empty, key, sem="relaxed")
            won = free & (old == EMPTY)
            first += won.to(tl.int32)
            seen = tl.where(won, key, tl.where(free, old, seen))
        todo = todo & (seen != key)
        slot = tl.where(todo, (slot + 1) & mask, slot)
    tl.store(slots + entry, slot, mask=entry < count)
    tl.store(new + entry, first, mask=entry < count)


@triton.jit(do_not_specialize=["count", "rows"])
@no_type_check
def number(keys, slots, ends, numbers, rows_keys, neighbours, count, rows, V: tl.constexpr, BLOCK: tl.constexpr):
    """Number the corners in the order of the entries that put them there; no corner has a neighbour yet.

    ``ends``: how many corners there are up to each entry.
    """
    entry = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = entry < count
    end = tl.load(ends + entry, mask=live, other=0)
    before = tl.load(ends + entry - 1, mask=live & (entry > 0), other=0)
    new = live & (end > before)
    tl.store(numbers + tl.load(slots + entry, mask=new, other=0), before, mask=new)
    tl.store(rows_keys + before, tl.load(keys + entry, mask=new, other=0), mask=new)
    nobody = tl.full((BLOCK,), -1, tl.int32)
    for side in tl.static_range(2 * V):
        tl.store(neighbours + rows.to(tl.int64) * side + before, nobody, mask=new)


@triton.jit(do_not_specialize=["mask", "rows"])
@no_type_check
def link(rows_keys, hashed, numbers, offsets, neighbours, corners, mask, rows, BLOCK: tl.constexpr):
    """Each corner's neighbour in one direction, and the corner as that neighbour's own: (V, 2, rows)."""
    direction = tl.program_id(1)
    offset = tl.load(offsets + direction)
    ahead = neighbours + rows.to(tl.int64) * 2 * direction
    behind = ahead + rows
    for start in range(tl.program_id(0) * BLOCK, tl.load(corners), tl.num_programs(0) * BLOCK):
        row = start + tl.arange(0, BLOCK)
        live = row < tl.load(corners)
        key = tl.load(rows_keys + row, mask=live, other=0) + offset
        slot = (((key * GOLDEN) >> 32) & mask).to(tl.int32)
        todo, found = live, live
        while tl.max(todo.to(tl.int32), axis=0) > 0:
            seen = tl.load(hashed + slot, mask=todo, other=EMPTY)
            found = found & ((todo == 0) | (seen != EMPTY))
            todo = todo & (seen != EMPTY) & (seen != key)
            slot = tl.where(todo, (slot + 1) & mask, slot)
        other = tl.load(numbers + slot, mask=found, other=0)
        tl.store(ahead + row, other, mask=found)
        tl.store(behind + other, row, mask=found)


@triton.jit(do_not_specialize=["units"])
@no_type_check
def clear(table, corners, units, BLOCK: tl.constexpr):
    """Zero in the rows of all corners."""
    size = tl.load(corners).to(tl.int64) * units * 8
    zero = tl.zeros((BLOCK,), tl.float32)
    for start in range(tl.program_id(0).to(tl.int64) * BLOCK, size, tl.num_programs(0) * BLOCK):
        place = start + tl.arange(0, BLOCK)
        tl.store(table + place, zero, mask=place < size)


@triton.jit(do_not_specialize=["count", "units"])
@no_type_check
def splat(
    values, scale, vertices, weights, table, count, units, V: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr
):
    """Add scale · values (P, c) to the rows of each point's corners."""
    first = tl.program_id(0) * BLOCK
    point = first + tl.arange(0, BLOCK)
    live = point < count
    stride = units * 8
    channel = tl.arange(0, WIDTH)
    wide = channel < stride
    both = live[:, None] & wide[None, :]
    tile = point.to(tl.int64)[:, None] * stride + channel[None, :]
    value = tl.load(values + tile, mask=both, other=0.0)
    value *= tl.load(scale + point, mask=live, other=0.0)[:, None]
    apart = tl.zeros((BLOCK,), tl.int32)
    for r in range(V):
        here = tl.load(vertices + point * V + r, mask=live, other=0)
        apart += (live & (here != tl.load(vertices + first * V + r))).to(tl.int32)
    if tl.max(apart, axis=0) == 0:
        # All in one simplex, as in a plain sky: one addition, where many would wait for one another.
        for r in range(V):
            row = tl.load(vertices + first * V + r).to(tl.int64)
            weight = tl.load(weights + point * V + r, mask=live, other=0.0)
            total = tl.sum(weight[:, None] * value, axis=0)
            tl.atomic_add(table + row * stride + channel, total, mask=wide, sem="relaxed")
    else:
        for corner in tl.static_range(V):
            rows = tl.load(vertices + point * V + corner, mask=live, other=0).to(tl.int64)
            weight = tl.load(weights + point * V + corner, mask=live, other=0.0)
            place = table + rows[:, None] * stride + channel[None, :]
            tl.atomic_add(place, weight[:, None] * value, mask=both, sem="relaxed")


@triton.jit(do_not_specialize=["direction", "rows", "units"])
@no_type_check
def blur(table, neighbours, result, corners, direction, rows, units, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    """Each corner's row and half of those of its two neighbours in one direction."""
    stride = units * 8
    channel = tl.arange(0, WIDTH)[None, :]
    ahead = neighbours + rows.to(tl.int64) * 2 * direction
    behind = ahead + rows
    for start in range(tl.program_id(0) * BLOCK, tl.load(corners), tl.num_programs(0) * BLOCK):
        row = start + tl.arange(0, BLOCK)
        live = row < tl.load(corners)
        one = tl.load(ahead + row, mask=live, other=-1).to(tl.int64)[:, None]
        two = tl.load(behind + row, mask=live, other=-1).to(tl.int64)[:, None]
        tile = row.to(tl.int64)[:, None] * stride + channel
        both = live[:, None] & (channel < stride)
        here = tl.load(table + tile, mask=both, other=0.0)
        left = tl.load(table + one * stride + channel, mask=both & (one >= 0), other=0.0)
        right = tl.load(table + two * stride + channel, mask=both & (two >= 0), other=0.0)
        tl.store(result + tile, here + 0.5 * (left + right), mask=both)


@triton.jit
@no_type_check
def gathered(table, vertices, weights, point, live, stride, channel, wide, V: tl.constexpr):
    """The weighted sums of the points' corners, one row each."""
    result = tl.zeros((point.shape[0], channel.shape[0]), tl.float32)
    for r in tl.static_range(V):
        rows = tl.load(vertices + point * V + r, mask=live, other=0).to(tl.int64)
        weight = tl.load(weights + point * V + r, mask=live, other=0.0)
        place = table + rows[:, None] * stride + channel[None, :]
        result += weight[:, None] * tl.load(place, mask=live[:, None] & wide[None, :], other=0.0)
    return result


@triton.jit(do_not_specialize=["factor", "count", "units"])
@no_type_check
def read(
    table, vertices, weights, result, factor, count, units, V: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr
):
    """Slice: result (P, c) = factor · the weighted sum of each point's corners."""
    point = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = point < count
    stride = units * 8
    channel = tl.arange(0, WIDTH)
    wide = channel < stride
    value = gathered(table, vertices, weights, point, live, stride, channel, wide, V)
    tile = point.to(tl.int64)[:, None] * stride + channel[None, :]
    tl.store(result + tile, factor * value, mask=live[:, None] & wide[None, :])
