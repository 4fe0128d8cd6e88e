"""The compiled loops do what the plain form does."""

import numpy as np
import pytest
import torch

from tagseg.fast import mean_field as module
from tagseg.fast.mean_field import cpu_mean_field
from tagseg.fast.workspace import Workspace
from tagseg.pairwise.config import CrfConfig
from tagseg.pairwise.mean_field import mean_field

from ..pairwise.conftest import photo, soft, with_rare


def both(probabilities, image, config):
    """Marginals of the loops and of the plain form, and what the loops found."""
    marginals = cpu_mean_field(probabilities.numpy(), image.permute(1, 2, 0).contiguous().numpy(), config)
    planes = torch.from_numpy(marginals.planes(probabilities.flatten(1).numpy())).view_as(probabilities)
    return planes, mean_field(probabilities[None], image[None].float(), config)[0], marginals


def assert_equal_the_plain_form(probabilities, image, config=None):
    ours, plain, marginals = both(probabilities, image, config or CrfConfig())
    torch.testing.assert_close(ours, plain, rtol=0, atol=1e-4)
    labels = torch.from_numpy(marginals.labels()).view(probabilities.shape[1:])
    assert (labels == plain.argmax(dim=0)).double().mean() >= 0.999
    assert torch.isfinite(ours).all()
    assert ours.min() >= 0
    torch.testing.assert_close(ours.sum(dim=0), torch.ones(probabilities.shape[1:]), rtol=0, atol=1e-5)
    return marginals


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (2, 2), (5, 64), (3, 65), (33, 65), (70, 130)])
def test_images_of_any_size(size):
    """Rows are smoothed some pixels at a time."""
    assert_equal_the_plain_form(soft(0, 5, *size), photo(0, *size))


@pytest.mark.parametrize("classes", [1, 2, 7, 8, 9, 16, 21, 30])
def test_any_number_of_classes(classes):
    marginals = assert_equal_the_plain_form(
        soft(classes, classes, 20, 31, sharpness=1.0), photo(1, 20, 31), CrfConfig(negligible=0.0)
    )
    assert len(marginals.classes) == classes


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 1.1, 2.0, 3.3, 40.0])
def test_any_width_of_the_position_kernel(sigma):
    """Even and odd reaches, and some that are longer than the image."""
    assert_equal_the_plain_form(soft(2, 4, 21, 34), photo(2, 21, 34), CrfConfig(gaussian_sigma=sigma))


@pytest.mark.parametrize(
    "changes",
    [
        {"gaussian_weight": 0.0},
        {"bilateral_weight": 0.0},
        {"gaussian_weight": 0.0, "bilateral_weight": 0.0},
        {"bilateral_sigma_xy": 21.3, "bilateral_sigma_rgb": 33.7},
        {"iterations": 0},
        {"iterations": 1},
        {"iterations": 4},
    ],
    ids=str,
)
def test_other_kernels_and_iterations(changes):
    assert_equal_the_plain_form(soft(3, 4, 21, 34), photo(3, 21, 34), CrfConfig(**changes))


@pytest.mark.parametrize("kernel", ["gaussian_weight", "bilateral_weight"])
@pytest.mark.parametrize("weight", [58.0, 62.0, 200.0, 1e4])
def test_messages_whose_exponential_would_overflow(kernel, weight):
    """float32 ends at exp(88)."""
    assert_equal_the_plain_form(soft(4, 4, 21, 34), photo(4, 21, 34), CrfConfig(**{kernel: weight}))


def test_large_messages_over_classes_left_out():
    probabilities = with_rare(soft(4, 4, 21, 34), 5, share=1e-6)
    marginals = assert_equal_the_plain_form(probabilities, photo(4, 21, 34), CrfConfig(bilateral_weight=100.0))
    assert len(marginals.classes) < 9


def test_classes_left_out():
    probabilities = with_rare(soft(5, 5, 33, 40), 16)
    ours, plain, marginals = both(probabilities, photo(5, 33, 40), CrfConfig())
    assert marginals.classes.tolist() == list(range(5))
    torch.testing.assert_close(ours[5:].sum(dim=0), torch.from_numpy(marginals.rest).view(33, 40))
    torch.testing.assert_close(ours[5:], plain[5:], rtol=0.05, atol=1e-8)
    assert_equal_the_plain_form(probabilities, photo(5, 33, 40))


def test_names_of_the_classes_that_remain():
    """Labels are numbers of all classes, not of those that were filtered."""
    probabilities = with_rare(soft(6, 4, 33, 40), 6).roll(3, dims=0)
    marginals = assert_equal_the_plain_form(probabilities, photo(6, 33, 40))
    assert marginals.classes.tolist() == [3, 4, 5, 6]
    assert set(np.unique(marginals.labels())) <= {3, 4, 5, 6}


def test_leaving_classes_out_changes_no_label():
    probabilities, image = with_rare(soft(7, 5, 60, 70), 16), photo(7, 60, 70)
    few, all_ = (both(probabilities, image, CrfConfig(negligible=n))[2] for n in (1e-3, 0.0))
    assert len(few.classes) <= 5
    assert len(all_.classes) == 21
    np.testing.assert_array_equal(few.labels(), all_.labels())
    assert len(np.unique(all_.labels())) >= 3, "the labels are not all alike"


def test_certain_pixels():
    """Probabilities of 0 and 1, as a network in half precision gives them."""
    sure = soft(8, 4, 33, 40).argmax(dim=0)
    probabilities = torch.nn.functional.one_hot(sure, 4).permute(2, 0, 1).float()
    assert_equal_the_plain_form(probabilities, photo(8, 33, 40))


@pytest.mark.parametrize("colour", [0, 255])
def test_an_image_of_one_colour(colour):
    assert_equal_the_plain_form(soft(9, 3, 20, 20), torch.full((3, 20, 20), colour, dtype=torch.uint8))


def test_colours_as_different_as_can_be():
    image = torch.randint(0, 256, (3, 30, 40), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    assert_equal_the_plain_form(soft(10, 4, 30, 40), image)


def test_planes_leave_the_probabilities_as_they_were():
    probabilities, image = with_rare(soft(11, 3, 12, 15), 2), photo(11, 12, 15)
    before = probabilities.clone()
    both(probabilities, image, CrfConfig())
    assert torch.equal(probabilities, before)


@pytest.mark.parametrize("seed", range(3))
def test_pixels_on_the_border_of_two_simplices(seed):
    """Whole pixels and colours over round widths: rounding decides which corners there are, and a few pixels differ."""
    config = CrfConfig(bilateral_sigma_xy=20.0, bilateral_sigma_rgb=30.0)
    ours, plain, _ = both(soft(seed, 4, 21, 34), photo(seed, 21, 34), config)
    difference = (ours - plain).abs()
    assert difference.max() <= 1e-2
    assert difference.mean() <= 2e-4
    assert (ours.argmax(dim=0) == plain.argmax(dim=0)).double().mean() >= 0.998


def test_a_workspace_can_be_used_for_one_image_after_the_other():
    workspace = Workspace()
    for classes, height, width in [(3, 20, 30), (9, 7, 5), (1, 1, 1), (21, 33, 40), (3, 20, 30)]:
        probabilities = soft(12, classes, height, width).numpy()
        image = photo(12, height, width).permute(1, 2, 0).contiguous().numpy()
        config = CrfConfig(negligible=0.0)
        marginals, alone = (
            cpu_mean_field(probabilities, image, config, workspace),
            cpu_mean_field(probabilities, image, config),
        )
        np.testing.assert_array_equal(marginals.q, alone.q)
        np.testing.assert_array_equal(marginals.labels(), alone.labels())


def test_labels_and_planes_outlive_the_workspace():
    workspace, probabilities = Workspace(), soft(13, 4, 20, 30)
    image = photo(13, 20, 30).permute(1, 2, 0).contiguous().numpy()
    marginals = cpu_mean_field(probabilities.numpy(), image, CrfConfig(), workspace)
    results = marginals.labels(), marginals.planes(probabilities.flatten(1).numpy())
    before = [result.copy() for result in results]
    cpu_mean_field(soft(14, 4, 20, 30).numpy(), image[::-1].copy(), CrfConfig(), workspace)
    for result, expected in zip(results, before, strict=True):
        np.testing.assert_array_equal(result, expected)


def test_the_exponential_to_the_rounding_of_its_argument():
    x = np.concatenate([np.linspace(-59.9, 80, 20_001), np.linspace(-1, 1, 2001)]).astype(np.float32)
    ours, exact = np.array([module._exp(value) for value in x], np.float64), np.exp(x.astype(np.float64))
    assert (np.abs(ours / exact - 1) <= 1.2e-7 * (2 + np.abs(x))).all()
    assert module._exp(np.float32(-61)) == 0
