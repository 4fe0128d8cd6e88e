"""Everything that changes with the step, as pure functions of it (sections 4, 5 and 8 of docs/method.md)."""

from __future__ import annotations

import math
from typing import Literal

from tagseg.fsr.config import FSRConfig, MaskConfig
from tagseg.settings import When


def step_of(when: When, steps: int) -> int:
    """The step number of a *when*: an ``int`` is one already, a ``float`` is a share of ``steps``."""
    return when if isinstance(when, int) else round(when * steps)


def learning_rate_factor(step: int, steps: int, warmup: int, ratio: float) -> float:
    """Factor of the base rate: linear from ``ratio`` over ``warmup`` steps, then half-cosine to 0 at ``steps``."""
    if step < warmup:
        return ratio + (1 - ratio) * step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def teacher_momentum(step: int, steps: int, first: float, last: float) -> float:
    """Momentum of the teacher's weights: cosine from ``first`` to ``last``."""
    return last + 0.5 * (first - last) * (1 + math.cos(math.pi * step / max(1, steps)))


def teacher_temperature(step: int, warmup: int, first: float, last: float) -> float:
    """τ_t: ``warmup`` values evenly from ``first`` to ``last``, then ``last``."""
    if step >= warmup or warmup < 2:
        return last
    return first + (last - first) * step / (warmup - 1)


def mask_choice(step: int, steps: int, config: MaskConfig) -> Literal["uncertain", "random", "none"]:
    """How masked blocks are chosen: at random until the CAMs can be trusted."""
    if config.choice == "uncertain" and step < step_of(config.random_until, steps):
        return "random"
    return config.choice


def loss_weights(step: int, steps: int, config: FSRConfig) -> dict[str, float]:
    """Weight of each loss at a step; 0 before its start, and for both distillation terms where nothing is masked."""
    losses = config.losses
    dense = step >= step_of(losses.segmentation_from, steps)
    distil = config.mask.choice != "none"
    return {
        "classification": 1.0,
        "uncertain": losses.uncertain if distil else 0.0,
        "certain": losses.certain if distil else 0.0,
        "affinity": losses.affinity if step >= step_of(losses.affinity_from, steps) else 0.0,
        "segmentation": losses.segmentation if dense else 0.0,
        "energy": losses.energy if dense else 0.0,
    }
