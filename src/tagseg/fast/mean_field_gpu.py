"""Equals ``pairwise.mean_field`` with the lattice, for a batch on a GPU; importing it needs Triton.

A pixel's classes lie side by side, (B · N, c), filled up to a multiple of 8 with zeros. One iteration spreads Q over
the lattice and blurs it there, smooths Q along the rows, then does the rest in one kernel: smooth along the columns,
read the lattice, softmax.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Bool, Float, Float32, Int64, UInt8
from torch import Tensor
from torch.nn import functional as F

from tagseg.fast.lattice_kernels import gathered
from tagseg.fast.lattice_triton import GpuLattice, tile_of
from tagseg.pairwise.config import CrfConfig
from tagseg.pairwise.lattice import pixel_bounds, pixel_features, slice_scale
from tagseg.pairwise.relevant import LEAST, reach_of, relevant_classes
from tagseg.pairwise.spatial import axis_kernel, taps


@dataclass(frozen=True)
class GpuMarginals:
    """The marginals of a batch of images of one size, each image with classes of its own.

    Attributes:
        counts: how many classes of each image were filtered.
        classes: (B, k) those classes, rising; k is the largest count, what is beyond an image's own is 0.
        q: (B, N, c) their marginals, then zeros.
        rest: (B, N) what all other classes have together.
    """

    counts: Sequence[int]
    classes: Int64[Tensor, "B k"]
    q: Float32[Tensor, "B N c"]
    rest: Float32[Tensor, "B N"]

    def labels(self) -> UInt8[Tensor, "B N"]:
        """The most probable class of each pixel, at most 256; the others cannot win (``relevant_classes``)."""
        return self.classes.gather(1, self.q.argmax(dim=2)).to(torch.uint8)

    def planes(self, probabilities: Float[Tensor, "B C N"]) -> Float32[Tensor, "B C N"]:
        """Every class's marginal; the classes that were not filtered share the rest as they did before."""
        result = probabilities.float() * ~_kept(self.counts, self.classes, probabilities.shape[1])[:, :, None]
        result *= (self.rest / result.sum(dim=1).clamp(min=LEAST))[:, None]
        for plane, count, classes, q in zip(result, self.counts, self.classes, self.q, strict=True):
            plane.index_copy_(0, classes[:count], q[:, :count].T)
        return result


@torch.no_grad()
def gpu_mean_field(
    probabilities: Float[Tensor, "B C H W"], images: Float[Tensor, "B 3 H W"], config: CrfConfig
) -> GpuMarginals:
    """As ``mean_field`` with the lattice for each image alone: it has the classes filtered that could win there.

    Images are 0 to 255. The host waits for the device once, and once more where some classes are not filtered.
    """
    size = (probabilities.shape[2], probabilities.shape[3])
    planes = probabilities.float().flatten(2)
    widths = config.bilateral_sigma_xy, config.bilateral_sigma_rgb
    lattice = GpuLattice.build(pixel_features(images.float(), *widths), pixel_bounds(*size, *widths), fit=True)
    every = config.negligible == 0
    one = planes.new_ones(planes.shape[0] * planes.shape[2], 1)
    width = tile_of(planes.shape[1] + -planes.shape[1] % 8)[1]  # no other kernels than the iterations'
    width = width if every else min(width, 32)  # mostly some classes are left out
    table = lattice.gather(F.pad(one, (0, 7)), one[:, 0], lattice.tables(8), width)
    norm = lattice.read(table, width)[:, 0].contiguous().clamp(min=1e-20).rsqrt()
    all_of_them: list[list[int]] = [list(range(planes.shape[1]))] * len(planes)
    kept = all_of_them if every else _relevant(planes, norm.view(len(planes), -1), size, config)
    marginals, unary, rest = _start(planes, kept)
    _iterate(marginals.q, unary, marginals.rest, rest, norm, lattice, size, config)
    return marginals


def _relevant(
    planes: Float32[Tensor, "B C N"], norm: Float32[Tensor, "B N"], size: tuple[int, int], config: CrfConfig
) -> list[list[int]]:
    """The classes of each image that have to be filtered."""
    shares = (planes / planes.amax(dim=1, keepdim=True)).amax(dim=2)
    numbers = torch.cat([shares, norm.amax(dim=1, keepdim=True), norm.amin(dim=1, keepdim=True)], dim=1).cpu()
    kept: list[list[int]] = []
    for *_, most, least in numbers.tolist():
        reach = reach_of(config, size, most, least)
        keep = relevant_classes(numbers[len(kept), :-2], reach, config.negligible)
        kept.append(keep.nonzero()[:, 0].tolist())
    return kept


def _start(
    planes: Float32[Tensor, "B C N"], kept: list[list[int]]
) -> tuple[GpuMarginals, Float32[Tensor, "B N c"], Float32[Tensor, "B N"]]:
    """Q as it is at first, the log probabilities (−∞ where there is no class), and the log of the others' total."""
    counts = [len(classes) for classes in kept]
    most = max(counts)
    index = torch.tensor([classes + [0] * (most - len(classes)) for classes in kept]).to(planes.device)
    if most == planes.shape[1]:
        chosen = planes
    else:
        chosen = planes.gather(1, index[:, :, None].expand(-1, -1, planes.shape[2]))
    q, unary = (planes.new_full((*planes.shape[::2], most + -most % 8), fill) for fill in (0.0, -torch.inf))
    for b, count in enumerate(counts):
        q[b, :, :count] = chosen[b, :count].T
        unary[b, :, :count] = chosen[b, :count].clamp(min=LEAST).log().T
    others = planes * ~_kept(counts, index, planes.shape[1])[:, :, None]
    rest = others.sum(dim=1)
    return GpuMarginals(counts, index, q, rest), unary, rest.clamp(min=LEAST**2).log()


def _kept(counts: Sequence[int], classes: Int64[Tensor, "B k"], every: int) -> Bool[Tensor, "B C"]:
    """Which classes of each image were filtered; on the device."""
    result = torch.zeros(len(classes), every, dtype=torch.bool, device=classes.device)
    for row, count, names in zip(result, counts, classes, strict=True):
        row.index_fill_(0, names[:count], True)
    return result


def _iterate(
    q: Float32[Tensor, "B N c"],
    unary: Float32[Tensor, "B N c"],
    left: Float32[Tensor, "B N"],
    rest: Float32[Tensor, "B N"],
    norm: Float32[Tensor, " P"],
    lattice: GpuLattice,
    size: tuple[int, int],
    config: CrfConfig,
) -> None:
    """All iterations, in place for Q and what the other classes have, ``left``."""
    height, width = size
    flat, smoothed = q.flatten(0, 1), torch.empty_like(q)
    count, channels = flat.shape
    units, tile, block = tile_of(channels)
    grid = (triton.cdiv(count, block),)
    along_x = _band(width, config.gaussian_sigma, 1.0, q.device)
    along_y = _band(height, config.gaussian_sigma, config.gaussian_weight, q.device)
    reach = along_x.shape[1] // 2
    strength = config.bilateral_weight * slice_scale(lattice.features)
    tables = lattice.tables(channels)
    for _ in range(config.iterations):
        table = lattice.gather(flat, norm, tables)
        with torch.cuda.device_of(q):
            smooth_rows[grid](
                q, along_x, smoothed, count, width, reach, units,
                WIDTH=tile, BLOCK=block, num_warps=4, num_stages=1,
            )  # fmt: skip
            update[grid](
                smoothed, along_y, table, lattice.vertices, lattice.weights, norm, unary, rest, q, left,
                strength, count, height, width, reach, units,
                V=lattice.features + 1, WIDTH=tile, BLOCK=block, num_warps=4, num_stages=1,
            )  # fmt: skip


@lru_cache(maxsize=64)
def _band(side: int, sigma: float, weight: float, device: torch.device) -> Float32[Tensor, "side taps"]:
    """weight · n_i k_ij n_j for the neighbours j around each i, −reach to reach; 0 outside of the image."""
    kernel = axis_kernel(side, sigma) * weight
    reach = len(taps(sigma)) - 1
    place = torch.arange(side)[:, None] + torch.arange(-reach, reach + 1)
    around = kernel.gather(1, place.clamp(0, side - 1))
    return torch.where((place >= 0) & (place < side), around, 0.0).float().contiguous().to(device)


@triton.jit(do_not_specialize=["count", "width", "reach", "units"])
@no_type_check  # Triton compiles the function's source: type checkers and the tests' instrumentation leave it alone.
def smooth_rows(q, band, result, count, width, reach, units, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    """Weighted sum of the pixels left and right of each pixel."""
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = pixel < count
    stride = units * 8
    channel = tl.arange(0, WIDTH)[None, :]
    wide = live[:, None] & (channel < stride)
    x = pixel % width
    total = tl.zeros((BLOCK, WIDTH), tl.float32)
    for d in range(0, 2 * reach + 1):
        there = pixel + (d - reach)
        inside = live & (x + (d - reach) >= 0) & (x + (d - reach) < width)
        weight = tl.load(band + x * (2 * reach + 1) + d, mask=inside, other=0.0)
        place = q + there.to(tl.int64)[:, None] * stride + channel
        total += weight[:, None] * tl.load(place, mask=inside[:, None] & wide, other=0.0)
    tl.store(result + pixel.to(tl.int64)[:, None] * stride + channel, total, mask=wide)


@triton.jit(do_not_specialize=["strength", "count", "height", "width", "reach", "units"])
@no_type_check
def update(
    smoothed, band, table, vertices, weights, norm, unary, rest, q, left, strength, count, height, width, reach, units,
    V: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Q ← softmax(unary + both messages), with one more class ``rest`` that receives none and becomes ``left``."""
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = pixel < count
    stride = units * 8
    channel = tl.arange(0, WIDTH)
    wide = channel < stride
    both = live[:, None] & wide[None, :]
    message = gathered(table, vertices, weights, pixel, live, stride, channel, wide, V)
    message *= (strength * tl.load(norm + pixel, mask=live, other=0.0))[:, None]
    y = (pixel // width) % height
    for d in range(0, 2 * reach + 1):
        there = pixel + (d - reach) * width
        inside = live & (y + (d - reach) >= 0) & (y + (d - reach) < height)
        weight = tl.load(band + y * (2 * reach + 1) + d, mask=inside, other=0.0)
        place = smoothed + there.to(tl.int64)[:, None] * stride + channel[None, :]
        message += weight[:, None] * tl.load(place, mask=inside[:, None] & wide[None, :], other=0.0)
    tile = pixel.to(tl.int64)[:, None] * stride + channel[None, :]
    score = tl.load(unary + tile, mask=both, other=float("-inf")) + message
    other = tl.load(rest + pixel, mask=live, other=0.0)
    most = tl.maximum(tl.max(score, axis=1), other)
    share = tl.exp(score - most[:, None])
    other = tl.exp(other - most)
    total = tl.sum(share, axis=1) + other
    tl.store(q + tile, share / total[:, None], mask=both)
    tl.store(left + pixel, other / total, mask=live)
