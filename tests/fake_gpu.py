"""A GPU that is not there: PyTorch's fake tensors have shapes, types and a device, and no values.

A step on them shows what one without a GPU cannot show otherwise: an operation on tensors of two devices is an error,
and so is whatever asks for a value of a tensor, for which the host would wait for a GPU. Only forward passes: the
engine of the backward pass wants a driver.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode

from tagseg.data.batch import Batch
from tagseg.fast import cuda_graphs, dense_losses, dense_losses_triton, first_tokens, par, par_triton
from tagseg.fsr import masking
from tagseg.model import encoder, network


class OnHost(Tensor):
    """A tensor that stays on the CPU with its values, as the seeds of a batch."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with unset_fake_temporarily():
            return super().__torch_function__(func, types, args, kwargs or {})


_NOTHING = ("aten::empty", "aten::_unsafe_view", "prim::")
"""Operations that launch nothing, beside those that PyTorch calls views."""


class Launches(TorchDispatchMode):
    """Counts the operations that would launch something: views and metadata launch nothing.

    Attributes:
        counts: by name.
        waited: shapes of tensors that were copied to the GPU so that the host waits for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.waited: list[tuple[int, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        sent = func._schema.name == "aten::_to_copy" and result.is_cuda and not args[0].is_cuda
        if sent and not (kwargs or {}).get("non_blocking"):
            self.waited.append(tuple(result.shape))
        if not func.is_view and not func._schema.name.startswith(_NOTHING):
            self.counts[func._schema.name.removeprefix("aten::")] += 1
        return result


@contextmanager
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTensorMode]:
    """Inside, CUDA tensors can be made. Kernels of our own give zeros, and passes are not recorded."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)

    def drawn_on_host(draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def run(*args: Any) -> Tensor:
            with unset_fake_temporarily():
                values = draw(*args)
            return mode.from_tensor(values)

        return run

    replaced: list[tuple[Any, str, Any]] = [
        (Tensor, "is_pinned", lambda self: True),
        (encoder, "draw_kept", drawn_on_host(encoder.draw_kept)),
        (masking, "block_noise", drawn_on_host(masking.block_noise)),
        (cuda_graphs.CudaGraphs, "run", lambda self, name, module, work, images: work(images)),
        (par, "_kernels_serve", lambda image, maps: True),
        (par_triton, "refine", lambda image, maps, config: torch.zeros_like(maps)),
        (dense_losses, "kernels_serve", lambda logits: True),
        (dense_losses, "lattice_scale_filter", lambda points, values, method, **_: torch.zeros_like(values)),
        (dense_losses_triton, "entropy", lambda logits, label, _: (logits.sum(), torch.zeros_like(label).float())),
        (dense_losses_triton, "half_softmax", _half),
    ]
    for owner, name, value in replaced:
        monkeypatch.setattr(owner, name, value)
    with mode, _no_fake_is_kept():
        try:
            torch.zeros(1).to("cuda")
        except RuntimeError as error:
            pytest.skip(
                f"with PyTorch {torch.__version__} fake CUDA tensors need a driver: {str(error).splitlines()[0]}"
            )
        yield mode


@contextmanager
def _no_fake_is_kept() -> Iterator[None]:
    """What is kept for a device is made anew for the fake one, and then for a real one."""
    kept = (first_tokens._weights, network._a_channel)
    for made in kept:
        made.cache_clear()
    try:
        yield
    finally:
        for made in kept:
            made.cache_clear()


def _half(logits: Tensor, log_sums: Tensor) -> Tensor:
    return logits.new_zeros((*logits.shape[:2], log_sums.shape[1] // 2, log_sums.shape[2] // 2))


def to_gpu(module: nn.Module, mode: FakeTensorMode) -> None:
    """Move a module there, in place."""
    for part in module.modules():
        stores: tuple[dict[str, Any], ...] = (part._parameters, part._buffers)
        for tensors in stores:
            for name, tensor in list(tensors.items()):
                if tensor is not None:
                    there = mode.from_tensor(tensor.detach()).to("cuda")
                    is_parameter = isinstance(tensor, nn.Parameter)
                    tensors[name] = nn.Parameter(there, tensor.requires_grad) if is_parameter else there


def batch_to_gpu(batch: Batch, mode: FakeTensorMode) -> Batch:
    """Move a batch whose tags are counted there."""
    seeds = ("seeds", "drop_path_seeds")
    moved: dict[str, Any] = {
        name: value.as_subclass(OnHost) if name in seeds else mode.from_tensor(value)
        for name, value in vars(batch).items()
        if isinstance(value, Tensor)
    }
    return replace(batch, **moved).to("cuda")


@contextmanager
def autocast_on_gpu(enabled: bool) -> Iterator[None]:
    """``torch.autocast("cuda", torch.bfloat16)``, which without a driver switches itself off."""
    torch.set_autocast_enabled("cuda", enabled)
    torch.set_autocast_dtype("cuda", torch.bfloat16)
    try:
        yield
    finally:
        torch.set_autocast_enabled("cuda", False)
