"""The dense CRF of images of any sizes, in compiled loops over the cores; ``crf_labels`` and ``crf_marginals``."""

import numpy as np
import pytest
import torch

from tagseg.fast.dense_crf import crf_labels, crf_marginals, dense_crf
from tagseg.fast.workspace import Workspaces
from tagseg.pairwise import crf as plain
from tagseg.pairwise.config import CrfConfig

from ..conftest import assert_refused
from ..pairwise.conftest import BAD_PROBABILITIES, photo, soft, some_images, with_rare

pytestmark = pytest.mark.slow

METHODS = pytest.mark.parametrize("method", ["exact", "lattice", "auto"])
ALL = CrfConfig(negligible=0.0)
"""Every class is filtered: otherwise images of a batch share on the tensor path which are."""


def of_sizes(*sizes, classes=4):
    """Probabilities and images, as files have them, of different sizes."""
    probabilities = [soft(seed, classes, *size) for seed, size in enumerate(sizes)]
    images = [photo(seed, *size).permute(1, 2, 0).contiguous().numpy() for seed, size in enumerate(sizes)]
    return probabilities, images


def as_batch(image):
    return torch.from_numpy(image).permute(2, 0, 1)[None]


def as_pictures(images):
    """As files have them."""
    return list(images.permute(0, 2, 3, 1).contiguous().numpy())


@METHODS
@pytest.mark.parametrize("size", [(1, 1), (20, 26), (33, 40)])
def test_it_equals_the_plain_crf(method, size):
    probabilities, images = some_images(2, *size)
    config = CrfConfig(method=method, negligible=0.0)
    expected = plain.dense_crf(probabilities, images, config)
    torch.testing.assert_close(dense_crf(probabilities, images, config), expected, rtol=0, atol=1e-4)


@METHODS
@pytest.mark.parametrize("rare", [0, 5])
def test_labels_of_images_of_different_sizes_are_the_most_probable_classes(method, rare):
    """The smallest image has few enough pixels that ``auto`` is exact for it alone."""
    probabilities, images = of_sizes((20, 26), (33, 40), (1, 7), (40, 33))
    if rare:
        probabilities = [with_rare(planes, rare) for planes in probabilities]
    config = CrfConfig(method=method)
    every = crf_labels(probabilities, images, config)
    assert len(every) == 4
    for labels, planes, image in zip(every, probabilities, images, strict=True):
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


def test_what_was_returned_stays_when_there_are_more_images():
    """The compiled loops use their memory again."""
    probabilities, images = some_images(2)
    pictures, workspaces = as_pictures(images), Workspaces()
    labels = crf_labels(list(probabilities), pictures, ALL, workspaces)
    marginals = crf_marginals(list(probabilities), pictures, ALL, workspaces)
    batch = dense_crf(probabilities, images, CrfConfig(), workspaces)
    results = [batch, *marginals, *map(torch.from_numpy, labels)]
    before = [result.clone() for result in results]
    dense_crf(probabilities.flip(0, 1), images.flip(0), CrfConfig(), workspaces)
    for crf in (crf_labels, crf_marginals):
        crf(list(probabilities.flip(0, 1)), pictures[::-1], ALL, workspaces)
    for result, expected in zip(results, before, strict=True):
        assert torch.equal(result, expected)


def test_memory_in_any_order():
    """Views of other tensors: turned probabilities, an image with its channels last."""
    probabilities, images = some_images(2)
    turned = probabilities.permute(0, 3, 2, 1).contiguous().permute(0, 3, 2, 1)
    pictures = [image.permute(1, 2, 0).numpy() for image in images]
    for labels, q in zip(
        crf_labels(list(turned), pictures, CrfConfig()), dense_crf(probabilities, images), strict=True
    ):
        np.testing.assert_array_equal(labels, q.argmax(dim=0).numpy())


def test_threads_change_nothing(threads):
    probabilities, images = some_images(4)
    pictures = as_pictures(images)
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
    probabilities, images = some_images(2)
    pictures = as_pictures(images)
    config = CrfConfig(method=method)
    threads(count)
    labels = crf_labels([planes.clone().requires_grad_() for planes in probabilities], pictures, config)
    np.testing.assert_array_equal(np.stack(labels), dense_crf(probabilities, images, config).argmax(dim=1).numpy())


@pytest.mark.parametrize("case", BAD_PROBABILITIES)
@METHODS
def test_values_that_are_no_probabilities_are_refused_in_one_line(case, method):
    change, message = BAD_PROBABILITIES[case]
    probabilities, images = some_images(2)
    change(probabilities)
    for call in (crf_labels, crf_marginals):
        arguments = list(probabilities), as_pictures(images), CrfConfig(method=method)
        assert_refused(lambda call=call, arguments=arguments: call(*arguments), *message)


@pytest.mark.usefixtures("unchecked")
def test_sizes_that_differ_are_refused_in_one_line():
    probabilities, images = some_images(2, 20, 26)
    pictures = as_pictures(images[:, :, :, :20])
    for call in (crf_labels, crf_marginals):
        assert_refused(
            lambda call=call: call(list(probabilities), pictures, CrfConfig()),
            "26 x 20 pixels",
            "20 x 20",
        )


@pytest.mark.usefixtures("unchecked")
def test_counts_that_differ_are_refused_in_one_line():
    probabilities, images = some_images(3)
    pictures = as_pictures(images[:2])
    for call in (crf_labels, crf_marginals):
        message = ["3 probability maps", "2 images"]
        assert_refused(lambda call=call: call(list(probabilities), pictures, CrfConfig()), *message)


def test_more_classes_than_a_label_can_name():
    probabilities, images = [torch.full((257, 2, 2), 1 / 257)], [np.zeros((2, 2, 3), np.uint8)]
    assert_refused(lambda: crf_labels(probabilities, images, CrfConfig()), "257 classes", "at most 256")
    assert crf_marginals(probabilities, images, CrfConfig())[0].shape == (257, 2, 2)


def test_flipped_pictures():
    probabilities, images = of_sizes((20, 26))
    for method in ("exact", "lattice"):
        config = CrfConfig(method=method)
        (ours,) = crf_labels([probabilities[0].flip(1)], [images[0][::-1]], config)
        (upright,) = crf_labels([probabilities[0].flip(1)], [images[0][::-1].copy()], config)
        np.testing.assert_array_equal(ours, upright)
