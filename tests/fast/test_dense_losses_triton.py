"""The kernels of L_seg and L_reg, run by Triton's interpreter where there is no GPU, compiled for one all the same."""

import pytest
import torch

from tagseg.fsr import losses as plain
from tagseg.fsr.config import EnergyConfig

from .triton_runs import GPU, compiled, interpreted

pytestmark = pytest.mark.slow

triton = pytest.importorskip("triton", reason="Triton is not installed: the kernels cannot be used")

INTERPRETED = """
import sys, torch
from tagseg.fast import dense_losses as module
from tagseg.fsr.config import EnergyConfig

def run(logits, label, image, energy):
    logits.requires_grad_()
    losses = module.dense_losses(logits, label, image, EnergyConfig(scale=1e-2, method="exact") if energy else None)
    (losses["segmentation"] + 3 * losses.get("energy", 0)).backward()
    return {name: loss.detach() for name, loss in losses.items()} | {"gradient": logits.grad}

module.kernels_serve = lambda logits: True
torch.save([run(*case) for case in torch.load(sys.argv[1])], sys.argv[2])
"""

CASES = {
    # images, classes, grid, pixels, spread of the logits, which pixels are known, with energy
    "patches of eight pixels": (2, 5, (2, 3), (16, 24), 2.0, "most", True),
    "without energy": (2, 5, (2, 3), (16, 24), 2.0, "most", False),
    "two classes": (2, 2, (2, 3), (16, 22), 2.0, "most", True),
    "many classes": (1, 21, (2, 2), (6, 10), 2.0, "most", True),
    "a grid of one point": (1, 3, (1, 1), (20, 22), 2.0, "most", True),
    "a grid larger than the image": (1, 3, (5, 7), (4, 6), 2.0, "most", True),
    "sure predictions": (1, 5, (2, 2), (16, 8), 60.0, "most", True),
    "no pixel is known": (1, 4, (2, 2), (8, 8), 2.0, "none", True),
    "one class": (1, 1, (2, 2), (8, 8), 2.0, "most", True),
}


def draw(images, classes, grid, size, spread, known, energy):
    generator = torch.Generator().manual_seed(classes * size[0] + size[1])
    logits = spread * torch.randn(images, classes, *grid, generator=generator)
    label = torch.randint(0, classes + 1, (images, *size), generator=generator)
    label[(label == classes) | torch.tensor(known == "none")] = 255
    image = torch.randint(0, 256, (images, 3, *size), dtype=torch.uint8, generator=generator)
    return logits, label, image, energy


def assert_are_the_losses(result, logits, label, image, energy):
    """Against the plain form in float64."""
    logits = logits.double().requires_grad_()
    config = EnergyConfig(scale=1e-2, method="exact") if energy else None
    losses = plain.dense_losses(logits, label, image, config)
    (losses["segmentation"] + 3 * losses.get("energy", 0)).backward()
    assert set(result) == {*losses, "gradient"}
    for name, expected in (losses | {"gradient": logits.grad}).items():
        assert result[name].dtype == torch.float32
        torch.testing.assert_close(result[name].double(), expected.detach(), rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interpreted")
    return dict(zip(CASES, interpreted(INTERPRETED, [draw(*case) for case in CASES.values()], folder), strict=True))


@pytest.mark.processes
@pytest.mark.parametrize("case", CASES)
def test_the_interpreted_kernels_give_the_plain_form(results, case):
    assert_are_the_losses(results[case], *draw(*CASES[case]))


@pytest.mark.parametrize("capability", [80, 90], ids=["A100", "H200"])
@pytest.mark.parametrize("ones", [(), ("h", "w", "classes", "chunks")], ids=["sizes", "sizes of 1"])
@pytest.mark.parametrize(
    ("name", "pull"),
    [
        ("_entropy_of_pixels", None),
        ("_soften_pixels", None),
        ("_corners_of_cell", True),
        ("_corners_of_cell", False),
        ("_sum_of_corners", None),
    ],
)
def test_they_compile_without_a_gpu(name, pull, ones, capability, tmp_path, monkeypatch):
    """The interpreter accepts what the compiler does not."""
    from tagseg.fast import dense_losses_triton as module

    arrays = ("logits", "weights", "log_sums", "parts", "soft", "of_entropy", "pull", "of_pull", "corners", "result")
    kinds = dict.fromkeys(arrays, "*fp32") | {"label": "*i64"}
    sizes = ("classes", "h", "w", "height", "width", "half_height", "half_width", "chunks")
    kinds |= dict.fromkeys(sizes, "i32")
    block = module.CELL_PIXELS if name == "_corners_of_cell" else module.PIXELS
    fixed = dict.fromkeys(ones, 1) | {"BLOCK": block, "PULL": pull}
    compiled(module, name, kinds, fixed, capability, tmp_path, monkeypatch)


def on_gpu(logits, label, image, energy):
    from tagseg.fast.dense_losses import dense_losses

    logits = logits.cuda().requires_grad_()
    config = EnergyConfig(scale=1e-2, method="exact") if energy else None
    losses = dense_losses(logits, label.cuda(), image.cuda(), config)
    (losses["segmentation"] + 3 * losses.get("energy", 0)).backward()
    return {name: loss.detach().cpu() for name, loss in losses.items()} | {"gradient": logits.grad.cpu()}


@GPU
@pytest.mark.parametrize("case", CASES)
def test_the_kernels_give_the_plain_form_on_a_gpu(case):
    assert_are_the_losses(on_gpu(*draw(*CASES[case])), *draw(*CASES[case]))


@GPU
@pytest.mark.parametrize("classes", [21, 81])
def test_a_batch_as_in_a_step_on_a_gpu(classes):
    case = draw(2, classes, (12, 10), (192, 160), 2.0, "most", True)
    assert_are_the_losses(on_gpu(*case), *case)
