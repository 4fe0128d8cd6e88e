"""Passes without gradient as CUDA graphs: their launches are recorded once, then repeated as one.

A pass of a small encoder is hundreds of kernels of a few microseconds each; launching one takes longer than it runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
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


class CudaGraphs:
    """The recordings of one engine. They read weights where they lie, so changed weights need no new recording."""

    def __init__(self) -> None:
        self._recordings: WeakKeyDictionary[nn.Module, dict[Hashable, Recording | int]] = WeakKeyDictionary()
        self._pools: dict[torch.device, Any] = {}

    def run(self, name: str, module: nn.Module, work: Work, images: Tensor) -> tuple[Tensor, ...]:
        """``work(images)``. The results are valid until the same pass runs again.

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
            if found == NEVER or found + 1 < RECORDED_AT or recorded >= MOST:
                known[key] = found if found == NEVER else found + 1
                return work(images)
            try:
                found = known[key] = record(work, images, self._pool_on(images.device))
            except RuntimeError as error:  # too little memory, or an operation that waits
                known[key] = NEVER
                told = str(error).strip().splitlines()[0]
                logger.warning("the pass %s cannot be recorded (%s): it is launched anew each time", name, told)
                return work(images)
        found.images.copy_(images)
        found.replay()
        return found.results

    def _pool_on(self, device: torch.device) -> Any:
        if device not in self._pools:
            self._pools[device] = torch.cuda.graph_pool_handle() if device.type == "cuda" else None
        return self._pools[device]


def record(work: Work, images: Tensor, pool: Any) -> Recording:
    """Record a pass that has run before, so that nothing in it is done for the first time.

    Recordings share a pool of memory: they run one after the other, and what is kept of each, its results, is not
    given away.
    """
    still = images.clone()
    graph = torch.cuda.CUDAGraph()
    # Other threads, e.g. the loader's, may ask for page-locked memory meanwhile.
    with torch.cuda.device(images.device), torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        results = work(still)
    return Recording(graph.replay, still, results)
