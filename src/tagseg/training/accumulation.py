"""Gradient accumulation: a process's share of a batch in parts, so that only one of them takes memory at a time.

The method is told of all parts first (``Method.before_losses``), so that losses and gradients are those of the whole
batch. Lightning knows nothing of parts: a batch of its loader is a step of the optimiser.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tagseg.data.batch import Batch
from tagseg.methods.method import Method
from tagseg.training.signs import signs_of


@dataclass
class ShareLosses:
    """The losses of this process's share of a batch.

    Attributes:
        rest: (), with gradient: what is left to be differentiated, the total of the last part over the number of parts.
        total: (), mean over the parts, as all below; without gradient.
        terms: each term by name, unweighted.
        health: of the distillation.
        signs: of life (``training/signs.py``); empty where nobody watches.
    """

    rest: Tensor
    total: Tensor
    terms: dict[str, Tensor]
    health: dict[str, Tensor]
    signs: dict[str, Tensor]


def share_losses(
    method: Method, batch: Batch, step: int, count: int, backward: Callable[[Tensor], None], watched: bool
) -> ShareLosses:
    """The losses of a share, part by part.

    Args:
        method: what is trained.
        batch: this process's share, on the networks' device.
        step: number of the step.
        count: number of parts.
        backward: adds the gradient of a loss to the parameters'; called for all parts but the last.
        watched: also give the signs of life.
    """
    parts = method.before_losses([part.augmented() for part in batch.parts(count)], step)
    sums: list[dict[str, Tensor]] = [{}, {}, {}, {}]
    for number, part in enumerate(parts):
        losses = method.losses(part, step)
        outputs = losses.outputs if watched else None
        signs = {} if outputs is None else signs_of(outputs, part.tags)
        for sum_, values in zip(sums, ({"total": losses.total}, losses.terms, losses.health, signs), strict=True):
            add(sum_, values)
        rest = losses.total if count == 1 else losses.total / count
        if number < count - 1:
            backward(rest)
            del losses, outputs, rest  # the graph of this part, before there is one of the next
    total, terms, health, signs = ({name: value / count for name, value in sum_.items()} for sum_ in sums)
    return ShareLosses(rest, total["total"], terms, health, signs)


def add(sums: dict[str, Tensor], values: dict[str, Tensor]) -> None:
    """Add values by name, without gradient."""
    with torch.no_grad():
        for name, value in values.items():
            sums[name] = sums[name] + value if name in sums else value.detach()
