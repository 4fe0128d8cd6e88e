import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.pairwise.config import CrfConfig
from tagseg.pairwise.relevant import largest_shares, reach_of, relevant_classes

from .conftest import full_mean_field, full_messages, full_sum, photo, positions

WEIGHTS = st.sampled_from([0.0, 0.3, 1.0, 4.0, 20.0])
SIZES = st.tuples(st.integers(1, 7), st.integers(1, 7))


def bound(image, config):
    """W of an image, from the bilateral kernel's exact normaliser."""
    place = positions(*image.shape[1:]) / config.bilateral_sigma_xy
    points = torch.cat([place, image.double().flatten(1).T / config.bilateral_sigma_rgb], dim=1)
    norm = full_sum(points, torch.ones(len(points), 1)).rsqrt()
    return reach_of(config, tuple(image.shape[1:]), float(norm.max()), float(norm.min()))


def config_of(gaussian, bilateral, sigma):
    return CrfConfig(
        gaussian_weight=gaussian, bilateral_weight=bilateral, gaussian_sigma=sigma, bilateral_sigma_rgb=30.0,
        bilateral_sigma_xy=9.0, iterations=6,
    )  # fmt: skip


def some_rare(seed, classes, size):
    """Each pixel has a class of its own liking among the first; the others' shares are anything down to 1e-5."""
    generator = torch.Generator().manual_seed(seed)
    odds = torch.rand(classes, *size, generator=generator).double()
    exponents = 5 * torch.rand(classes, 1, 1, generator=generator).double()
    exponents[0] = 0
    odds = odds * 10**-exponents
    return odds / odds.sum(dim=0)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), SIZES, WEIGHTS, WEIGHTS, st.floats(0.3, 4))
def test_reach_bounds_what_all_pixels_together_can_send_to_one(seed, size, gaussian, bilateral, sigma):
    config, image = config_of(gaussian, bilateral, sigma), photo(seed, size[0], size[1], noise=20.0)
    received = full_messages(image, config).sum(dim=1)
    assert received.max() <= bound(image, config) * (1 + 1e-3) + 1e-9, "but for what lies beyond four widths"


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10_000), SIZES, st.integers(2, 8), WEIGHTS, WEIGHTS, st.floats(0.3, 4))
def test_a_class_left_out_never_wins_a_pixel(seed, size, classes, gaussian, bilateral, sigma):
    """The theorem: mean field with every class, in float64, keeps it below e · r_k of the best one throughout."""
    config, image = config_of(gaussian, bilateral, sigma), photo(seed, size[0], size[1], noise=20.0)
    probabilities = some_rare(seed, classes, size)
    shares = largest_shares(probabilities.flatten(1)[None])
    keep = relevant_classes(shares, bound(image, config), negligible=0.1)
    for q in full_mean_field(probabilities, image, config):
        best = q.amax(dim=0)
        limit = math.e * shares[~keep, None, None] * best
        assert (q[~keep] <= limit * (1 + 1e-6)).all()
        assert keep[q.argmax(dim=0).unique()].all()


def everyones_second_choice(share, parties=8, size=(6, 8)):
    """In each pixel one of several classes is certain; the last class has a share of it everywhere, but no pixel."""
    place = torch.arange(size[0] * size[1])
    odds = torch.full((parties + 1, *size), 1e-6).double()
    odds.flatten(1)[place % parties, place] = 1.0
    odds[-1] = share
    return odds / odds.sum(dim=0)


@pytest.mark.parametrize(("share", "parties", "weight"), [(0.4, 8, 20.0), (0.09, 48, 100.0), (0.05, 48, 300.0)])
def test_a_class_that_is_nowhere_the_best_can_win_everywhere_and_is_kept(share, parties, weight):
    """Why a bound is needed, and one that falls with the weight: leaving out what looks negligible would be wrong."""
    config, image = config_of(0.0, weight, 1.0), torch.full((3, 6, 8), 100, dtype=torch.uint8)
    probabilities = everyones_second_choice(share, parties)
    assert (probabilities.argmax(dim=0) != parties).all()
    assert (full_mean_field(probabilities, image, config)[-1].argmax(dim=0) == parties).all()
    shares = largest_shares(probabilities.flatten(1)[None])
    assert relevant_classes(shares, bound(image, config), negligible=0.1)[parties]


@pytest.mark.parametrize("weight", [4.0, 20.0, 100.0])
def test_just_below_the_limit_it_stays_below_e_times_its_share(weight):
    config, image = config_of(1.0, weight, 1.0), torch.full((3, 6, 8), 100, dtype=torch.uint8)
    reach = bound(image, config)
    share = 0.999 / (math.e * reach)
    probabilities = everyones_second_choice(share)
    shares = largest_shares(probabilities.flatten(1)[None])
    assert shares[8].item() == pytest.approx(share)
    assert not relevant_classes(shares, reach, negligible=0.1)[8]
    for q in full_mean_field(probabilities, image, config):
        assert (q[8] <= math.e * share * q.amax(dim=0)).all()


def test_shares_are_relative_to_the_best_of_each_pixel():
    planes = torch.tensor([[0.5, 0.9], [0.4, 0.05], [0.1, 0.05]])
    assert largest_shares(planes[None]).tolist() == pytest.approx([1, 0.8, 0.2])
    batch = torch.stack([planes, planes.flip(0)])
    assert largest_shares(batch).tolist() == pytest.approx([1, 0.8, 1]), "the largest of all images"


def test_the_limit_is_the_smaller_of_negligible_and_what_the_reach_allows():
    shares = torch.tensor([1.0, 0.05, 1e-3, 1e-5, 0.0])
    assert relevant_classes(shares, 5.0, 1e-2).tolist() == [True, True, False, False, False]
    assert relevant_classes(shares, 5.0, 1e-4).tolist() == [True, True, True, False, False]
    assert relevant_classes(shares, 5.0, 0.1).tolist() == [True, False, False, False, False]
    assert relevant_classes(shares, 1e4, 0.1).tolist() == [True, True, True, False, False]


def test_zero_keeps_all_classes_even_impossible_ones():
    assert relevant_classes(torch.tensor([1.0, 0.0]), 5.0, 0.0).all()


def test_without_any_message_only_negligible_counts():
    shares = torch.tensor([1.0, 0.09, 0.11])
    config = config_of(0.0, 0.0, 1.0)
    assert reach_of(config, (3, 4), 1.0, 1.0) == 0
    assert relevant_classes(shares, 0.0, 0.1).tolist() == [True, False, True]
