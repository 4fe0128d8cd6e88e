"""Equals ``fsr.losses.dense_losses``: some rows of an image's pixels at a time.

In the plain form logits, log-softmax, softmax and their gradients lie in memory at full size for every image and class:
gigabytes with COCO's 81 classes. Here some rows of an image are computed, read and dropped, in the forward pass and
again in the backward pass. On a GPU with Triton kernels compute each pixel's values where they read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from tagseg.data.dataset import IGNORE
from tagseg.fast.bilateral import lattice_scale_filter
from tagseg.fast.engine import Engine
from tagseg.fast.kernels import kernels_serve
from tagseg.fsr.config import EnergyConfig
from tagseg.fsr.energy import Filter, dense_energy, gated_neighbours
from tagseg.fsr.losses import pixel_weights, segmentation_loss
from tagseg.pairwise.exact import full_precision
from tagseg.pairwise.lattice import pixel_bounds

CACHED = 65_536
"""Numbers of one band on a CPU: what stays in a core's cache."""


def dense_losses(
    logits: Float[Tensor, "B C h w"],
    label: Int64[Tensor, "B H W"],
    image: UInt8[Tensor, "B 3 H W"],
    energy: EnergyConfig | None,
    counts: Float[Tensor, " 2"] | None = None,
    engine: Engine | None = None,
) -> dict[str, Tensor]:
    """Arguments as of the plain form; ``engine`` is what it runs on. Losses are float32."""
    height, width = label.shape[-2:]
    engine = engine or Engine()
    with full_precision(logits.device.type):
        if height % 2 or width % 2:  # pixels cannot be paired: the formulas as they stand
            upsampled = _pixels(logits.float(), (height, width))
            losses = {"segmentation": segmentation_loss(upsampled, label, counts)}
            if energy is not None:
                losses["energy"] = dense_energy(upsampled, image, label, energy, _filter(engine, label, energy))
            return losses
        weights = pixel_weights(label, counts)
        segmentation, regularisation = _Dense.apply(logits.float(), label, weights, image, energy, engine)
    return {"segmentation": segmentation} | ({} if energy is None else {"energy": regularisation})


class _Dense(torch.autograd.Function):
    """Both losses. S at half resolution is the mean of 2 × 2 pixels. Each core takes whole images."""

    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        label: Tensor,
        weights: Tensor,
        image: Tensor,
        config: EnergyConfig | None,
        engine: Engine,
    ) -> tuple[Tensor, Tensor]:
        ctx.bands = None if kernels_serve(logits) else _Bands(logits, label.shape[-2:])
        half = config is not None
        if ctx.bands is None:
            from tagseg.fast import dense_losses_triton as kernels

            logits, known, weights = logits.contiguous(), label.contiguous(), weights.float().contiguous()
            segmentation, log_sums = kernels.entropy(logits, known, weights)
            soft = kernels.half_softmax(logits, log_sums) if half else None
        else:
            known, log_sums = torch.where(label == IGNORE, 0, label), logits.new_zeros(0)
            segmentation, soft = ctx.bands.entropies_and_halves(logits, known, weights, half, engine)
        energy, gated, ctx.factor = logits.new_zeros(()), logits.new_zeros(0), 0.0
        if config is not None and soft is not None:
            gated = gated_neighbours(soft, image, label, config, _filter(engine, label, config))
            energy = -(soft * gated).sum() * config.scale
            ctx.factor = -2 * config.scale / 4  # a quarter: each pixel of four
        ctx.save_for_backward(logits, known, weights, gated, log_sums)
        ctx.engine = engine
        return segmentation, energy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        logits, known, weights, gated, log_sums = ctx.saved_tensors
        of_segmentation, of_pull = grad_outputs[0], ctx.factor * grad_outputs[1]
        if ctx.bands is None:
            from tagseg.fast import dense_losses_triton as kernels

            pull = gated if len(gated) else None
            gradient = kernels.gradient(logits, known, weights, log_sums, of_segmentation, pull, of_pull)
            return gradient, None, None, None, None, None
        pulls = gated * of_pull if len(gated) else [None] * len(logits)
        images = list(zip(logits, known, weights * of_segmentation, pulls, strict=True))
        with full_precision(logits.device.type):
            gradients = ctx.engine.cores.map(lambda one: ctx.bands.gradient(*one), images, logits.device)
        return torch.stack(gradients), None, None, None, None, None


class _Bands:
    """The pixels of an image, some rows at a time.

    Bilinear enlarging is linear along each axis: pixels = rows · grid · columnsᵀ, with a small matrix for each axis. So
    a band of rows is one product, and so is its way back.
    """

    def __init__(self, logits: Float[Tensor, "B C h w"], size: Sequence[int]) -> None:
        height, width = size
        self.rows, self.columns = (
            F.interpolate(torch.eye(old, device=logits.device)[None], size=new, mode="linear", align_corners=False)[0].T
            for old, new in zip(logits.shape[-2:], size, strict=True)
        )
        at_once = height
        if logits.device.type == "cpu":
            at_once = max(2, CACHED // (logits.shape[1] * width) // 2 * 2)
        self.bands = [slice(first, first + at_once) for first in range(0, height, at_once)]

    def entropies_and_halves(
        self,
        logits: Float[Tensor, "B C h w"],
        known: Int64[Tensor, "B H W"],
        weights: Float[Tensor, "B H W"],
        half: bool,
        engine: Engine,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "B C h2 w2"] | None]:
        """The sum of the images' entropies, and each one's softmax at half resolution."""
        images = list(zip(logits, known, weights, strict=True))
        results = engine.cores.map(lambda one: self.entropy_and_half(*one, half=half), images, logits.device)
        halves = [half_size for _, half_size in results if half_size is not None]
        return torch.stack([entropy for entropy, _ in results]).sum(), torch.stack(halves) if half else None

    def entropy_and_half(
        self, grid: Float[Tensor, "C h w"], known: Int64[Tensor, "H W"], weight: Float[Tensor, "H W"], half: bool
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "C h2 w2"] | None]:
        """−Σ weight · log softmax at the known class, and the softmax at half resolution."""
        wide, entropy, halves = self._wide(grid), grid.new_zeros(()), []
        for band in self.bands:
            log = torch.log_softmax(self._pixels(wide, band), dim=1)
            entropy -= (log.gather(1, known[band].unsqueeze(1)).squeeze(1) * weight[band]).sum()
            if half:
                halves.append(F.avg_pool2d(log.exp_().transpose(0, 1), 2))
        return entropy, torch.cat(halves, dim=1) if half else None

    def gradient(
        self,
        grid: Float[Tensor, "C h w"],
        known: Int64[Tensor, "H W"],
        weight: Float[Tensor, "H W"],
        pull: Float[Tensor, "C h2 w2"] | None,
    ) -> Float[Tensor, "C h w"]:
        """Gradient of the entropy above plus Σ pull · S, where ``pull`` is repeated over 2 × 2 pixels."""
        wide = self._wide(grid)
        total = torch.zeros_like(wide)
        for band in self.bands:
            soft = torch.softmax(self._pixels(wide, band), dim=1)
            here = weight[band].unsqueeze(1)
            gradient = (soft * here).scatter_add_(1, known[band].unsqueeze(1), -here)
            if pull is not None:
                part = pull[:, band.start // 2 : band.stop // 2].transpose(0, 1)  # (r/2, C, W/2)
                pulled = part.repeat_interleave(2, 0).repeat_interleave(2, 2).mul_(soft)
                gradient += pulled.addcmul_(soft, pulled.sum(dim=1, keepdim=True), value=-1)
            total.addmm_(self.rows[band].T, gradient.flatten(1))
        # (h, C·W) → (h, C, w) → (C, h, w)
        return (total.unflatten(1, (len(grid), -1)) @ self.columns).transpose(0, 1)

    def _wide(self, grid: Float[Tensor, "C h w"]) -> Float[Tensor, "h CW"]:
        return (grid.transpose(0, 1) @ self.columns.T).flatten(1)

    def _pixels(self, wide: Float[Tensor, "h CW"], band: slice) -> Float[Tensor, "r C W"]:
        return (self.rows[band] @ wide).unflatten(1, (-1, len(self.columns)))


def _pixels(grid: Float[Tensor, "B C h w"], size: tuple[int, int]) -> Float[Tensor, "B C H W"]:
    return F.interpolate(grid, size=size, mode="bilinear", align_corners=False)


def _filter(engine: Engine, label: Int64[Tensor, "B H W"], config: EnergyConfig) -> Filter:
    """The filter, told between which values the features of the halved image lie, so that a GPU need not be asked."""
    height, width = (max(1, side // 2) for side in label.shape[-2:])
    bounds = pixel_bounds(height, width, config.sigma_xy / 2, config.sigma_rgb)
    return partial(lattice_scale_filter, workspaces=engine.workspaces, bounds=bounds)
