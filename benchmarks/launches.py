"""Count what the forward half of a training step launches on a GPU, without a GPU, and the bytes that it moves.

    python benchmarks/launches.py [--quick]

One late step with all losses (ViT-B/16, 448 px, batch 8, three CAM scales) runs on PyTorch's fake CUDA tensors, which
have shapes and types but no values. Counted are operations that launch something, and the bytes of what they read and
write once. PAR, L_seg, L_reg and the lattice, Triton kernels on a GPU, are left out; attention is one operation.
Compared are float32, bfloat16 by autocast, and bfloat16 by copies of the weights. A count is no time. ``--quick``:
DeiT-Ti, 112 px, batch 2.

Prints tables and, last, one line of JSON.
"""

from __future__ import annotations

from collections import Counter
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves

from shared import arguments_of, machine, print_json, table
from step_ways import LATE, STEPS, batches, configuration
from tagseg.config import Config, replace
from tagseg.data.batch import Batch
from tagseg.fast import half_copies, prepared, student_forward
from tagseg.fsr.step import State, training_step
from tagseg.methods.fsr import FSR

# isort: split
# ``shared`` has put the repository's root on the path.
from tests.fake_gpu import Launches, autocast_on_gpu, batch_to_gpu, fake_gpu, to_gpu

WAYS = {"float32": (False, True), "bfloat16, autocast": (True, False), "bfloat16, copies": (True, True)}
"""Whether autocast is on, and whether copies of the weights are used where they apply."""


class Traffic(Launches):
    """Also sums the bytes of the tensors that each operation reads and writes."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = sum(self.counts.values())
        result = super().__torch_dispatch__(func, types, args, kwargs)
        if sum(self.counts.values()) > before:
            tensors = [x for x in tree_leaves((args, kwargs, result)) if isinstance(x, Tensor) and x.is_cuda]
            name = func._schema.name.removeprefix("aten::")
            self.bytes[name] += sum(x.numel() * x.element_size() for x in tensors)
        return result


@torch.library.custom_op("launches::attention", mutates_args=())
def _attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    raise NotImplementedError("it is counted, never computed")


@_attention.register_fake
def _(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.empty_like(query)


def attention(query: Tensor, key: Tensor, value: Tensor, **_: Any) -> Tensor:
    """One operation that reads all three and writes one, as a fused kernel does."""
    result: Tensor = _attention(query, key, value)
    return result


def traffic_of(config: Config, batch: Batch, autocast: bool, copies: bool) -> Traffic:
    """What the forward half of a step launches."""
    torch.manual_seed(0)
    fsr = FSR(config, tuple(f"class {index}" for index in range(20))).train()
    kept = half_copies.applies if copies else lambda encoder, images: False
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        fake_gpu(monkeypatch) as mode,
        patch.object(F, "scaled_dot_product_attention", attention),
        patch.object(prepared, "applies", kept),
        patch.object(student_forward, "applies", kept),
    ):
        to_gpu(fsr, mode)
        there = batch_to_gpu(batch, mode)
        state = State(fsr.student, fsr.teacher, fsr.centres)
        for _ in range(2):  # the copies are made in the first step, and changed in place from then on
            with Traffic() as traffic, autocast_on_gpu(autocast):
                training_step(state, there, LATE, STEPS, config.fsr, fsr.table.for_step(fsr.student))
    return traffic


def main() -> None:
    """Count and print."""
    arguments = arguments_of(__doc__, "DeiT-Ti, 112 px, batch 2").parse_args()
    size, pixels, count = ("tiny", 112, 2) if arguments.quick else ("base", 448, 8)
    config = replace(configuration(size, pixels, count, 0), network={"weights": "none"})
    batch = next(batches(config)).to("cpu")
    found = {name: traffic_of(config, batch, *way) for name, way in WAYS.items()}
    rows = [(name, str(sum(t.counts.values())), f"{sum(t.bytes.values()) / 1e9:.2f}") for name, t in found.items()]
    print(f"Counted on {machine()}: {size}, {pixels} px, batch {count}")
    table("Forward half of a step", ("form", "operations", "GB read and written"), rows)
    every = sorted(
        set().union(*(t.bytes for t in found.values())), key=lambda n: -max(t.bytes[n] for t in found.values())
    )
    columns = ("operation", *(f"{name}: number, GB" for name in found))
    cells = [(n, *(f"{t.counts[n]}, {t.bytes[n] / 1e9:.2f}" for t in found.values())) for n in every[:15]]
    table("Those that move most", columns, cells)
    figures = {
        name: {"operations": sum(t.counts.values()), "gb": round(sum(t.bytes.values()) / 1e9, 3)}
        for name, t in found.items()
    }
    print_json({"machine": machine(), "launches": figures})


if __name__ == "__main__":
    main()
