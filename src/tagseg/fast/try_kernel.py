"""The smallest kernel, by which ``kernels`` finds out whether Triton works; importing it needs Triton."""

from __future__ import annotations

from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float32
from torch import Tensor


def doubled(values: Float32[Tensor, " n"]) -> Float32[Tensor, " n"]:
    """Twice each value."""
    values = values.contiguous()
    result = torch.empty_like(values)
    with torch.cuda.device_of(values):
        _double[(triton.cdiv(len(values), 128),)](values, result, len(values), BLOCK=128)
    return result


@triton.jit
@no_type_check
def _double(values, result, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(result + at, 2 * tl.load(values + at, mask=at < n, other=0.0), mask=at < n)
