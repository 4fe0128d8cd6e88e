"""Small tensors to a GPU without the host waiting for it."""

from __future__ import annotations

import torch
from torch import Tensor


def send(values: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device. From page-locked memory, a copy to a GPU only queues behind what the GPU has to do."""
    if device.type != "cuda" or values.is_cuda:
        return values.to(device)
    return (values if values.is_pinned() else values.pin_memory()).to(device, non_blocking=True)
