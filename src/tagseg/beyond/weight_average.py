"""A network, or a part of one, between that before a training and the trained one (WiSE-FT, Wortsman et al. 2022)."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def set_to_average(average: nn.Module, start: nn.Module, trained: nn.Module, share: float) -> None:
    """θ ← share θ_start + (1 − share) θ_trained, in place, for all weights and buffers; integers are the trained ones.

    Args:
        average: what is set; of the same architecture, on the same device; it may be the trained one.
        start: weights before the training.
        trained: weights now.
        share: of the start's weights, 0 to 1.
    """
    before, now = start.state_dict(), trained.state_dict()
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.lerp(now[name], before[name], share))
        else:
            value.copy_(now[name])
