"""The dense CRF, plain and fast; ``tests/fast/test_dense_crf.py`` has images of any sizes and labels alone."""

from dataclasses import replace

import pytest
import torch

from tagseg.fast import dense_crf as fast
from tagseg.pairwise import crf as plain
from tagseg.pairwise.config import CrfConfig
from tagseg.pairwise.mean_field import mean_field

from ..conftest import assert_refused
from .conftest import BAD_PROBABILITIES, some_images

METHODS = pytest.mark.parametrize("method", ["exact", "lattice", "auto"])
ALL = CrfConfig(negligible=0.0)
"""Every class is filtered: otherwise images of a batch share on the tensor path which are."""
FORMS = {"plain": plain.dense_crf, "fast": fast.dense_crf}


@pytest.fixture(params=FORMS.values(), ids=list(FORMS))
def dense_crf(request):
    return request.param


@METHODS
def test_a_batch_is_its_images(method, dense_crf):
    probabilities, images = some_images()
    config = replace(ALL, method=method)
    together = dense_crf(probabilities, images, config)
    assert together.shape == probabilities.shape
    assert together.dtype == torch.float32
    for b in range(3):
        alone = dense_crf(probabilities[b : b + 1], images[b : b + 1], config)
        torch.testing.assert_close(together[b : b + 1], alone, rtol=0, atol=1e-5)


def test_the_default_is_the_lattice_with_the_published_kernels(dense_crf):
    probabilities, images = some_images(1)
    published = CrfConfig(
        iterations=10, gaussian_sigma=1.0, gaussian_weight=1.0, bilateral_sigma_xy=121.0, bilateral_sigma_rgb=5.0,
        bilateral_weight=4.0, method="lattice",
    )  # fmt: skip
    assert torch.equal(dense_crf(probabilities, images), dense_crf(probabilities, images, published))
    expected = mean_field(probabilities, images.float(), published)
    torch.testing.assert_close(dense_crf(probabilities, images), expected, rtol=0, atol=1e-4)


def test_exact_is_the_plain_mean_field(dense_crf):
    probabilities, images = some_images(2)
    config = CrfConfig(method="exact")
    assert torch.equal(dense_crf(probabilities, images, config), mean_field(probabilities, images.float(), config))


@METHODS
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_probabilities_of_other_precision(method, kind, dense_crf):
    """Half precision, as score files have it, sums to 1 within a thousandth."""
    probabilities, images = some_images(2)
    config = replace(ALL, method=method)
    q = dense_crf(probabilities.to(kind), images, config)
    assert q.dtype == torch.float32
    torch.testing.assert_close(q, dense_crf(probabilities.to(kind).float(), images, config))


def test_input_stays_as_it_was(dense_crf):
    probabilities, images = some_images(2)
    before = probabilities.clone(), images.clone()
    dense_crf(probabilities, images)
    assert torch.equal(probabilities, before[0])
    assert torch.equal(images, before[1])


def test_memory_in_any_order(dense_crf):
    """Views of other tensors: turned probabilities, an image with its channels last."""
    probabilities, images = some_images(2)
    turned = probabilities.permute(0, 3, 2, 1).contiguous().permute(0, 3, 2, 1)
    last = images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert torch.equal(dense_crf(turned, last), dense_crf(probabilities, images))


@pytest.mark.parametrize(
    ("form", "method", "count"),
    [
        ("plain", "exact", 1),
        ("plain", "lattice", 1),
        ("fast", "exact", 1),
        ("fast", "lattice", 1),
        ("fast", "lattice", 2),
    ],
)
def test_probabilities_straight_from_a_network_that_trains(form, method, count, threads):
    """They require a gradient, which no thread follows."""
    probabilities, images = some_images(2)
    dense_crf, config = FORMS[form], CrfConfig(method=method)
    threads(count)
    leaf = probabilities.clone().requires_grad_()
    for given in (leaf, 1.0 * leaf):
        q = dense_crf(given, images, config)
        assert not q.requires_grad
        torch.testing.assert_close(q, dense_crf(probabilities, images, config))


@METHODS
@pytest.mark.parametrize("across", [True, False])
def test_labels_follow_a_colour_edge(method, across, dense_crf):
    """The probabilities say, blurred, that the border is at 22; the colours say that it is at 16."""
    border, claimed, length = 16, 22, 30
    place = torch.arange(40.0).expand(length, 40)
    right = torch.sigmoid((place - claimed + 0.5) / 6)
    image = torch.where(place < border, 60.0, 180.0).expand(3, length, 40)
    image = image + 2 * torch.randn(3, length, 40, generator=torch.Generator().manual_seed(0))
    probabilities, image = torch.stack([1 - right, right])[None], image.round().to(torch.uint8)[None]
    if not across:
        probabilities, image = probabilities.transpose(2, 3), image.transpose(2, 3)
    before = probabilities[0, 1] > 0.5
    after = dense_crf(probabilities, image, CrfConfig(method=method))[0].argmax(dim=0).bool()
    truth = place >= border if across else (place >= border).T
    assert (before != truth).sum() == length * (claimed - border)
    assert torch.equal(after, truth)


@METHODS
def test_a_lone_wrong_pixel_takes_the_label_of_its_surroundings(method, dense_crf):
    probabilities = torch.full((1, 2, 15, 15), 0.8)
    probabilities[0, 1] = 0.2
    probabilities[0, :, 7, 7] = torch.tensor([0.2, 0.8])
    image = torch.full((1, 3, 15, 15), 90, dtype=torch.uint8)
    assert (dense_crf(probabilities, image, CrfConfig(method=method)).argmax(dim=1) == 0).all()


@pytest.mark.parametrize("case", BAD_PROBABILITIES)
@METHODS
def test_values_that_are_no_probabilities_are_refused_in_one_line(case, method, dense_crf):
    change, message = BAD_PROBABILITIES[case]
    probabilities, images = some_images(2)
    change(probabilities)
    assert_refused(lambda: dense_crf(probabilities, images, CrfConfig(method=method)), *message)


def test_a_sum_within_the_rounding_of_half_precision_is_accepted(dense_crf):
    probabilities, images = some_images(1)
    dense_crf(0.995 * probabilities, images)
    assert_refused(lambda: dense_crf(0.98 * probabilities, images), "sum to 0.98", "expected 1")


@pytest.mark.usefixtures("unchecked")
def test_sizes_that_differ_are_refused_in_one_line(dense_crf):
    probabilities, images = some_images(2, 20, 26)
    other = images[:, :, :, :20]
    assert_refused(lambda: dense_crf(probabilities, other), "26 x 20 pixels", "20 x 20", "expected the same")
    on_its_side = images.transpose(2, 3)
    assert_refused(lambda: dense_crf(probabilities, on_its_side), "26 x 20 pixels", "20 x 26", "expected the same")


@pytest.mark.usefixtures("unchecked")
def test_counts_that_differ_are_refused_in_one_line(dense_crf):
    probabilities, images = some_images(3)
    assert_refused(lambda: dense_crf(probabilities, images[:2]), "3 of", "2 of", "expected the same")


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (1, 3, 0, 5), (1, 0, 4, 5)])
def test_nothing_to_label_is_refused_in_one_line(shape, dense_crf):
    images = torch.zeros(shape[0], 3, *shape[2:], dtype=torch.uint8)
    assert_refused(lambda: dense_crf(torch.zeros(shape), images), "size (", "expected some pixels")
