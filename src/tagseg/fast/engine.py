"""Threads, memory and the form of a block that the fast operations use. Passed to them, never global."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import torch

from tagseg.fast.cuda_graphs import CudaGraphs
from tagseg.fast.half_copies import HalfCopies
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
        halves: copies of encoders in bfloat16, on a GPU.
        graphs: recorded passes, on a GPU.
        compiled: blocks are compiled, and then neither copied nor recorded.
    """

    cores: Cores = field(default_factory=Cores)
    run_block: RunBlock = run_block
    recompute: bool = False
    workspaces: Workspaces = field(default_factory=Workspaces)
    halves: HalfCopies = field(default_factory=HalfCopies)
    graphs: CudaGraphs = field(default_factory=CudaGraphs)
    compiled: bool = False


def compiled_engine(networks: list[Network], engine: Engine) -> Engine:
    """The engine with compiled blocks.

    Blocks are compiled one by one: they are alike, so the compiler's work for the first serves all of them. It begins
    at the first step.

    Args:
        networks: whose blocks are compiled, in place.
        engine: the engine so far.
    """
    for network in networks:
        for block in network.encoder.blocks:
            block.compile()
    if (
        next(networks[0].parameters()).device.type == "cpu"
    ):  # oneDNN's fused products are faster than the compiled block
        return engine
    return dataclasses.replace(engine, run_block=torch.compile(run_block), compiled=True)
