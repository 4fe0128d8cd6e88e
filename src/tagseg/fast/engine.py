"""Threads, memory and the form of a block that the fast operations use. Passed to them, never global."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from tagseg.fast.packed_tokens import RunBlock, run_block
from tagseg.fast.threads import Cores
from tagseg.fast.workspace import Workspaces
from tagseg.model.network import Network


@dataclass(frozen=True)
class Engine:
    """How networks run.

    Attributes:
        cores: threads that take whole images on a CPU.
        run_block: runs a block over inputs of several sizes without gradient; may be compiled.
        recompute: the student recomputes its blocks in the backward pass (gradient checkpointing).
        workspaces: memory for compiled loops over images.
    """

    cores: Cores = field(default_factory=Cores)
    run_block: RunBlock = run_block
    recompute: bool = False
    workspaces: Workspaces = field(default_factory=Workspaces)


def prepare_engine(networks: list[Network], compile_blocks: bool, recompute: bool) -> Engine:
    """The engine that the settings ask for.

    Blocks are compiled one by one: they are alike, so the compiler's work for the first serves all of them. It begins
    at the first step.

    Args:
        networks: whose blocks are compiled, in place.
        compile_blocks: whether they are.
        recompute: see ``Engine``.
    """
    if not compile_blocks:
        return Engine(recompute=recompute)
    for network in networks:
        for block in network.encoder.blocks:
            block.compile()
    on_cpu = next(networks[0].parameters()).device.type == "cpu"
    # On a CPU oneDNN's fused products are faster than the compiled block.
    return Engine(run_block=run_block if on_cpu else torch.compile(run_block), recompute=recompute)
