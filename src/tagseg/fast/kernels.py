"""Whether the GPU kernels written in Triton can be used; where they cannot, PyTorch's own operations are."""

from __future__ import annotations

import logging
import warnings
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

logger = logging.getLogger("tagseg")


def kernels_serve(tensor: Tensor) -> bool:
    """Whether the kernels can be launched on this tensor: it is on a GPU of NVIDIA's, and Triton works there."""
    return tensor.is_cuda and torch.version.hip is None and _triton_works(tensor.device)


@cache
def _triton_works(device: torch.device) -> bool:
    """Tried once: Triton compiles with the system's C compiler, which may be absent, and not for every GPU."""
    if find_spec("triton") is None:
        return False
    try:
        from tagseg.fast.try_kernel import doubled

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "TRITON_DEFAULT_FP_FUSION")  # told once a process, by the first kernel
            doubles = doubled(torch.arange(5.0, device=device))
        works = bool((doubles == 2 * torch.arange(5.0, device=device)).all())
        told = "it computes something else"
    except Exception as error:  # whatever Triton, the compiler or the driver raise
        works, told = False, str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    if not works:
        logger.warning(
            "Triton's kernels do not work on %s (%s): slower operations of PyTorch are used instead. "
            "Triton needs a C compiler and a GPU of compute capability 8.0 or newer",
            device,
            told,
        )
    return works
