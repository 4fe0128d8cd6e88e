"""Sums and means over all processes of a training, so that they train on the losses of the whole batch.

Each process has an equal share of the batch. docs/processes.md lists what is exchanged and its cost.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def process_count() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


@torch.no_grad()
def summed(values: Tensor) -> Tensor:
    """The sum of each value over all processes; one process has it already."""
    if process_count() == 1:
        return values
    values = values.detach().clone()
    dist.all_reduce(values)
    return values


def averaged(values: Tensor) -> Tensor:
    """The mean of each value over all processes."""
    return summed(values) / process_count()


def other_process_is_gone(error: RuntimeError) -> bool:
    """Whether an error only means that another process is gone: that one has printed the cause itself."""
    return process_count() > 1 and (isinstance(error, dist.DistBackendError) or "gloo/transport" in str(error))
