"""Precision of the network: float32, or bfloat16 by autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal, get_args

import torch

from tagseg.errors import TagsegError
from tagseg.model.network import Network

Precision = Literal["32", "bf16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def computing(network: Network, precision: Precision) -> AbstractContextManager[None]:
    """A context for the precision; ``bf16``: matrix products in bfloat16, sums and norms in float32.

    The network's outputs may then be bfloat16: convert them with ``.float()`` before merging.
    """
    device = next(network.parameters()).device.type
    return torch.autocast(device, torch.bfloat16, enabled=precision == "bf16")


def check_precision(precision: str) -> None:
    """Raise ``TagsegError`` unless the precision exists."""
    if precision not in PRECISIONS:
        raise TagsegError(f"precision is {precision!r}, expected one of: {', '.join(PRECISIONS)}")
