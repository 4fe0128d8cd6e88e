"""Parts of a batch on the cores of a CPU, one part a core, where the plain form takes the whole batch.

PyTorch shares each product among the cores, which wait for one another after it. Images do not depend on each other: a
core that takes whole images waits for the others once, and its data stay in its own cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Part = TypeVar("Part")
Result = TypeVar("Result")


class Cores:
    """One thread a core, ``torch.get_num_threads()`` of them at each call. The threads start at first use.

    While the parts run, PyTorch's own number of threads is 1: its matrix library has one number for the whole process
    and not one for each thread. It is restored afterwards, also after an error.
    """

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._made_for: tuple[int, int] | None = None

    def map(self, work: Callable[[Part], Result], parts: Sequence[Part], device: torch.device) -> list[Result]:
        """``work(part)`` of every part, in order; without gradient.

        One part after the other on a GPU, with one thread, under autocast (threads do not inherit it) or with parts
        that would leave cores idle.
        """
        threads = torch.get_num_threads()
        even = len(parts) % threads == 0 or len(parts) >= 4 * threads
        if device.type != "cpu" or threads == 1 or not even or torch.is_autocast_enabled("cpu"):
            with torch.no_grad():
                return [work(part) for part in parts]
        return self.at_once(torch.no_grad()(work), parts)

    def map_with_gradient(
        self, work: Callable[[Part], tuple[Tensor, ...]], parts: Sequence[Part], parameters: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """The results of ``work(part)`` of every part, concatenated along the first axis; with gradient.

        The backward pass runs on each core as well. The parts' gradients are added in their order.

        Args:
            work: on a CPU; what has a gradient is read from ``parameters`` alone.
            parts: of equal shares of work.
            parameters: whose gradients are wanted. All get one, if only zeros.
        """
        results: tuple[Tensor, ...] = _OnEachCore.apply(self, work, parts, *parameters)
        return results

    def at_once(self, work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
        """Each part on a core, one thread each; a part alone in this thread, on all cores."""
        threads = torch.get_num_threads()
        if len(parts) == 1 or threads == 1:
            return [work(part) for part in parts]
        pool = self._threads(threads)
        torch.set_num_threads(1)
        try:
            return list(pool.map(work, parts))
        finally:
            torch.set_num_threads(threads)

    def _threads(self, count: int) -> ThreadPoolExecutor:
        """The pool; a child process does not inherit its parent's threads and starts its own."""
        wanted = (count, os.getpid())
        if self._pool is None or self._made_for != wanted:
            self._pool = ThreadPoolExecutor(count, "core", initializer=torch.set_num_threads, initargs=(1,))
            self._made_for = wanted
        return self._pool


class _OnEachCore(torch.autograd.Function):
    """Keeps the graph of each part, so that each core runs the backward pass of its own part."""

    @staticmethod
    def forward(
        ctx: Any, cores: Cores, work: Callable[[Any], tuple[Tensor, ...]], parts: Sequence[Any], *parameters: Tensor
    ) -> Any:
        ctx.cores, ctx.parameters = cores, parameters
        ctx.results = cores.at_once(torch.enable_grad()(work), parts)
        return tuple(torch.cat([tensor.detach() for tensor in kind]) for kind in zip(*ctx.results, strict=True))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        lengths = [len(part[0]) for part in ctx.results]
        of_parts = zip(*(gradient.split(lengths) for gradient in grad_outputs), strict=True)

        def back(part: tuple[tuple[Tensor, ...], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
            results, gradients = part
            return torch.autograd.grad(results, ctx.parameters, gradients, allow_unused=True, materialize_grads=True)

        (total, *others) = ctx.cores.at_once(back, list(zip(ctx.results, of_parts, strict=True)))
        ctx.results = None  # frees the graphs
        for gradients in others:
            torch._foreach_add_(list(total), list(gradients))
        return None, None, None, *total


def part_size(count: int, most: int, device: torch.device) -> int:
    """How many of ``count`` images to take together, at most ``most``, such that a CPU's cores get equal shares."""
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    parts = -(-count // max(1, most))
    parts = min(count, -(-parts // threads) * threads)
    return max(1, -(-count // max(1, parts)))
