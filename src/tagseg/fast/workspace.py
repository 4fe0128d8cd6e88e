"""Equals a plain loop over images: each runs on a thread, in memory that is used again for the next image.

Arrays of some ten megabytes are otherwise taken from the system anew for each image, page by page, for which the
threads of a process wait for one another. Compiled loops release the interpreter's lock, so threads are enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Shaped
from numpy import ndarray
from numpy.typing import DTypeLike

T = TypeVar("T")
R = TypeVar("R")

_LARGEST_KEPT = 512 << 20  # bytes; a workspace that has become larger is given back to the system


class Workspace:
    """Arrays by name. An array holds anything at first and is valid until its name is asked for again."""

    def __init__(self) -> None:
        self._arrays: dict[str, ndarray] = {}

    @property
    def size(self) -> int:
        """Bytes of all arrays together."""
        return sum(array.nbytes for array in self._arrays.values())

    def array(self, name: str, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> Shaped[ndarray, "*shape"]:
        """C-contiguous; grows by half more than it needs, so that images of similar sizes fit."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if name not in self._arrays or self._arrays[name].nbytes < size:
            self._arrays[name] = np.empty(size if name not in self._arrays else size + size // 2, np.uint8)
        return self._arrays[name][:size].view(dtype).reshape(shape)


class Workspaces:
    """The workspaces that one caller's images run in, kept from call to call."""

    def __init__(self) -> None:
        self._free: list[Workspace] = []

    def map(self, work: Callable[[T, Workspace], R], items: Sequence[T]) -> list[R]:
        """``work`` of each item in order, on as many threads as PyTorch may use (``torch.set_num_threads``).

        Each runs in a workspace of its own, which is then used for another item: results must not lie in it.
        """
        threads = min(torch.get_num_threads(), len(items))

        def in_workspace(item: T) -> R:
            try:
                workspace = self._free.pop()
            except IndexError:
                workspace = Workspace()
            result = work(item, workspace)
            if workspace.size <= _LARGEST_KEPT and len(self._free) < torch.get_num_threads():
                self._free.append(workspace)
            return result

        if threads <= 1:
            return [in_workspace(item) for item in items]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(in_workspace, items))
