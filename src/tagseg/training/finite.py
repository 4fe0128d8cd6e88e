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
        stops: (), the share of processes that were asked to stop, which comes on the same way.
    """

    def __init__(self, terms: dict[str, Tensor], step: int, stops: Tensor | None = None) -> None:
        self.names, self.step = list(terms), step
        asked = next(iter(terms.values())).new_zeros(()) if stops is None else stops
        values = torch.stack([value.detach() for value in (*terms.values(), asked)])
        self.values = values.to("cpu", non_blocking=values.is_cuda)  # queued on a GPU; page-locked memory
        self.arrived = None
        if values.is_cuda:
            self.arrived = torch.cuda.Event()
            self.arrived.record()

    def require(self) -> float:
        """Stop on a loss that is not finite, naming the step and the term; waits for the losses alone.

        Returns:
            The share of processes that were asked to stop.

        Raises:
            NonFiniteLoss: a term is infinite or not a number.
        """
        if self.arrived is not None:
            self.arrived.synchronize()
        *values, asked = self.values.tolist()
        for name, value in zip(self.names, values, strict=True):
            if not math.isfinite(value):
                raise NonFiniteLoss(
                    f"step {self.step}: loss term {name!r} is {value}, expected a finite number: lower "
                    "--optimiser.rate, or train with --run.precision 32; an earlier last.ckpt is kept and can be "
                    "resumed"
                )
        return float(asked)
