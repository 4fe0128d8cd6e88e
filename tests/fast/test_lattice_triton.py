"""The lattice's kernels, run by Triton's interpreter where there is no GPU, and compiled for one all the same."""

import inspect

import pytest
import torch

from tagseg.fast.bilateral import lattice_filter
from tagseg.pairwise.lattice import Lattice, pixel_bounds, pixel_features

from ..conftest import assert_refused
from ..pairwise.conftest import photo
from .triton_runs import as_written, interpreted

pytestmark = pytest.mark.slow

triton = pytest.importorskip("triton", reason="Triton is not installed: the kernels cannot be used")

INTERPRETED = """
import sys, torch
from tagseg.fast import lattice_triton
from tagseg.fast.lattice_triton import GpuLattice
results = []
for points, values, bounds, fit in torch.load(sys.argv[1]):
    lattice = GpuLattice.build(points, bounds, fit)
    parts = {"rows": lattice.rows, "corners": int(lattice.corners), "vertices": lattice.vertices}
    results.append(parts | {"neighbours": lattice.neighbours, "filtered": lattice.filter(values)})
lattice_triton.MOST_TABLE_BYTES = 0  # eight channels at a time
results.append({"filtered": lattice.filter(values)})
torch.save(results, sys.argv[2])
"""

POINTS = {
    # images, points, features, channels; spread and shift of the points
    "one point": ((1, 1, 5, 1), (1.0, 0.0)),
    "few channels": ((2, 90, 5, 3), (1.0, 0.0)),
    "classes": ((1, 129, 5, 21), (3.0, 0.0)),
    "a whole number of vectors": ((1, 64, 5, 24), (1.0, 0.0)),
    "close together": ((1, 70, 5, 3), (0.05, 3.0)),
    "all points alike": ((3, 33, 5, 4), (0.0, 7.0)),
    "far apart": ((1, 60, 5, 2), (20.0, 0.0)),
    "one feature": ((1, 50, 1, 9), (1.0, 0.0)),
    "three features": ((2, 60, 3, 5), (1.0, 0.0)),
    "eight features": ((1, 12, 8, 2), (0.5, 0.0)),
    "many channels": ((1, 40, 5, 40), (1.0, 0.0)),
}
PHOTOS = {"a photo": (2, 8, 11, 5), "a plain photo": (1, 6, 11, 5)}
"""Images, height, width, channels."""
CASES = [*PHOTOS, *POINTS]
LAST = CASES[-1]


def draw(case):
    """Points, values, bounds and whether memory is fitted."""
    generator = torch.Generator().manual_seed(len(case))
    if case in POINTS:
        (images, n, width, channels), (spread, shift) = POINTS[case]
        points = spread * torch.randn(images, n, width, generator=generator) + shift
        values = torch.rand(images, channels, n, generator=generator).transpose(1, 2)  # as of maps (B, C, H, W)
        return points, values, None, images == 1
    images, height, width, channels = PHOTOS[case]
    pixels = torch.stack([photo(seed, height, width) for seed in range(images)]).float()
    if "plain" in case:
        pixels[:] = 7.0
    points, bounds = pixel_features(pixels, 121.0, 5.0), pixel_bounds(height, width, 121.0, 5.0)
    return points, torch.rand(images, height * width, channels, generator=generator), bounds, False


def assert_is_the_plain_lattice(found, points, values):
    plain = Lattice.build(points)
    corners = plain.neighbours.shape[1]
    assert found["corners"] == corners <= found["rows"]
    name = torch.empty(corners + 1, dtype=torch.int64)  # the plain form's number of each of our corners
    name[found["vertices"].long()] = plain.vertices
    name[-1] = corners
    assert len(name.unique()) == corners + 1
    ours = name[found["neighbours"][:, :, :corners].long()].transpose(1, 2)  # −1 is the last name
    assert torch.equal(ours, plain.neighbours[:, name[:-1]])
    torch.testing.assert_close(found["filtered"], plain.filter(values), rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What all cases give, run by the interpreter."""
    found = interpreted(INTERPRETED, [draw(case) for case in CASES], tmp_path_factory.mktemp("interpreted"))
    return dict(zip([*CASES, "in parts"], found, strict=True))


@pytest.mark.processes
@pytest.mark.parametrize("case", CASES)
def test_the_interpreted_kernels_build_the_plain_lattice(results, case):
    points, values, *_ = draw(case)
    assert_is_the_plain_lattice(results[case], points, values)


@pytest.mark.processes
def test_channels_filtered_in_parts(results):
    torch.testing.assert_close(results["in parts"]["filtered"], results[LAST]["filtered"])


def test_more_points_than_numbers_is_refused(monkeypatch):
    from tagseg.fast import lattice_triton

    monkeypatch.setattr(lattice_triton, "MOST_CORNERS", 599)
    assert_refused(lambda: lattice_triton.GpuLattice.build(torch.zeros(2, 50, 5)), "100 points", "at most 99")


WHOLE = ["slots", "new", "ends", "numbers", "neighbours", "corners", "vertices"]
LARGE = ["packing", "keys", "hashed", "rows_keys", "offsets"]
REAL = ["points", "weights", "values", "scale", "table", "result"]
REAL += ["q", "band", "smoothed", "norm", "unary", "rest", "left"]
KINDS = dict.fromkeys(WHOLE, "*i32") | dict.fromkeys(LARGE, "*i64") | dict.fromkeys(REAL, "*fp32")
KINDS |= {"matrix": "*fp64", "factor": "fp32", "strength": "fp32"}


def compiled(kernel, capability, **fixed):
    """PTX of a kernel for a GPU; all arguments but the fixed ones and those of ``KINDS`` are int32."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = inspect.signature(kernel.fn).parameters
    signature = {name: "constexpr" if name in fixed else KINDS.get(name, "i32") for name in names}
    aligned = {(place,): [["tt.divisibility", 16]] for place, kind in enumerate(signature.values()) if kind[0] == "*"}
    source = ASTSource(fn=kernel, signature=signature, constexprs=fixed, attrs=aligned)
    options = {"num_warps": 4, "num_stages": 1}
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options).asm["ptx"]


KERNELS = {
    "embed": {"F": 5, "WIDTH": 8, "BLOCK": 16},
    "insert": {"BLOCK": 128},
    "number": {"V": 6, "BLOCK": 128},
    "link": {"BLOCK": 128},
    "clear": {"BLOCK": 2048},
    "splat": {"V": 6, "WIDTH": 32, "BLOCK": 16},
    "blur": {"WIDTH": 32, "BLOCK": 16},
    "read": {"V": 6, "WIDTH": 32, "BLOCK": 16},
}


@pytest.mark.parametrize("capability", [80, 90], ids=["A100", "H200"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_they_compile_without_a_gpu(kernel, capability, tmp_path, monkeypatch):
    """The interpreter accepts what the compiler does not."""
    from tagseg.fast import lattice_kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    as_written(lattice_kernels, monkeypatch)
    code = compiled(getattr(lattice_kernels, kernel), capability, **KERNELS[kernel])
    if kernel in ("splat", "blur", "read"):
        assert "ld.global.v4" in code, "rows are read four numbers at a time"


@pytest.mark.gpu
@pytest.mark.parametrize("case", CASES)
def test_the_kernels_build_the_plain_lattice_on_a_gpu(case):
    from tagseg.fast.lattice_triton import GpuLattice

    points, values, bounds, fit = draw(case)
    lattice = GpuLattice.build(points.cuda(), bounds, fit)
    found = {"rows": lattice.rows, "corners": int(lattice.corners), "vertices": lattice.vertices.cpu()}
    found |= {"neighbours": lattice.neighbours.cpu(), "filtered": lattice.filter(values.cuda()).cpu()}
    assert_is_the_plain_lattice(found, points, values)


@pytest.mark.gpu
def test_many_points_on_a_gpu():
    """So many that programs run through the corners in several strides, and meet in the hash table."""
    points = pixel_features(torch.stack([photo(seed, 300, 400, noise=20.0) for seed in range(2)]).float(), 121.0, 5.0)
    values = torch.rand(2, 120_000, 21)
    ours = lattice_filter(points.cuda(), values.cuda(), bounds=pixel_bounds(300, 400, 121.0, 5.0)).cpu()
    expected = Lattice.build(points).filter(values)
    assert Lattice.build(points).neighbours.shape[1] > 4096 * 16
    off = (ours - expected).abs() > 1e-4 * expected.abs().max()
    assert off.double().mean() <= 1e-4, "but for corners that rounding decides"


@pytest.mark.gpu
def test_a_gpu_waits_for_nobody_where_bounds_are_given():
    points, values, bounds, _ = draw("a photo")
    points, values = points.cuda(), values.cuda()
    lattice_filter(points, values, bounds=bounds)
    torch.cuda.set_sync_debug_mode("error")
    try:
        lattice_filter(points, values, bounds=bounds)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
def test_points_outside_of_the_bounds_give_no_number():
    points, values, bounds, _ = draw("a photo")
    points[0, 3] += 1e3
    assert lattice_filter(points.cuda(), values.cuda(), bounds=bounds)[0, 3].isnan().all()
