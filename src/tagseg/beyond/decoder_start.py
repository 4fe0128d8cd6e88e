"""A smaller start of the decoder's last layer. Not in the paper.

With the paper's initial weights the first logits have a standard deviation of about 4 (C = 21), which a short training
has to unlearn; with a factor near 0 the decoder starts from nearly equal scores.
"""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def scale_last_layer(decoder: nn.Sequential, factor: float) -> None:
    """Multiply the weights of the decoder's last layer in place."""
    last = decoder[-1]
    assert isinstance(last, nn.Conv2d)  # for the type checker: a Sequential does not say
    last.weight.mul_(factor)
