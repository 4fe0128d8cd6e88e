"""In which numbers the network computes: float32, or bfloat16 where that loses little (autocast)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal, get_args

import torch

from tagseg.errors import TagsegError
from tagseg.model.network import Network

Precision = Literal["32", "bf16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def computing(network: Network, precision: Precision) -> AbstractContextManager[None]:
    """Matrix products inside are bfloat16 on the network's device, sums and norms stay float32; ``32``: all float32.

    What the network returns inside may be bfloat16: whoever merges it takes ``.float()`` first.
    """
    device = next(network.parameters()).device.type
    return torch.autocast(device, torch.bfloat16, enabled=precision == "bf16")


def check_precision(precision: str) -> None:
    """Raise ``TagsegError`` unless it is a known one."""
    if precision not in PRECISIONS:
        raise TagsegError(f"precision is {precision!r}, expected one of: {', '.join(PRECISIONS)}")
