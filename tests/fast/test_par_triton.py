"""PAR's kernels, run by Triton's interpreter where there is no GPU, and compiled for one all the same."""

import pytest
import torch

from tagseg.fsr import par as plain
from tagseg.fsr.config import LabelConfig

from .triton_runs import GPU, compiled, interpreted

pytestmark = pytest.mark.slow

triton = pytest.importorskip("triton", reason="Triton is not installed: the kernels cannot be used")

INTERPRETED = """
import sys, torch
from tagseg.fast.par_triton import refine
from tagseg.fsr.config import LabelConfig
cases = torch.load(sys.argv[1])
torch.save([refine(image, maps, LabelConfig(**changes)) for image, maps, changes in cases], sys.argv[2])
"""

TWICE = {"refine_iterations": 2, "refine_dilations": (1, 24)}
FEW = {"refine_iterations": 3, "refine_dilations": (1, 5)}

CASES = {
    # images, maps, height, width, picture, settings
    "as published": (1, 2, 4, 7, "random", {}),
    "one pixel": (1, 4, 1, 1, "random", TWICE),
    "one map": (2, 1, 9, 5, "random", TWICE),
    "a line": (1, 3, 1, 30, "random", TWICE),
    "a column": (1, 3, 30, 1, "random", TWICE),
    "five maps, two programs": (2, 5, 9, 13, "random", TWICE),
    "seven maps": (1, 7, 8, 16, "random", FEW),
    "several blocks of pixels": (1, 6, 12, 23, "random", FEW),
    "no position term": (1, 2, 9, 9, "random", FEW | {"refine_spatial_weight": 0.0}),
    "one distance, less selective": (1, 2, 9, 9, "random", {"refine_dilations": (3,), "refine_sharpness": 1.5}),
    "one colour": (1, 2, 9, 9, "one colour", TWICE),
    "one colour but for a pixel": (1, 2, 9, 9, "a pixel", TWICE),
    "black and white": (1, 2, 9, 13, "two values", TWICE),
}


def draw(images, count, height, width, picture, changes):
    generator = torch.Generator().manual_seed(height * width + count)
    image = torch.rand(images, 3, height, width, generator=generator)
    if picture in ("one colour", "a pixel"):
        image[:] = torch.tensor([0.1, 0.7, 1.0])[None, :, None, None]
    if picture == "a pixel":
        image[:, :, height // 2, width // 2] = 0.3
    if picture == "two values":
        image = (image < 0.5).float()
    return image, torch.rand(images, count, height, width, generator=generator), changes


def assert_is_refined(result, image, maps, changes):
    expected = plain.refine(image.double(), maps.double(), LabelConfig(**changes))
    assert result.dtype == torch.float32
    torch.testing.assert_close(result.double(), expected, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interpreted")
    return dict(zip(CASES, interpreted(INTERPRETED, [draw(*case) for case in CASES.values()], folder), strict=True))


@pytest.mark.processes
@pytest.mark.parametrize("case", CASES)
def test_the_interpreted_kernels_give_the_plain_form(results, case):
    assert_is_refined(results[case], *draw(*CASES[case]))


@pytest.mark.parametrize("capability", [80, 90], ids=["A100", "H200"])
@pytest.mark.parametrize("ones", [(), ("height", "width", "distances", "count", "groups")], ids=["sizes", "sizes of 1"])
@pytest.mark.parametrize("name", ["_deviate_from_neighbours", "_weigh_neighbours", "_average_neighbours"])
def test_they_compile_without_a_gpu(name, ones, capability, tmp_path, monkeypatch):
    """The interpreter accepts what the compiler does not."""
    from tagseg.fast import par_triton

    arrays = ("image", "deviations", "position", "weights", "maps", "refined")
    kinds = dict.fromkeys(arrays, "*fp32") | {"dilations": "*i32", "sharpness": "fp32"}
    kinds |= dict.fromkeys(("height", "width", "distances", "count", "groups"), "i32")
    fixed = dict.fromkeys(ones, 1) | {"BLOCK": par_triton.PIXELS}
    kernel = compiled(par_triton, name, kinds, fixed, capability, tmp_path, monkeypatch)
    assert kernel.metadata.shared == 0, "a thread has a pixel of its own, and asks no other"


@pytest.mark.parametrize("capability", [80, 90], ids=["A100", "H200"])
def test_affinities_are_subtracted_as_they_are_stored(capability, tmp_path, monkeypatch):
    """Triton 3.9 fuses a product into a difference, which then is its rounding instead of 0: 5e8 for a lone pixel."""
    from tagseg.fast import par_triton

    kinds = dict.fromkeys(("image", "deviations", "position", "weights"), "*fp32")
    kinds |= {"dilations": "*i32", "sharpness": "fp32", **dict.fromkeys(("height", "width", "distances"), "i32")}
    launches = {name: Launch() for name in ("_deviate_from_neighbours", "_weigh_neighbours", "_average_neighbours")}
    with monkeypatch.context() as replaced:
        for name, launch in launches.items():
            replaced.setattr(par_triton, name, launch)
        par_triton.refine(torch.rand(1, 3, 4, 4), torch.rand(1, 2, 4, 4), LabelConfig())
    asked = launches["_weigh_neighbours"].options
    options = {name: value for name, value in asked.items() if name.startswith("enable")}
    fixed = {"BLOCK": par_triton.PIXELS}
    kernel = compiled(par_triton, "_weigh_neighbours", kinds, fixed, capability, tmp_path, monkeypatch, **options)
    assert "fma.rn.f32" not in kernel.asm["ptx"]


class Launch:
    """In place of a kernel: keeps the options that it is launched with."""

    def __getitem__(self, grid):
        return self

    def __call__(self, *arguments, **options):
        self.options = options


@GPU
@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
def test_the_kernels_give_the_plain_form_on_a_gpu(case):
    from tagseg.fast.par import refine

    image, maps, changes = draw(*CASES[case])
    refined = refine(image.cuda(), maps.cuda(), LabelConfig(**changes))
    assert_is_refined(refined.cpu(), image, maps, changes)


@GPU
def test_a_batch_as_in_a_step_on_a_gpu():
    from tagseg.fast.par import refine

    image, maps, changes = draw(2, 6, 112, 160, "random", {})
    assert_is_refined(refine(image.cuda(), maps.cuda(), LabelConfig()).cpu(), image, maps, changes)
