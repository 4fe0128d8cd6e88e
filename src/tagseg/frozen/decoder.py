"""The decoder, trained on features that do not change: a step costs two small convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from tagseg.data.dataset import IGNORE
from tagseg.errors import NonFiniteLoss
from tagseg.frozen.config import DecoderConfig
from tagseg.frozen.features import FrozenFeatures
from tagseg.fsr.schedules import learning_rate_factor
from tagseg.model.heads import Standardise
from tagseg.progress import progress

STATISTICS = 500
"""Photos from which mean and deviation of the features are computed."""
WARMUP = 0.05
"""Share of the steps until the full learning rate."""


@dataclass(frozen=True)
class DecoderRun:
    """Length and seed of one training of the decoder.

    Attributes:
        steps: optimiser steps.
        batch: photos a step.
        seed: of the photos' order, the mirroring and the dropout.
    """

    steps: int
    batch: int
    seed: int


@torch.no_grad()
def standardise(decoder: nn.Sequential, features: FrozenFeatures) -> None:
    """Set the decoder's mean and deviation, in place, to those of the features."""
    layer = decoder[0]
    assert isinstance(layer, Standardise)  # the network was built with network.decoder conv
    count = min(len(features), STATISTICS)
    sums = torch.zeros(2, 2 * features.width, dtype=torch.float64)
    for part in torch.linspace(0, len(features) - 1, count).round().long().split(64):
        values = features.read(part.tolist()).double()
        sums += torch.stack([values.sum((0, 2, 3)), values.square().sum((0, 2, 3))])
    mean, square = sums / (count * features.grid[0] * features.grid[1])
    layer.mean.copy_(mean[:, None, None])
    layer.deviation.copy_((square - mean.square()).clamp(min=0).sqrt()[:, None, None] + 1e-6)


def train_decoder(
    decoder: nn.Sequential,
    features: FrozenFeatures,
    labels: UInt8[Tensor, "n H W"],
    config: DecoderConfig,
    run: DecoderRun,
    device: torch.device,
    watch: Callable[[int, float, float], None] = lambda done, loss, rate: None,
) -> float:
    """Train a decoder in place; returns the mean loss of the last tenth of the steps.

    Cross-entropy at the size of the labels, 255 ignored; photos are drawn without repetition until all were drawn, half
    of the batches mirrored. The result depends on the arguments alone.

    Args:
        decoder: ends on the CPU, in evaluation mode.
        features: of the training photos.
        labels: of the same photos, in the same order, 0 to C-1 or 255.
        config: learning rate and weight decay.
        run: length and seed.
        device: trains.
        watch: is told after each step how many are done, its loss and its learning rate; must change nothing.

    Raises:
        NonFiniteLoss: a loss that is not finite.
    """
    generator = torch.Generator().manual_seed(run.seed)
    decoder.to(device).train()
    optimiser = torch.optim.AdamW(decoder.parameters(), lr=config.rate, weight_decay=config.weight_decay)
    warmup = max(1, round(WARMUP * run.steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: learning_rate_factor(step, run.steps, warmup, 0.1)
    )
    order = torch.zeros(0, dtype=torch.long)
    losses: list[float] = []
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), \
            progress(run.steps, "decoder", "step") as bar:  # fmt: skip
        torch.manual_seed(run.seed)
        for step in range(run.steps):
            while len(order) < run.batch:
                order = torch.cat([order, torch.randperm(len(features), generator=generator)])
            chosen, order = order[: run.batch], order[run.batch :]
            maps, wanted = features.read(chosen.tolist()).to(device).float(), labels[chosen].to(device).long()
            if torch.rand((), generator=generator) < 0.5:
                maps, wanted = maps.flip(-1), wanted.flip(-1)
            loss = segmentation_loss(decoder(maps), wanted)
            losses.append(float(loss.detach()))
            _check(losses[-1], step)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            rate = optimiser.param_groups[0]["lr"]
            schedule.step()
            bar.set_postfix({"loss": f"{losses[-1]:.3f}"}, refresh=False)
            bar.update()
            watch(step + 1, losses[-1], rate)
    decoder.cpu().eval()
    return sum(losses[-max(1, run.steps // 10) :]) / max(1, run.steps // 10)


def segmentation_loss(logits: Float[Tensor, "B C h w"], labels: Tensor) -> Float[Tensor, ""]:
    """Mean cross-entropy at the size of the labels (B, H, W), 255 ignored; 0 where all are."""
    full = F.interpolate(logits, size=labels.shape[-2:], mode="bilinear", align_corners=False)
    total = F.cross_entropy(full, labels, ignore_index=IGNORE, reduction="sum")
    return total / (labels != IGNORE).sum().clamp(min=1)


def _check(loss: float, step: int) -> None:
    if not math.isfinite(loss):
        raise NonFiniteLoss(f"step {step} of the decoder: the loss is {loss}, expected a finite number: lower "
                            "--decoder.rate, or check the encoder's weights")  # fmt: skip
