"""Parts of a batch on the cores of a CPU, one part a core: no core waits for another after every product.

PyTorch shares each product among the cores and lets them meet after it. Images do not depend on each other: a core
that takes whole images meets the others once, and what it works on stays in its own cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

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
    cores = _cores(threads, os.getpid())
    torch.set_num_threads(1)
    try:
        return list(cores.map(torch.no_grad()(work), parts))
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
