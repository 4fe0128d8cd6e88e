"""Parts of a batch on the cores of a CPU, one part a core: no core waits for another after every product.

PyTorch shares each product among the cores and lets them meet after it. Images do not depend on each other: a core
that takes whole images meets the others once, and what it works on stays in its own cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Part = TypeVar("Part")
Result = TypeVar("Result")


def on_each_core(work: Callable[[Part], Result], parts: Sequence[Part], device: torch.device) -> list[Result]:
    """``work(part)`` of every part, in order; without gradient.

    On a GPU, with one thread, under autocast (threads do not inherit it) or with parts that would leave cores idle, one
    part after the other.
    """
    threads = torch.get_num_threads()
    even = len(parts) % threads == 0 or len(parts) >= 4 * threads
    if device.type != "cpu" or threads == 1 or not even or torch.is_autocast_enabled("cpu"):
        with torch.no_grad():
            return [work(part) for part in parts]
    return _at_once(torch.no_grad()(work), parts)


def trained_on_each_core(
    work: Callable[[Part], tuple[Tensor, ...]], parts: Sequence[Part], parameters: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """The results of ``work(part)`` of every part, one behind the other along the first axis; with gradient.

    The backward pass runs on each core as well. The parts' gradients are added in their order, whichever is done first.

    Args:
        work: on a CPU; what has a gradient is read from ``parameters`` alone.
        parts: of equal shares of work.
        parameters: whose gradients are wanted. All are given one, if only zeros.
    """
    results: tuple[Tensor, ...] = _OnEachCore.apply(work, parts, *parameters)
    return results


class _OnEachCore(torch.autograd.Function):
    """Keeps the graph of each part, to go back through it on a core of its own."""

    @staticmethod
    def forward(ctx: Any, work: Callable[[Any], tuple[Tensor, ...]], parts: Sequence[Any], *parameters: Tensor) -> Any:
        ctx.parameters = parameters
        ctx.results = _at_once(torch.enable_grad()(work), parts)
        return tuple(torch.cat([tensor.detach() for tensor in kind]) for kind in zip(*ctx.results, strict=True))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        lengths = [len(part[0]) for part in ctx.results]
        of_parts = zip(*(gradient.split(lengths) for gradient in grad_outputs), strict=True)

        def back(part: tuple[tuple[Tensor, ...], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
            results, gradients = part
            return torch.autograd.grad(results, ctx.parameters, gradients, allow_unused=True, materialize_grads=True)

        (total, *others) = _at_once(back, list(zip(ctx.results, of_parts, strict=True)))
        ctx.results = None  # the graphs
        for gradients in others:
            torch._foreach_add_(list(total), list(gradients))
        return None, None, *total


def _at_once(work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """Each part on a core, one thread each; a part alone in this thread, on all cores."""
    threads = torch.get_num_threads()
    if len(parts) == 1 or threads == 1:
        return [work(part) for part in parts]
    cores = _cores(threads, os.getpid())
    torch.set_num_threads(1)
    try:
        return list(cores.map(work, parts))
    finally:
        torch.set_num_threads(threads)


def part_size(count: int, most: int, device: torch.device) -> int:
    """How many of ``count`` images to take together, at most ``most``, such that a CPU's cores get equal shares."""
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    parts = -(-count // max(1, most))
    parts = min(count, -(-parts // threads) * threads)
    return max(1, -(-count // max(1, parts)))


@cache
def _cores(count: int, process: int) -> ThreadPoolExecutor:
    """Threads that share no product among them; those of a parent process do not live in its child."""
    return ThreadPoolExecutor(count, "core", initializer=torch.set_num_threads, initargs=(1,))
