from dataclasses import replace

import jaxtyping
import numpy as np
import pytest
import torch

from tagseg.config import CrfConfig
from tagseg.errors import TagsegError
from tagseg.pairwise.crf import crf_labels, crf_marginals, dense_crf
from tagseg.pairwise.mean_field import mean_field

from .conftest import photo, soft, with_rare

METHODS = pytest.mark.parametrize("method", ["exact", "lattice", "auto"])
ALL = CrfConfig(negligible=0.0)
"""Every class is filtered: otherwise images of a batch share on the tensor path which are."""


def batch(count=3, height=20, width=26, classes=4):
    probabilities = torch.stack([soft(seed, classes, height, width) for seed in range(count)])
    return probabilities, torch.stack([photo(seed, height, width) for seed in range(count)])


def of_sizes(*sizes, classes=4):
    """Probabilities and images, as files have them, of different sizes."""
    probabilities = [soft(seed, classes, *size) for seed, size in enumerate(sizes)]
    images = [photo(seed, *size).permute(1, 2, 0).contiguous().numpy() for seed, size in enumerate(sizes)]
    return probabilities, images


def as_batch(image):
    return torch.from_numpy(image).permute(2, 0, 1)[None]


@METHODS
def test_a_batch_is_its_images(method):
    probabilities, images = batch()
    config = replace(ALL, method=method)
    together = dense_crf(probabilities, images, config)
    assert together.shape == probabilities.shape
    assert together.dtype == torch.float32
    for b in range(3):
        alone = dense_crf(probabilities[b : b + 1], images[b : b + 1], config)
        torch.testing.assert_close(together[b : b + 1], alone, rtol=0, atol=1e-5)


def test_the_default_is_the_lattice_with_the_published_kernels():
    probabilities, images = batch(1)
    published = CrfConfig(
        iterations=10, gaussian_sigma=1.0, gaussian_weight=1.0, bilateral_sigma_xy=121.0, bilateral_sigma_rgb=5.0,
        bilateral_weight=4.0, method="lattice",
    )  # fmt: skip
    assert torch.equal(dense_crf(probabilities, images), dense_crf(probabilities, images, published))
    plain = mean_field(probabilities, images.float(), published)
    torch.testing.assert_close(dense_crf(probabilities, images), plain, rtol=0, atol=1e-4)


def test_exact_is_the_plain_mean_field():
    probabilities, images = batch(2)
    config = CrfConfig(method="exact")
    assert torch.equal(dense_crf(probabilities, images, config), mean_field(probabilities, images.float(), config))


@METHODS
@pytest.mark.parametrize("rare", [0, 5])
def test_labels_of_images_of_different_sizes_are_the_most_probable_classes(method, rare):
    """The smallest image has few enough pixels that ``auto`` is exact for it alone."""
    probabilities, images = of_sizes((20, 26), (33, 40), (1, 7), (40, 33))
    if rare:
        probabilities = [with_rare(planes, rare) for planes in probabilities]
    config = CrfConfig(method=method)
    found = crf_labels(probabilities, images, config)
    assert len(found) == 4
    for labels, planes, image in zip(found, probabilities, images, strict=True):
        assert labels.dtype == np.uint8
        assert labels.shape == image.shape[:2]
        expected = dense_crf(planes[None], as_batch(image), config)[0].argmax(dim=0)
        assert (labels == expected.numpy()).mean() >= 0.999


@METHODS
def test_marginals_of_images_of_different_sizes(method):
    probabilities, images = of_sizes((20, 26), (33, 40), (1, 7))
    config = CrfConfig(method=method)
    for q, planes, image in zip(crf_marginals(probabilities, images, config), probabilities, images, strict=True):
        torch.testing.assert_close(q, dense_crf(planes[None], as_batch(image), config)[0], rtol=0, atol=1e-4)


def test_no_images_have_no_labels():
    assert crf_labels([], [], CrfConfig()) == []


@METHODS
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_probabilities_of_other_precision(method, kind):
    """Half precision, as score files have it, sums to 1 within a thousandth."""
    probabilities, images = batch(2)
    config = replace(ALL, method=method)
    q = dense_crf(probabilities.to(kind), images, config)
    assert q.dtype == torch.float32
    torch.testing.assert_close(q, dense_crf(probabilities.to(kind).float(), images, config))


def test_input_stays_as_it_was():
    probabilities, images = batch(2)
    before = probabilities.clone(), images.clone()
    dense_crf(probabilities, images)
    assert torch.equal(probabilities, before[0])
    assert torch.equal(images, before[1])


def test_what_was_returned_stays_when_there_are_more_images():
    """The compiled loops use their memory again."""
    probabilities, images = batch(2)
    pictures = list(images.permute(0, 2, 3, 1).contiguous().numpy())
    results = dense_crf(probabilities, images), *map(torch.from_numpy, crf_labels(list(probabilities), pictures, ALL))
    before = [result.clone() for result in results]
    dense_crf(probabilities.flip(0, 1), images.flip(0))
    crf_labels(list(probabilities.flip(0, 1)), pictures[::-1], ALL)
    for result, expected in zip(results, before, strict=True):
        assert torch.equal(result, expected)


def test_memory_in_any_order():
    """Views of other tensors: turned probabilities, an image with its channels last."""
    probabilities, images = batch(2)
    turned = probabilities.permute(0, 3, 2, 1).contiguous().permute(0, 3, 2, 1)
    last = images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert torch.equal(dense_crf(turned, last), dense_crf(probabilities, images))
    pictures = [image.permute(1, 2, 0).numpy() for image in images]
    for labels, q in zip(
        crf_labels(list(turned), pictures, CrfConfig()), dense_crf(probabilities, images), strict=True
    ):
        np.testing.assert_array_equal(labels, q.argmax(dim=0).numpy())


def test_threads_change_nothing(threads):
    probabilities, images = batch(4)
    pictures = list(images.permute(0, 2, 3, 1).contiguous().numpy())
    config = CrfConfig()
    threads(1)
    marginals, labels = dense_crf(probabilities, images, config), crf_labels(list(probabilities), pictures, config)
    threads(2)
    assert torch.equal(dense_crf(probabilities, images, config), marginals)
    for ours, alone in zip(crf_labels(list(probabilities), pictures, config), labels, strict=True):
        np.testing.assert_array_equal(ours, alone)


@pytest.mark.parametrize(("method", "count"), [("exact", 1), ("lattice", 1), ("lattice", 2)])
def test_probabilities_straight_from_a_network_that_trains(method, count, threads):
    """They require a gradient, which no thread follows."""
    probabilities, images = batch(2)
    pictures = list(images.permute(0, 2, 3, 1).contiguous().numpy())
    config = CrfConfig(method=method)
    threads(count)
    leaf = probabilities.clone().requires_grad_()
    for given in (leaf, 1.0 * leaf):
        q = dense_crf(given, images, config)
        assert not q.requires_grad
        torch.testing.assert_close(q, dense_crf(probabilities, images, config))
    labels = crf_labels([planes.clone().requires_grad_() for planes in probabilities], pictures, config)
    np.testing.assert_array_equal(np.stack(labels), q.argmax(dim=1).numpy())


@METHODS
@pytest.mark.parametrize("across", [True, False])
def test_labels_follow_a_colour_edge(method, across):
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
def test_a_lone_wrong_pixel_takes_the_label_of_its_surroundings(method):
    probabilities = torch.full((1, 2, 15, 15), 0.8)
    probabilities[0, 1] = 0.2
    probabilities[0, :, 7, 7] = torch.tensor([0.2, 0.8])
    image = torch.full((1, 3, 15, 15), 90, dtype=torch.uint8)
    assert (dense_crf(probabilities, image, CrfConfig(method=method)).argmax(dim=1) == 0).all()


def bad(change):
    probabilities, images = batch(2)
    change(probabilities)
    return probabilities, images


def set_pixel(value):
    def change(probabilities):
        probabilities[1, 2, 3, 4] = value

    return change


def minus(probabilities):
    """Still sums to one."""
    probabilities[1, :2, 3, 4] = torch.tensor([-0.25, 1.25]) - probabilities[1, 2:, 3, 4].sum() / 2


BAD = {
    "a sum above one": (set_pixel(1.5), ["sum to", "expected 1", "softmax"]),
    "logits": (lambda p: p.mul_(3), ["sum to 3", "expected 1", "softmax"]),
    "all zero": (lambda p: p.zero_(), ["sum to 0", "expected 1", "softmax"]),
    "not a number": (set_pixel(float("nan")), ["not finite", "NaN", "network"]),
    "infinite": (set_pixel(float("inf")), ["not finite", "infinite", "network"]),
    "negative": (minus, ["probability of -", "expected 0 to 1", "softmax"]),
}


def assert_is_refused(call, parts):
    with pytest.raises(TagsegError) as error:
        call()
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize("case", BAD)
@METHODS
def test_values_that_are_no_probabilities_are_refused_in_one_line(case, method):
    change, parts = BAD[case]
    probabilities, images = bad(change)
    pictures = list(images.permute(0, 2, 3, 1).contiguous().numpy())
    config = CrfConfig(method=method)
    assert_is_refused(lambda: dense_crf(probabilities, images, config), parts)
    assert_is_refused(lambda: crf_labels(list(probabilities), pictures, config), parts)
    assert_is_refused(lambda: crf_marginals(list(probabilities), pictures, config), parts)


def test_a_sum_within_the_rounding_of_half_precision_is_accepted():
    probabilities, images = batch(1)
    dense_crf(0.995 * probabilities, images)
    assert_is_refused(lambda: dense_crf(0.98 * probabilities, images), ["sum to 0.98", "expected 1"])


@pytest.fixture
def unchecked():
    """Calls as users make them: in the tests jaxtyping would refuse them first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("unchecked")
def test_sizes_that_differ_are_refused_in_one_line():
    probabilities, images = batch(2, 20, 26)
    other = images[:, :, :, :20]
    assert_is_refused(lambda: dense_crf(probabilities, other), ["26 x 20 pixels", "20 x 20", "expected the same"])
    on_its_side = images.transpose(2, 3)
    assert_is_refused(lambda: dense_crf(probabilities, on_its_side), ["26 x 20 pixels", "20 x 26", "expected the same"])
    pictures = list(other.permute(0, 2, 3, 1).contiguous().numpy())
    for call in (crf_labels, crf_marginals):
        assert_is_refused(
            lambda call=call: call(list(probabilities), pictures, CrfConfig()), ["26 x 20 pixels", "20 x 20"]
        )


@pytest.mark.usefixtures("unchecked")
def test_counts_that_differ_are_refused_in_one_line():
    probabilities, images = batch(3)
    assert_is_refused(lambda: dense_crf(probabilities, images[:2]), ["3 of", "2 of", "expected the same"])
    pictures = list(images[:2].permute(0, 2, 3, 1).contiguous().numpy())
    for call in (crf_labels, crf_marginals):
        parts = ["3 probability maps", "2 images"]
        assert_is_refused(lambda call=call: call(list(probabilities), pictures, CrfConfig()), parts)


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (1, 3, 0, 5), (1, 0, 4, 5)])
def test_nothing_to_label_is_refused_in_one_line(shape):
    images = torch.zeros(shape[0], 3, *shape[2:], dtype=torch.uint8)
    assert_is_refused(lambda: dense_crf(torch.zeros(shape), images), ["size (", "expected some pixels"])


def test_more_classes_than_a_label_can_name():
    probabilities, images = [torch.full((257, 2, 2), 1 / 257)], [np.zeros((2, 2, 3), np.uint8)]
    assert_is_refused(lambda: crf_labels(probabilities, images, CrfConfig()), ["257 classes", "at most 256"])
    assert crf_marginals(probabilities, images, CrfConfig())[0].shape == (257, 2, 2)


def test_flipped_pictures():
    probabilities, images = of_sizes((20, 26))
    for method in ("exact", "lattice"):
        config = CrfConfig(method=method)
        (ours,) = crf_labels([probabilities[0].flip(1)], [images[0][::-1]], config)
        (upright,) = crf_labels([probabilities[0].flip(1)], [images[0][::-1].copy()], config)
        np.testing.assert_array_equal(ours, upright)
