"""A loss that is not finite stops the training."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tagseg.errors import NonFiniteLoss


class FiniteCheck:
    """Whether the loss terms of a step are finite; asked for when the answer is there, so that a GPU is not waited for.

    Args:
        terms: (), each by name.
        step: number of the step.
    """

    def __init__(self, terms: dict[str, Tensor], step: int) -> None:
        self.names, self.step = list(terms), step
        values = torch.stack([value.detach() for value in terms.values()])
        self.values = values.to("cpu", non_blocking=values.is_cuda)  # queued on a GPU; page-locked memory
        self.arrived = None
        if values.is_cuda:
            self.arrived = torch.cuda.Event()
            self.arrived.record()

    def require(self) -> None:
        """Stop on a loss that is not finite, naming the step and the term; waits for the losses alone.

        Raises:
            NonFiniteLoss: a term is infinite or not a number.
        """
        if self.arrived is not None:
            self.arrived.synchronize()
        for name, value in zip(self.names, self.values.tolist(), strict=True):
            if not math.isfinite(value):
                raise NonFiniteLoss(
                    f"step {self.step}: loss term {name!r} is {value}, expected a finite number: lower "
                    "--optimiser.rate, or train with --run.precision 32; an earlier last.ckpt is kept and can be "
                    "resumed"
                )
