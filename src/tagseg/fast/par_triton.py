"""Equals ``fsr.par.refine``: two GPU kernels for the weights, one for each iteration; importing it needs Triton."""

from __future__ import annotations

from functools import lru_cache
from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from tagseg.fsr.config import LabelConfig
from tagseg.fsr.par import DIRECTIONS, at_least_float32, position_weights

PIXELS = 128
"""Pixels of a program, one a thread of four warps."""

MAPS = 4
"""Maps a program refines, written out one by one. The program of further maps is next: the weights are cached."""

AROUND: tl.constexpr = tl.constexpr(len(DIRECTIONS))
"""Neighbours at each dilation."""


@torch.no_grad()
def refine(
    image: Float[Tensor, "B 3 h w"], maps: Float[Tensor, "B M h w"], config: LabelConfig
) -> Float[Tensor, "B M h w"]:
    """Refined maps, float32; arguments as of ``fsr.par.refine``, without gradient. At most 21845 images.

    Memory is that of the J = 8 · len(dilations) weights of each pixel and of two copies of the maps.
    """
    image, maps = at_least_float32(image).float().contiguous(), maps.float().contiguous()
    batch, count, height, width = maps.shape
    dilations, position = _neighbours(
        tuple(config.refine_dilations), config.refine_sharpness, config.refine_spatial_weight, maps.device
    )
    distances = len(dilations)
    weights = torch.empty(batch, distances * len(DIRECTIONS), height, width, device=maps.device)
    deviations = torch.empty_like(image)
    blocks = triton.cdiv(height * width, PIXELS)
    groups = triton.cdiv(count, MAPS)
    # Triton launches on the current device, which need not be the tensors'.
    with torch.cuda.device_of(maps):
        _deviate_from_neighbours[blocks, 3 * batch](
            image, dilations, deviations, height, width, distances, BLOCK=PIXELS, num_warps=4
        )
        # Fused, a product and a difference would leave the product's rounding where the affinities are equal: with one
        # pixel unlike all others these reach 1e16, and the rounding 5e8.
        _weigh_neighbours[blocks, batch](
            image, deviations, dilations, position, weights, height, width, distances, config.refine_sharpness,
            BLOCK=PIXELS, num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip
        spare = [torch.empty_like(maps) for _ in range(min(2, config.refine_iterations))]
        for iteration in range(config.refine_iterations):
            refined = spare[iteration % 2]
            _average_neighbours[blocks * groups, batch](
                maps, weights, dilations, refined, count, groups, height, width, distances,
                BLOCK=PIXELS, num_warps=4,
            )  # fmt: skip
            maps = refined
    return maps


@lru_cache(maxsize=32)
def _neighbours(
    dilations: tuple[int, ...], sharpness: float, spatial_weight: float, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The dilations, int32, and the weighted position terms (J,), float32; kept, as a copy to a GPU waits for it."""
    position = spatial_weight * position_weights(dilations, sharpness)
    return torch.tensor(dilations, dtype=torch.int32).to(device), position.float().to(device)


@triton.jit
@no_type_check  # Triton compiles the function's source: type checkers and the tests' instrumentation leave it alone.
def _neighbour(row, column, dilation, k: tl.constexpr, height, width):
    """Where in a plane the k-th of ``DIRECTIONS`` leads, edges repeated: all of 3 × 3 but the middle, row by row."""
    y = tl.minimum(tl.maximum(row + dilation * ((k + k // 4) // 3 - 1), 0), height - 1)
    x = tl.minimum(tl.maximum(column + dilation * ((k + k // 4) % 3 - 1), 0), width - 1)
    return y * width + x


@triton.jit
@no_type_check
def _deviate_from_neighbours(image, dilations, deviations, height, width, distances, BLOCK: tl.constexpr):
    """Unbiased standard deviation of the J neighbours of BLOCK pixels of one colour plane, plus 1e-8."""
    # 64 bits for whatever counts whole images or planes; offsets within a plane fit 32.
    plane = height * width
    first = tl.program_id(1).to(tl.int64) * plane
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < plane
    row, column = pixel // width, pixel % width
    count = distances * AROUND
    # In two passes: the mean of squares less the square of the mean would lose float32's digits.
    mean = tl.zeros((BLOCK,), tl.float32)
    for d in range(distances):
        dilation = tl.load(dilations + d)
        for k in tl.static_range(AROUND):
            source = _neighbour(row, column, dilation, k, height, width)
            mean += tl.load(image + first + source, mask=inside, other=0.0)
    mean = mean / count
    squares = tl.zeros((BLOCK,), tl.float32)
    for d in range(distances):
        dilation = tl.load(dilations + d)
        for k in tl.static_range(AROUND):
            source = _neighbour(row, column, dilation, k, height, width)
            off = tl.load(image + first + source, mask=inside, other=0.0) - mean
            squares += off * off
    tl.store(deviations + first + pixel, tl.sqrt(squares / (count - 1)) + 1e-8, mask=inside)


@triton.jit
@no_type_check
def _weigh_neighbours(
    image, deviations, dilations, position, weights, height, width, distances, sharpness, BLOCK: tl.constexpr
):  # fmt: skip
    """The weights of BLOCK pixels of one image; ``image`` is B × 3 × h × w, ``weights`` B × J × h × w.

    The three colours are written out: with tiles of two axes Triton chooses which elements neighbouring threads take,
    and may choose colours, which lie far apart.
    """
    batch = tl.program_id(1).to(tl.int64)
    plane = height * width
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < plane
    row, column = pixel // width, pixel % width
    red = image + batch * 3 * plane
    green = red + plane
    blue = green + plane
    deviations += batch * 3 * plane
    red_deviation = tl.load(deviations + pixel, mask=inside, other=1.0)
    green_deviation = tl.load(deviations + plane + pixel, mask=inside, other=1.0)
    blue_deviation = tl.load(deviations + 2 * plane + pixel, mask=inside, other=1.0)
    red_own = tl.load(red + pixel, mask=inside, other=0.0)
    green_own = tl.load(green + pixel, mask=inside, other=0.0)
    blue_own = tl.load(blue + pixel, mask=inside, other=0.0)
    # Softmax: each affinity is kept in place of its weight, with the largest and the sum relative to that. They are not
    # computed twice: where the deviation is 0 they are near 1e16, and rounded otherwise they would differ by 1e9.
    most = tl.full((BLOCK,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK,), tl.float32)
    for d in range(distances):
        dilation = tl.load(dilations + d)
        for k in tl.static_range(AROUND):
            source = _neighbour(row, column, dilation, k, height, width)
            r = (tl.load(red + source, mask=inside, other=0.0) - red_own) / red_deviation / sharpness
            g = (tl.load(green + source, mask=inside, other=0.0) - green_own) / green_deviation / sharpness
            b = (tl.load(blue + source, mask=inside, other=0.0) - blue_own) / blue_deviation / sharpness
            affinity = -(r * r + g * g + b * b) / 3
            tl.store(weights + ((batch * distances + d) * AROUND + k) * plane + pixel, affinity, mask=inside)
            new_most = tl.maximum(most, affinity)
            total = total * tl.exp(most - new_most) + tl.exp(affinity - new_most)
            most = new_most
    tl.debug_barrier()  # What is read next was written by these threads.
    for j in range(distances * AROUND):
        target = weights + (batch * distances * AROUND + j) * plane + pixel
        share = tl.exp(tl.load(target, mask=inside, other=0.0) - most) / total
        tl.store(target, share + tl.load(position + j), mask=inside)


@triton.jit(do_not_specialize=["count", "groups"])
@no_type_check
def _average_neighbours(
    maps, weights, dilations, refined, count, groups, height, width, distances, BLOCK: tl.constexpr
):  # fmt: skip
    """Σ_j weight_ij M_j at BLOCK pixels i, for four maps M of one image; ``maps`` is B × count × h × w."""
    batch = tl.program_id(1).to(tl.int64)
    plane = height * width
    pixel = tl.program_id(0) // groups * BLOCK + tl.arange(0, BLOCK)
    row, column = pixel // width, pixel % width
    m = tl.program_id(0) % groups * 4
    first = (batch * count + m) * plane
    # A map too many has no pixels.
    inside_a = pixel < plane
    inside_b = pixel < tl.where(m + 1 < count, plane, 0)
    inside_c = pixel < tl.where(m + 2 < count, plane, 0)
    inside_d = pixel < tl.where(m + 3 < count, plane, 0)
    a = tl.zeros((BLOCK,), tl.float32)
    b = tl.zeros((BLOCK,), tl.float32)
    c = tl.zeros((BLOCK,), tl.float32)
    d = tl.zeros((BLOCK,), tl.float32)
    for distance in range(distances):
        dilation = tl.load(dilations + distance)
        for k in tl.static_range(AROUND):
            j = (batch * distances + distance) * AROUND + k
            weight = tl.load(weights + j * plane + pixel, mask=inside_a, other=0.0)
            source = maps + first + _neighbour(row, column, dilation, k, height, width)
            a += weight * tl.load(source, mask=inside_a, other=0.0)
            b += weight * tl.load(source + plane, mask=inside_b, other=0.0)
            c += weight * tl.load(source + 2 * plane, mask=inside_c, other=0.0)
            d += weight * tl.load(source + 3 * plane, mask=inside_d, other=0.0)
    target = refined + first + pixel
    tl.store(target, a, mask=inside_a)
    tl.store(target + plane, b, mask=inside_b)
    tl.store(target + 2 * plane, c, mask=inside_c)
    tl.store(target + 3 * plane, d, mask=inside_d)
