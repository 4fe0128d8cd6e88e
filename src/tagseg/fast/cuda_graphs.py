"""Passes without gradient as CUDA graphs: their launches are recorded once, then repeated as one.

A pass of a small encoder is hundreds of kernels of a few microseconds each; launching one takes longer than it runs.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

logger = logging.getLogger("tagseg")

Work = Callable[[Tensor], tuple[Tensor, ...]]

RECORDED_AT = 3
"""A pass is recorded when it is asked for the third time: what runs once or twice does not pay for it."""

NEVER = -1
"""In place of a count: the pass could not be recorded."""

MOST = 12
"""Recordings of one encoder at most, as each keeps the memory of its pass."""


@dataclass
class Recording:
    """A recorded pass: what runs it again, what it reads, what it writes."""

    replay: Callable[[], None]
    images: Tensor
    results: tuple[Tensor, ...]


@dataclass
class Tape:
    """What the recordings of one GPU share."""

    pool: Any
    """Memory: they run one after the other."""
    stream: Any
    """Their launches are recorded on it."""


class CudaGraphs:
    """The recordings of one engine. They read weights where they lie, so changed weights need no new recording."""

    def __init__(self) -> None:
        self._recordings: WeakKeyDictionary[nn.Module, dict[Hashable, Recording | int]] = WeakKeyDictionary()
        self._tapes: dict[torch.device, Tape | None] = {}
        self._failed = False

    def run(self, name: str, module: nn.Module, work: Work, images: Tensor) -> tuple[Tensor, ...]:
        """``work(images)``. The results are valid until any pass of this engine runs again.

        Args:
            name: of the pass.
            module: whose weights it reads.
            work: the pass.
            images: what it reads beside the weights.
        """
        known = self._recordings.setdefault(module, {})
        place = next(module.parameters()).data_ptr()
        precision = torch.get_float32_matmul_precision()
        key = (name, images.shape, images.dtype, images.device, place, precision)
        found = known.get(key, 0)
        if isinstance(found, int):
            recorded = sum(isinstance(other, Recording) for other in known.values())
            if self._failed or found == NEVER or found + 1 < RECORDED_AT or recorded >= MOST:
                known[key] = found if found == NEVER else found + 1
                return work(images)
            made = self._recorded(name, work, images)
            if made is None:
                known[key] = NEVER
                return work(images)
            found = known[key] = made
        found.images.copy_(images)
        found.replay()
        return found.results

    def _recorded(self, name: str, work: Work, images: Tensor) -> Recording | None:
        """The pass, recorded; ``None``, with a warning, where that cannot be done."""
        try:
            with nothing_waits(images.device):
                work(images)
        except RuntimeError as error:
            told = "an operation in it waits for the GPU", error
        else:
            try:
                return record(work, images, self._tape_on(images.device))
            except RuntimeError as error:  # mostly too little memory
                told = "recording it failed, so no other is recorded", error
                self._failed = True  # PyTorch may not have undone all of it
                self._tapes.clear()
                self._recordings.clear()
        first, _, _ = str(told[1]).strip().partition("\n")
        logger.warning("the pass %s is launched anew each time: %s (%s)", name, told[0], first)
        return None

    def _tape_on(self, device: torch.device) -> Tape | None:
        if device not in self._tapes:
            on_gpu = device.type == "cuda"
            self._tapes[device] = Tape(torch.cuda.graph_pool_handle(), torch.cuda.Stream(device)) if on_gpu else None
        return self._tapes[device]


@contextmanager
def nothing_waits(device: torch.device) -> Iterator[None]:
    """Within, an operation that waits for the GPU raises ``RuntimeError``; in a recording it would do harm."""
    if device.type != "cuda":
        yield
        return
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that this mode is young
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def record(work: Work, images: Tensor, tape: Tape | None) -> Recording:
    """Record a pass that has run before, so that nothing in it is done for the first time.

    What is kept of each recording, its results, is not given to another one.

    Raises:
        RuntimeError: of PyTorch; the current stream is the one from before.
    """
    still = images.clone()
    graph = torch.cuda.CUDAGraph()
    tape = tape or Tape(None, None)
    # Other threads, e.g. the loader's, may ask for page-locked memory meanwhile. The outer stream is the current one:
    # PyTorch does not go back to it after every failure.
    with (
        torch.cuda.device(images.device),
        torch.cuda.stream(torch.cuda.current_stream(images.device)),
        torch.cuda.graph(graph, pool=tape.pool, stream=tape.stream, capture_error_mode="thread_local"),
    ):
        results = work(still)
    return Recording(graph.replay, still, results)
