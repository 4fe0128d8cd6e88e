"""Loops compiled for the CPU when they are first used, by numba: no compiler is needed at install."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at the first call and keep the result on disk; the global interpreter lock is released while it runs.

    Arrays must be C-contiguous and of the types that the function's comments say; indices are not checked.
    """
    function = inspect.unwrap(function)  # a hook that checks types at run time may have wrapped it
    options: dict[str, Any] = {"nogil": True, "fastmath": True, "boundscheck": False, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written: compile in each process
        return njit(**options)(function)
