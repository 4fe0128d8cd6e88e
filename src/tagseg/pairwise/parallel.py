"""The images of a batch over the cores: compiled loops release the interpreter's lock, so threads are enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from tagseg.pairwise.room import Room

T = TypeVar("T")
R = TypeVar("R")

_KEPT = 512 << 20  # bytes; a room that has become larger is given back to the system
_free: list[Room] = []  # rooms that no thread is in, for the next call


def each(work: Callable[[T, Room], R], items: Sequence[T]) -> list[R]:
    """``work`` of each item in order, on as many threads as PyTorch may use (``torch.set_num_threads``).

    Each runs in a room of its own, which is then used for another item: results must not lie in it.
    """
    threads = min(torch.get_num_threads(), len(items))

    def in_room(item: T) -> R:
        try:
            room = _free.pop()
        except IndexError:
            room = Room()
        result = work(item, room)
        if room.size <= _KEPT and len(_free) < torch.get_num_threads():
            _free.append(room)
        return result

    if threads <= 1:
        return [in_room(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(in_room, items))
