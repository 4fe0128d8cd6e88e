"""A loss that is not finite stops the training."""

from __future__ import annotations

import torch
from torch import Tensor

from tagseg.errors import NonFiniteLoss


def check_finite(terms: dict[str, Tensor], step: int) -> None:
    """Stop on a loss that is not finite, naming the step and the term.

    Raises:
        NonFiniteLoss: a term is infinite or not a number.
    """
    names = list(terms)
    finite = torch.isfinite(torch.stack([terms[name].detach() for name in names])).tolist()
    for name, ok in zip(names, finite, strict=True):
        if not ok:
            raise NonFiniteLoss(
                f"step {step}: loss term {name!r} is {terms[name].item()}, expected a finite number: lower "
                "--optimiser.rate, or train with --run.precision 32; an earlier last.ckpt is kept and can be resumed"
            )
