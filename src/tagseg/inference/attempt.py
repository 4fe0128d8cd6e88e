"""Errors of one photo, e.g. an unreadable file or too little memory, become messages and do not stop the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from tagseg.errors import TagsegError

T = TypeVar("T")
_NO_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def attempt(work: Callable[[], T], image: Path | str) -> T | str:
    """The result of ``work`` on an image, or a one-line message that says what is wrong with the image."""
    try:
        return work()
    except TagsegError as error:
        return str(error) if str(image) in str(error) else f"{image}: {error}"
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return f"{image} does not fit into memory: lower max_side or size"


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory was exhausted. Many of PyTorch's ``RuntimeError`` are recognised by their text alone."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return any(text in str(error) for text in _NO_MEMORY)
