"""Memory that is used again for one image after the other.

Arrays of some ten megabytes are otherwise taken from the system anew for each image, page by page, for which the
threads of a process wait for one another.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray
from numpy.typing import DTypeLike


class Room:
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
