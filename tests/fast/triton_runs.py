"""Kernels without a GPU: run by Triton's interpreter, compiled for a GPU all the same."""

import inspect
import os
import subprocess
import sys

import pytest
import torch

PATIENCE = 600
"""Seconds; a busy machine takes long to import PyTorch."""

GPU = pytest.mark.gpu


def interpreted(script, cases, folder):
    """``script``'s results of all cases, from one process: Triton reads the variable once, when it is imported.

    The script reads the cases from its first argument, a file of ``torch.save``, and writes a list to its second.
    """
    import triton

    torch.save(cases, folder / "cases.pt")
    done = subprocess.run(
        [sys.executable, "-c", script, folder / "cases.pt", folder / "results.pt"],
        stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False,
        env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    if "only 0-dimensional arrays can be converted" in done.stderr:
        pytest.skip(f"the interpreter of Triton {triton.__version__} does not work with a NumPy this new")
    assert done.returncode == 0, done.stderr
    return torch.load(folder / "results.pt", weights_only=False)


def as_written(module, monkeypatch):
    """The kernels of a module, and functions that they call, without what older jaxtyping wraps around them."""
    import triton

    for name, value in list(vars(module).items()):
        if isinstance(value, triton.JITFunction):
            monkeypatch.setattr(module, name, triton.jit(inspect.unwrap(value.fn)))


def compiled(module, name, kinds, fixed, capability, folder, monkeypatch, **options):
    """The kernel ``name`` of a module, compiled for GPUs of a capability.

    Args:
        module: whose other functions it may call.
        name: of the kernel.
        kinds: each argument's type by name; further ones are ignored.
        fixed: values of the arguments that are compiled in: constants, and sizes of 1, as at a launch.
        capability: 80 for an A100.
        folder: for Triton's cache.
        monkeypatch: pytest's.
        options: of the compiler.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    monkeypatch.setenv("TRITON_CACHE_DIR", str(folder))
    as_written(module, monkeypatch)
    kernel = getattr(module, name)
    names = inspect.signature(kernel.fn).parameters
    fixed = {name: value for name, value in fixed.items() if name in names}
    signature = {name: "constexpr" if name in fixed else kinds[name] for name in names}
    source = ASTSource(fn=kernel, signature=signature, constexprs=fixed)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 4, **options})
