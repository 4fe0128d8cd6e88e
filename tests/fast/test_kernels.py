"""Whether Triton's kernels are used: only where the smallest one works."""

import sys
import types

import pytest
import torch

from tagseg.fast import kernels
from tagseg.fast.kernels import kernels_serve

from .triton_runs import GPU, compiled, interpreted

CUDA = torch.device("cuda", 0)
DOUBLED = """
import sys, torch
from tagseg.fast.try_kernel import doubled
torch.save([doubled(values) for values in torch.load(sys.argv[1])], sys.argv[2])
"""


@pytest.fixture
def on_cpu(monkeypatch):
    """What is asked of a GPU is computed on the CPU."""
    arange = torch.arange
    monkeypatch.setattr(torch, "arange", lambda end, device: arange(end))


def with_kernel(monkeypatch, doubled):
    stand_in = types.ModuleType("tagseg.fast.try_kernel")
    stand_in.doubled = doubled  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tagseg.fast.try_kernel", stand_in)
    monkeypatch.setattr(kernels, "find_spec", lambda name: object())
    return kernels._triton_works.__wrapped__(CUDA)


def test_a_cpu_has_none():
    assert not kernels_serve(torch.zeros(1))


def test_without_triton_nothing_is_said(monkeypatch, caplog):
    monkeypatch.setattr(kernels, "find_spec", lambda name: None)
    assert not kernels._triton_works.__wrapped__(CUDA)
    assert not caplog.records


@pytest.mark.usefixtures("on_cpu")
def test_a_kernel_that_works(monkeypatch, caplog):
    assert with_kernel(monkeypatch, lambda values: 2 * values)
    assert not caplog.records


@pytest.mark.usefixtures("on_cpu")
def test_one_that_cannot_be_compiled_is_said_in_one_line(monkeypatch, caplog):
    def fail(values):
        raise RuntimeError("a long story\nFailed to find C compiler")

    assert not with_kernel(monkeypatch, fail)
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith("Triton's kernels do not work on cuda:0 (Failed to find C compiler): slower operations")


@pytest.mark.usefixtures("on_cpu")
def test_one_that_computes_something_else_is_not_used(monkeypatch, caplog):
    assert not with_kernel(monkeypatch, lambda values: values)
    assert "it computes something else" in caplog.text


@pytest.mark.slow
def test_the_smallest_kernel(tmp_path):
    pytest.importorskip("triton", reason="Triton is not installed")
    values = [torch.arange(count, dtype=torch.float32) for count in (1, 5, 128, 300)]
    assert all(torch.equal(a, 2 * b) for a, b in zip(interpreted(DOUBLED, values, tmp_path), values, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
def test_it_compiles(capability, tmp_path, monkeypatch):
    pytest.importorskip("triton", reason="Triton is not installed")
    from tagseg.fast import try_kernel

    kinds = {"values": "*fp32", "result": "*fp32", "n": "i32"}
    compiled(try_kernel, "_double", kinds, {"BLOCK": 128}, capability, tmp_path, monkeypatch)


@GPU
def test_on_a_gpu_they_serve():
    assert kernels_serve(torch.zeros(1, device="cuda"))
