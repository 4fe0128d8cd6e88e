"""Settings of ``SpeedConfig`` that change how the networks run (docs/speed.md)."""

from __future__ import annotations

import torch

from tagseg.config import SpeedConfig
from tagseg.model.network import Network
from tagseg.model.packed import run_block


def prepare(student: Network, teacher: Network, config: SpeedConfig) -> None:
    """Let the student recompute its blocks in the backward pass, and compile both networks' blocks, as asked for.

    Blocks are compiled one by one: they are alike, so the compiler's work for the first serves all of them. It begins
    at the first step.
    """
    student.encoder.checkpointing = config.checkpoint
    if not config.compile:
        return
    for network in (student, teacher):
        for block in network.encoder.blocks:
            block.compile()
        if next(network.parameters()).device.type != "cpu":  # oneDNN's fused products are better there
            network.encoder.packed_block = torch.compile(run_block)
