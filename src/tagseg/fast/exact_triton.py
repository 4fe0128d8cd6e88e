"""Equals ``pairwise.exact.exact_filter``, in one fused GPU kernel; importing it needs Triton."""

from __future__ import annotations

import math
from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

BLOCK_I = 64
"""Points a program sums for; 64 rows are what a warp group of an H200 multiplies at a time."""

BLOCK_J = 32
"""Points it takes in at a time; with 64, the kernel block and its two TF32 parts no longer fit the registers."""

MOST_CHANNELS = 64
"""Channels of one program: the sum, its compensation and the new part are held in registers. More are split over
programs, each of which evaluates the kernel anew."""

LEAST_CHANNELS = 16
"""The least width ``tl.dot`` takes; fewer channels are padded by masking, without a copy."""

# Applied to the squared distance and not to the points: scaling those would round coordinates of several hundred anew,
# which shows in their small differences.
EXPONENT: tl.constexpr = tl.constexpr(-0.5 * math.log2(math.e))


@torch.no_grad()
def gaussian_sum(points: Float[Tensor, "B N F"], values: Float[Tensor, "B N M"]) -> Float[Tensor, "B N M"]:
    """Σ_j exp(−½‖f_i − f_j‖²) v_j for every i, the point itself included; float32, no approximation.

    Points are in units of their standard deviation, F is small (5 for position and colour) and at most 65535 images
    fit a call. Cost N² · (F · ⌈M/64⌉ + M), memory that of the arguments: the kernel is only ever held in registers.
    """
    batch, n, width = points.shape
    m = values.shape[2]
    # One contiguous line per feature, so that neighbouring threads read neighbouring numbers.
    lines = points.float().transpose(1, 2).contiguous()
    values = values.float().contiguous()
    result = torch.empty_like(values)
    channels = min(MOST_CHANNELS, max(LEAST_CHANNELS, triton.next_power_of_2(m)))
    grid = (triton.cdiv(n, BLOCK_I), triton.cdiv(m, channels), batch)
    # Triton launches on the current device, which need not be the tensors'.
    with torch.cuda.device_of(values):
        _sum_for_block[grid](
            lines, values, result, n, m, F=width, ROWS=BLOCK_I, COLUMNS=BLOCK_J, CHANNELS=channels, num_warps=4
        )
    return result


@triton.jit
@no_type_check  # Triton compiles the function's source: type checkers and the tests' instrumentation leave it alone.
def _sum_for_block(
    points, values, result, n, m,
    F: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """The sums of ROWS points and CHANNELS channels of one image; ``points`` is B × F × n, the others B × n × m."""
    # 64 bits for whatever counts whole images; offsets within a tile fit 32.
    image = tl.program_id(2).to(tl.int64)
    first = tl.program_id(0) * ROWS
    row = tl.arange(0, ROWS)
    column = tl.arange(0, COLUMNS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    wanted = first + row < n
    image_points = points + image * F * n

    total = tl.zeros((ROWS, CHANNELS), tl.float32)
    lost = tl.zeros((ROWS, CHANNELS), tl.float32)
    for start in range(0, n, COLUMNS):
        present = start + column < n
        # Differences feature by feature: ‖a‖² + ‖b‖² − 2a·b would cancel where coordinates are in the hundreds.
        squared = tl.zeros((ROWS, COLUMNS), tl.float32)
        for f in tl.static_range(F):
            a = tl.load(image_points + f * n + first + row, mask=wanted, other=0.0)
            b = tl.load(image_points + f * n + start + column, mask=present, other=0.0)
            difference = a[:, None] - b[None, :]
            # Written out, as Triton from 3.10 on fuses no multiplication and addition by itself.
            squared = tl.fma(difference, difference, squared)
        # Absent points have value 0, so their kernel needs no mask.
        tile = values + (image * n + start) * m + (column[:, None] * m + channel[None, :])
        value = tl.load(tile, mask=present[:, None] & (channel[None, :] < m), other=0.0)
        # Plain TF32 keeps 10 bits of each factor: errors up to 5e-4, or 1e-3 where the hardware truncates, and sums of
        # positive values share their sign. Three TF32 products of high and low parts give back float32's digits.
        part = tl.dot(tl.exp2(squared * EXPONENT), value, input_precision="tf32x3") - lost
        # Tensor cores truncate as they accumulate, which over 1e5 points would bias the sum by up to some 1e-3. So each
        # block's product starts from 0 and is added outside, with what rounding loses carried on (Kahan). The
        # subtraction above also keeps Triton from folding the addition back into the product.
        new_total = total + part
        lost = (new_total - total) - part
        total = new_total
    tile = result + (image * n + first) * m + (row[:, None] * m + channel[None, :])
    tl.store(tile, total, mask=wanted[:, None] & (channel[None, :] < m))
