"""Mean field on a GPU, run by Triton's interpreter where there is none, and compiled for one all the same."""

from typing import Any

import numpy as np
import pytest
import torch

from tagseg.fast.dense_crf import crf_labels, crf_marginals, dense_crf
from tagseg.pairwise.config import CrfConfig
from tagseg.pairwise.mean_field import mean_field

from ..pairwise.conftest import photo, soft, with_rare
from .test_lattice_triton import compiled
from .triton_runs import as_written, interpreted

pytestmark = pytest.mark.slow

triton = pytest.importorskip("triton", reason="Triton is not installed: the kernels cannot be used")

INTERPRETED = """
import sys, torch
from tagseg.fast import dense_crf as forms
from tagseg.fast.mean_field_gpu import gpu_mean_field
forms.kernels_serve = lambda tensor: True
results = []
batches, batch, lists, settings = torch.load(sys.argv[1], weights_only=False)
for planes, images, config in batches:
    marginals = gpu_mean_field(planes, images.float(), config)
    q = marginals.planes(planes.flatten(2)).view(planes.shape)
    results.append((q, marginals.labels().view(q[:, 0].shape), list(marginals.counts)))
q = forms.dense_crf(*batch)
results.append((q, forms.crf_labels(*lists, settings), forms.crf_marginals(*lists, settings)))
torch.save(results, sys.argv[2])
"""

CASES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    # images, classes, rare ones, height, width; settings
    "two images": ((2, 5, 0, 12, 10), {"iterations": 2}),
    "classes that are left out": ((2, 4, 5, 6, 7), {"iterations": 2}),
    "many classes": ((1, 21, 0, 5, 7), {"iterations": 2, "negligible": 0.0}),
    "one class": ((1, 1, 0, 3, 4), {"iterations": 1}),
    "one pixel": ((1, 3, 0, 1, 1), {"iterations": 2}),
    "a wide kernel of position": ((1, 3, 0, 6, 5), {"iterations": 2, "gaussian_sigma": 3.0, "gaussian_weight": 2.0}),
    "no kernel of position": ((1, 3, 0, 6, 5), {"iterations": 2, "gaussian_weight": 0.0}),
    "strong messages": ((1, 3, 0, 7, 6), {"iterations": 2, "bilateral_weight": 60.0}),
    "no iterations": ((1, 3, 4, 6, 5), {"iterations": 0}),
}
WIRED = "classes that are left out"
LISTS = [(4, 6), (6, 4), (1, 5), (4, 6)]
SHORT = CrfConfig(iterations=2)


def draw(case):
    (count, classes, rare, *size), settings = CASES[case]
    planes = torch.stack([soft(seed, classes, *size) for seed in range(count)])
    if rare:
        planes = torch.stack([with_rare(one, rare) for one in planes])
    return planes, torch.stack([photo(seed, *size) for seed in range(count)]), CrfConfig(**settings)


def lists():
    """Probabilities and images of several sizes, as files have them."""
    images = [photo(seed, *size).permute(1, 2, 0).contiguous().numpy() for seed, size in enumerate(LISTS)]
    return [with_rare(soft(seed, 4, *size), 2) for seed, size in enumerate(LISTS)], images


def each_alone(planes, images, config):
    """Images of a batch share which classes are filtered in the plain form."""
    pairs = zip(planes.split(1), images.split(1), strict=True)
    return torch.cat([mean_field(one, image.float(), config) for one, image in pairs])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What all cases give, run by the interpreter."""
    cases = ([draw(case) for case in CASES], draw(WIRED), lists(), SHORT)
    found = interpreted(INTERPRETED, cases, tmp_path_factory.mktemp("interpreted"))
    return dict(zip([*CASES, "wired"], found, strict=True))


@pytest.mark.processes
@pytest.mark.parametrize("case", CASES)
def test_the_interpreted_kernels_give_the_plain_marginals(results, case):
    planes, images, config = draw(case)
    expected = each_alone(planes, images, config)
    q, labels, counts = results[case]
    torch.testing.assert_close(q, expected, rtol=0, atol=1e-5)
    assert torch.equal(labels.long(), expected.argmax(dim=1))
    assert counts == [CASES[case][0][1]] * len(planes), "rare ones are not filtered"


@pytest.mark.processes
def test_images_of_any_sizes_come_back_in_order(results):
    q, labels, marginals = results["wired"]
    torch.testing.assert_close(q, each_alone(*draw(WIRED)), rtol=0, atol=1e-5)
    planes, images = lists()
    for ours, one, expected in zip(labels, marginals, crf_marginals(planes, images, SHORT), strict=True):
        torch.testing.assert_close(one, expected, rtol=0, atol=1e-4)
        assert ours.dtype == np.uint8
        np.testing.assert_array_equal(ours, expected.argmax(dim=0).numpy())


def test_a_batch_has_as_many_images_as_fit():
    from tagseg.fast.crf_batches import images_at_once

    assert images_at_once((100, 21, 375, 500)) == 8
    assert images_at_once((100, 81, 375, 500)) == 2
    assert images_at_once((100, 21, 4000, 6000)) == 1


@pytest.mark.parametrize("capability", [80, 90], ids=["A100", "H200"])
@pytest.mark.parametrize("width", [8, 32, 128])
def test_they_compile_without_a_gpu(capability, width, tmp_path, monkeypatch):
    from tagseg.fast import mean_field_gpu

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    as_written(mean_field_gpu, monkeypatch)
    fixed = {"WIDTH": width, "BLOCK": 512 // width}
    for code in (
        compiled(mean_field_gpu.smooth_rows, capability, **fixed),
        compiled(mean_field_gpu.update, capability, V=6, **fixed),
    ):
        assert "ld.global.v4" in code, "rows are read four numbers at a time"


@pytest.mark.gpu
@pytest.mark.parametrize("case", CASES)
def test_the_kernels_give_the_plain_marginals_on_a_gpu(case):
    planes, images, config = draw(case)
    q = dense_crf(planes.cuda(), images.cuda(), config)
    torch.testing.assert_close(q.cpu(), each_alone(planes, images, config), rtol=0, atol=1e-4)


@pytest.mark.gpu
def test_images_of_any_sizes_on_a_gpu():
    planes, images = lists()
    on_gpu = [one.cuda() for one in planes]
    expected = crf_marginals(planes, images, SHORT)
    for ours, labels, one in zip(
        crf_marginals(on_gpu, images, SHORT), crf_labels(on_gpu, images, SHORT), expected, strict=True
    ):
        torch.testing.assert_close(ours.cpu(), one, rtol=0, atol=1e-4)
        np.testing.assert_array_equal(labels, one.argmax(dim=0).numpy())
