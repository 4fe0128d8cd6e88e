"""The fused kernel, run by Triton's interpreter where there is no GPU, and compiled for one all the same."""

import inspect

import pytest
import torch

from .triton_runs import interpreted

pytestmark = pytest.mark.slow

triton = pytest.importorskip("triton", reason="Triton is not installed: the fused kernel cannot be used")

INTERPRETED = """
import sys, torch
from tagseg.fast.exact_triton import gaussian_sum
torch.save([gaussian_sum(*case) for case in torch.load(sys.argv[1])], sys.argv[2])
"""

CASES = {
    # images, points, features, channels, spread and shift of the points
    "one point": (1, 1, 5, 1, 1.0, 0.0),
    "one channel": (2, 100, 5, 1, 1.0, 0.0),
    "classes": (2, 150, 5, 21, 2.0, 0.0),
    "a whole number of blocks": (1, 128, 5, 16, 1.0, 0.0),
    "one beyond a block": (1, 129, 3, 64, 1.0, 0.0),
    "channels of two programs": (2, 65, 5, 70, 1.0, 0.0),
    "one feature": (1, 90, 1, 3, 0.5, 0.0),
    "eight features": (1, 90, 8, 17, 0.5, 0.0),
    "all points alike": (3, 70, 5, 4, 0.0, 7.0),
    "far apart": (1, 200, 5, 21, 300.0, 0.0),
    "far from the origin": (1, 200, 5, 21, 0.5, 700.0),
}


def draw(images, n, width, channels, spread, shift):
    generator = torch.Generator().manual_seed(images * n + channels)
    points = spread * torch.randn(images, n, width, generator=generator) + shift
    return points, torch.rand(images, n, channels, generator=generator)


def brute_force(points, values):
    """In float64, row by row of blocks; by differences, as cdist cancels far from the origin."""
    points, values = points.double(), values.double()
    rows = [
        torch.exp(-0.5 * (block[:, :, None] - points[:, None]).square().sum(dim=3)) @ values
        for block in points.split(500, dim=1)
    ]
    return torch.cat(rows, dim=1)


def assert_is_the_sum(result, points, values):
    expected = brute_force(points, values)
    assert result.dtype == torch.float32
    assert result.shape == values.shape
    error = (result.double() - expected).abs().max() / expected.abs().max()
    assert error <= 1e-4, f"differs by {error:.1e} of the largest value"


@pytest.fixture(scope="module")
def sums(tmp_path_factory):
    """The sums of all cases, run by the interpreter."""
    cases = [draw(*case) for case in CASES.values()]
    return dict(zip(CASES, interpreted(INTERPRETED, cases, tmp_path_factory.mktemp("interpreted")), strict=True))


@pytest.mark.processes
@pytest.mark.parametrize("case", CASES)
def test_the_interpreted_kernel_gives_the_full_sum(sums, case):
    assert_is_the_sum(sums[case], *draw(*CASES[case]))


@pytest.mark.parametrize("capability", [80, 90], ids=["A100", "H200"])
@pytest.mark.parametrize(("n", "m", "channels"), [(None, None, 64), (None, 1, 16), (1, 1, 16)])
def test_it_compiles_without_a_gpu(capability, n, m, channels, tmp_path, monkeypatch):
    """The interpreter accepts what the compiler does not; sizes of 1 are compiled in, as at a launch."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from tagseg.fast import exact_triton

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    fixed = {"F": 5, "ROWS": exact_triton.BLOCK_I, "COLUMNS": exact_triton.BLOCK_J, "CHANNELS": channels}
    fixed |= {name: size for name, size in (("n", n), ("m", m)) if size is not None}
    kinds = dict.fromkeys(("points", "values", "result"), "*fp32") | {"n": "i32", "m": "i32"}
    source = ASTSource(
        fn=triton.jit(inspect.unwrap(exact_triton._sum_for_block.fn)),  # older jaxtyping instruments it
        signature=kinds | dict.fromkeys(fixed, "constexpr"),
        constexprs=fixed,
    )
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 4})
    assert ".tf32" in compiled.asm["ptx"], "on tensor cores"


@pytest.mark.gpu
@pytest.mark.parametrize("case", CASES)
def test_the_kernel_gives_the_full_sum_on_a_gpu(case):
    from tagseg.fast.exact_triton import gaussian_sum

    points, values = (tensor.cuda() for tensor in draw(*CASES[case]))
    assert_is_the_sum(gaussian_sum(points, values), points, values)


@pytest.mark.gpu
def test_long_sums_are_not_truncated():
    """Points so close that all count: what tensor cores cut off at each step would add up."""
    from tagseg.fast.exact_triton import gaussian_sum

    points, values = (tensor.cuda() for tensor in draw(1, 50_000, 5, 21, 0.05, 100.0))
    some = torch.arange(0, 50_000, 500, device="cuda")
    squared = (points[:, some, None].double() - points[:, None].double()).square().sum(dim=3)
    expected = torch.exp(-0.5 * squared) @ values.double()
    torch.testing.assert_close(gaussian_sum(points, values)[:, some].double(), expected, rtol=1e-5, atol=0)
