"""What processes that share a batch tell each other, so that they train on the same losses as one would.

Each has an equal share of the batch. docs/processes.md says what is exchanged and what it costs.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from tagseg.config import RunConfig
from tagseg.errors import TagsegError


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


def left_alone(error: RuntimeError) -> bool:
    """Whether an error only says that another process cannot be reached: if it stopped, it has told why itself."""
    return process_count() > 1 and (isinstance(error, dist.DistBackendError) or "gloo/transport" in str(error))


def check_shares(run: RunConfig, processes: int) -> None:
    """Raise ``TagsegError`` unless each process, and each of its accumulated parts, gets as many images as any other.

    With unequal shares the mean over processes would not be that of the batch, and some images would be left out.
    """
    parts = processes * run.accumulate
    if run.batch % parts:
        by = f"{processes} processes" + (f" of {run.accumulate} accumulated parts each" if run.accumulate > 1 else "")
        raise TagsegError(
            f"run.batch is {run.batch}, expected a multiple of {parts} ({by}): change --run.batch or --run.devices"
        )
