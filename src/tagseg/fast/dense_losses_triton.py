"""Equals ``fsr.losses.dense_losses`` where it passes over pixels, as GPU kernels; importing it needs Triton.

Logits, softmax and their gradients at full size are never in memory. The kernels' tensors have one axis, pixels, and
classes are looped over: with tiles of pixels × classes Triton chooses which elements neighbouring threads take, and may
choose classes, which lie far apart.
"""

from __future__ import annotations

from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int64
from torch import Tensor

PIXELS = 128
"""Pixels of a program, one a thread of four warps."""

CELL_PIXELS = 256
"""Pixels between four points of the grid that a program takes: all of them for patches of 16 pixels."""


@torch.no_grad()
def entropy(
    logits: Float[Tensor, "B C h w"], label: Int64[Tensor, "B H W"], weights: Float[Tensor, "B H W"]
) -> tuple[Float[Tensor, ""], Float[Tensor, "B H W"]]:
    """−Σ weight · log softmax at the label, of the logits enlarged bilinear, and log Σ exp of each pixel's logits.

    Args:
        logits: of the grid, float32, contiguous.
        label: contiguous; of any value where the weight is 0.
        weights: of each pixel, float32, contiguous.
    """
    batch, classes, h, w = logits.shape
    height, width = label.shape[-2:]
    blocks = triton.cdiv(height * width, PIXELS)
    log_sums, parts = torch.empty_like(weights), weights.new_empty(batch, blocks)
    # Triton launches on the current device, which need not be the tensors'.
    with torch.cuda.device_of(logits):
        _entropy_of_pixels[blocks, batch](
            logits, label, weights, log_sums, parts, classes, h, w, height, width, BLOCK=PIXELS, num_warps=4
        )
    return parts.sum(), log_sums


@torch.no_grad()
def half_softmax(logits: Float[Tensor, "B C h w"], log_sums: Float[Tensor, "B H W"]) -> Float[Tensor, "B C h2 w2"]:
    """The mean over 2 × 2 pixels of the softmax. Sides are even; ``log_sums`` is what ``entropy`` gives."""
    batch, classes, h, w = logits.shape
    height, width = log_sums.shape[-2:]
    soft = logits.new_empty(batch, classes, height // 2, width // 2)
    with torch.cuda.device_of(logits):
        _soften_pixels[triton.cdiv(height * width // 4, PIXELS), batch](
            logits, log_sums, soft, classes, h, w, height // 2, width // 2, BLOCK=PIXELS, num_warps=4
        )
    return soft


@torch.no_grad()
def gradient(
    logits: Float[Tensor, "B C h w"],
    label: Int64[Tensor, "B H W"],
    weights: Float[Tensor, "B H W"],
    log_sums: Float[Tensor, "B H W"],
    of_entropy: Float[Tensor, ""],
    pull: Float[Tensor, "B C h2 w2"] | None,
    of_pull: Float[Tensor, ""],
) -> Float[Tensor, "B C h w"]:
    """Gradient of of_entropy · entropy + of_pull · Σ pull · S, where ``pull`` is repeated over 2 × 2 pixels.

    Sums are taken in the same order each time. Other arguments are those of ``entropy`` and what it gives.
    """
    batch, classes, h, w = logits.shape
    height, width = label.shape[-2:]
    chunks = triton.cdiv(triton.cdiv(height, h) * triton.cdiv(width, w), CELL_PIXELS)
    corners = logits.new_empty(batch, chunks, 4, classes, h + 1, w + 1)
    result = torch.empty_like(logits)
    with torch.cuda.device_of(logits):
        _corners_of_cell[(h + 1) * (w + 1), chunks, batch](
            logits, label, weights, log_sums, of_entropy.float(), logits if pull is None else pull.contiguous(),
            of_pull.float(), corners, classes, h, w, height, width,
            PULL=pull is not None, BLOCK=CELL_PIXELS, num_warps=4,
        )  # fmt: skip
        _sum_of_corners[triton.cdiv(h * w, PIXELS), classes, batch](
            corners, result, chunks, h, w, BLOCK=PIXELS, num_warps=4
        )
    return result


@triton.jit
@no_type_check  # Triton compiles the function's source: type checkers and the tests' instrumentation leave it alone.
def _between(position, old, new):
    """The points of an axis of ``old`` points around a pixel of ``new``, and the second's share; pixels are areas."""
    numerator = tl.maximum((2 * position + 1) * old - new, 0)
    before = numerator // (2 * new)
    return before, tl.minimum(before + 1, old - 1), (numerator % (2 * new)).to(tl.float32) / (2 * new)


@triton.jit
@no_type_check
def _mix(a, b, c, d, down, right):
    return (1 - down) * ((1 - right) * a + right * b) + down * ((1 - right) * c + right * d)


@triton.jit
@no_type_check
def _interpolated(grid, top, bottom, down, left, right, across, w, wanted):
    """The logits of pixels between rows ``top`` and ``bottom`` and between columns ``left`` and ``right``."""
    a = tl.load(grid + top * w + left, mask=wanted, other=0.0)
    b = tl.load(grid + top * w + right, mask=wanted, other=0.0)
    c = tl.load(grid + bottom * w + left, mask=wanted, other=0.0)
    d = tl.load(grid + bottom * w + right, mask=wanted, other=0.0)
    return _mix(a, b, c, d, down, across)


@triton.jit
@no_type_check
def _entropy_of_pixels(
    logits, label, weights, log_sums, parts, classes, h, w, height, width, BLOCK: tl.constexpr
):  # fmt: skip
    """The weighted entropy of BLOCK pixels of one image, and log Σ exp of each."""
    # 64 bits for whatever counts whole images or planes; offsets within a plane fit 32.
    image = tl.program_id(1).to(tl.int64)
    plane = height * width
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < plane
    top, bottom, down = _between(pixel // width, h, height)
    left, right, across = _between(pixel % width, w, width)
    grid = logits + image * classes * h * w
    most = tl.full((BLOCK,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK,), tl.float32)
    for _ in range(classes):
        logit = _interpolated(grid, top, bottom, down, left, right, across, w, inside)
        new_most = tl.maximum(most, logit)
        total = total * tl.exp(most - new_most) + tl.exp(logit - new_most)
        most = new_most
        grid += h * w
    log_sum = most + tl.log(total)
    tl.store(log_sums + image * plane + pixel, log_sum, mask=inside)
    own = tl.load(label + image * plane + pixel, mask=inside, other=-1)
    known = (own >= 0) & (own < classes)
    grid = logits + image * classes * h * w + tl.where(known, own, 0) * (h * w)
    logit = _interpolated(grid, top, bottom, down, left, right, across, w, known)
    weight = tl.load(weights + image * plane + pixel, mask=known, other=0.0)
    part = tl.sum(weight * (log_sum - logit), axis=0)
    tl.store(parts + image * tl.num_programs(0) + tl.program_id(0), part)


@triton.jit
@no_type_check
def _soften_pixels(
    logits, log_sums, soft, classes, h, w, half_height, half_width, BLOCK: tl.constexpr
):  # fmt: skip
    """The softmax at BLOCK half-size pixels of one image, each the mean of a b c d: two above, two below."""
    image = tl.program_id(1).to(tl.int64)
    plane = half_height * half_width
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < plane
    y, x = pixel // half_width * 2, pixel % half_width * 2
    top, bottom, down = _between(y, h, 2 * half_height)
    low_top, low_bottom, low_down = _between(y + 1, h, 2 * half_height)
    left, right, across = _between(x, w, 2 * half_width)
    far_left, far_right, far_across = _between(x + 1, w, 2 * half_width)
    log_sum = log_sums + image * 4 * plane + y * (2 * half_width) + x
    log_a = tl.load(log_sum, mask=inside, other=0.0)
    log_b = tl.load(log_sum + 1, mask=inside, other=0.0)
    log_c = tl.load(log_sum + 2 * half_width, mask=inside, other=0.0)
    log_d = tl.load(log_sum + 2 * half_width + 1, mask=inside, other=0.0)
    for channel in range(classes):
        grid = logits + (image * classes + channel) * h * w
        a = _interpolated(grid, top, bottom, down, left, right, across, w, inside)
        b = _interpolated(grid, top, bottom, down, far_left, far_right, far_across, w, inside)
        c = _interpolated(grid, low_top, low_bottom, low_down, left, right, across, w, inside)
        d = _interpolated(grid, low_top, low_bottom, low_down, far_left, far_right, far_across, w, inside)
        mean = (tl.exp(a - log_a) + tl.exp(b - log_b) + tl.exp(c - log_c) + tl.exp(d - log_d)) / 4
        tl.store(soft + (image * classes + channel) * plane + pixel, mean, mask=inside)


@triton.jit
@no_type_check
def _in_cell(position, cell, old, new):
    """Share of the second of two points of an axis at pixels between them; beyond the ends one point has it all."""
    share = ((2 * position + 1) * old - new - 2 * new * (cell - 1)).to(tl.float32) / (2 * new)
    return tl.where(cell == 0, 1.0, tl.where(cell == old, 0.0, share))


@triton.jit
@no_type_check
def _start(cell, old, new):
    """The first pixel at or after point ``cell - 1`` of an axis."""
    return tl.minimum(tl.maximum(new * (2 * cell - 1) + old - 1, 0) // (2 * old), new)


@triton.jit
@no_type_check
def _corners_of_cell(
    logits, label, weights, log_sums, of_entropy, pull, of_pull, corners, classes, h, w, height, width,
    PULL: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """What the pixels between four points of the grid give to the gradient at each, of all classes.

    There are (h + 1) × (w + 1) cells with those beyond the grid's outer points; cell (i, j) lies before point (i, j).
    So each pixel is in one cell. A program takes BLOCK of its pixels; ``corners`` is B × chunks × 4 × C × cells.
    """
    cell, chunk = tl.program_id(0), tl.program_id(1)
    image = tl.program_id(2).to(tl.int64)
    i, j = cell // (w + 1), cell % (w + 1)
    first_y, first_x = _start(i, h, height), _start(j, w, width)
    rows, columns = _start(i + 1, h, height) - first_y, _start(j + 1, w, width) - first_x
    number = chunk * BLOCK + tl.arange(0, BLOCK)
    inside = number < rows * columns
    y = first_y + number // tl.maximum(columns, 1)
    x = first_x + number % tl.maximum(columns, 1)
    down, across = _in_cell(y, i, h, height), _in_cell(x, j, w, width)
    top, bottom = tl.maximum(i - 1, 0) * w, tl.minimum(i, h - 1) * w
    left, right = tl.maximum(j - 1, 0), tl.minimum(j, w - 1)

    pixel = image * height * width + y * width + x
    own = tl.load(label + pixel, mask=inside, other=-1)
    weight = tl.load(weights + pixel, mask=inside, other=0.0) * tl.load(of_entropy)
    log_sum = tl.load(log_sums + pixel, mask=inside, other=float("inf"))  # softmax 0 beyond the cell
    half_plane = (height // 2) * (width // 2)
    half_pixel = (y // 2) * (width // 2) + x // 2
    pulled = tl.zeros((BLOCK,), tl.float32)  # Σ pull · softmax
    if PULL:
        factor = tl.load(of_pull)
        for channel in range(classes):
            plane = image * classes + channel
            grid = logits + plane * h * w
            a, b = tl.load(grid + top + left), tl.load(grid + top + right)
            c, d = tl.load(grid + bottom + left), tl.load(grid + bottom + right)
            soft = tl.exp(_mix(a, b, c, d, down, across) - log_sum)
            pulled += soft * factor * tl.load(pull + plane * half_plane + half_pixel, mask=inside, other=0.0)
    target = corners + (image * tl.num_programs(1) + chunk) * 4 * classes * tl.num_programs(0) + cell
    step = classes * tl.num_programs(0)
    for channel in range(classes):
        plane = image * classes + channel
        grid = logits + plane * h * w
        a, b = tl.load(grid + top + left), tl.load(grid + top + right)
        c, d = tl.load(grid + bottom + left), tl.load(grid + bottom + right)
        soft = tl.exp(_mix(a, b, c, d, down, across) - log_sum)
        given = weight * (soft - tl.where(own == channel, 1.0, 0.0))
        if PULL:
            towards = factor * tl.load(pull + plane * half_plane + half_pixel, mask=inside, other=0.0)
            given += soft * (towards - pulled)
        given = tl.where(inside, given, 0.0)
        tl.store(target, tl.sum(given * (1 - down) * (1 - across), axis=0))
        tl.store(target + step, tl.sum(given * (1 - down) * across, axis=0))
        tl.store(target + 2 * step, tl.sum(given * down * (1 - across), axis=0))
        tl.store(target + 3 * step, tl.sum(given * down * across, axis=0))
        target += tl.num_programs(0)


@triton.jit
@no_type_check
def _sum_of_corners(corners, result, chunks, h, w, BLOCK: tl.constexpr):
    """The gradient at BLOCK points of one class and image: each point is a corner of four cells."""
    channel, classes = tl.program_id(1), tl.num_programs(1)
    image = tl.program_id(2).to(tl.int64)
    point = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = point < h * w
    cells = (h + 1) * (w + 1)
    cell = point // w * (w + 1) + point % w  # the one before it
    step = classes * cells
    total = tl.zeros((BLOCK,), tl.float32)
    for chunk in range(chunks):
        source = corners + ((image * chunks + chunk) * 4 * classes + channel) * cells + cell
        total += tl.load(source + w + 2, mask=inside, other=0.0)
        total += tl.load(source + step + w + 1, mask=inside, other=0.0)
        total += tl.load(source + 2 * step + 1, mask=inside, other=0.0)
        total += tl.load(source + 3 * step, mask=inside, other=0.0)
    tl.store(result + (image * classes + channel) * (h * w) + point, total, mask=inside)
