from dataclasses import replace

import pytest
import torch

from tagseg.pairwise import mean_field as module
from tagseg.pairwise.bilateral import MOST_EXACT
from tagseg.pairwise.config import CrfConfig
from tagseg.pairwise.mean_field import mean_field

from .conftest import full_mean_field, photo, soft, with_rare

EXACT = CrfConfig(method="exact")
METHODS = pytest.mark.parametrize("method", ["exact", "lattice"])


def case(seed=0, classes=4, height=12, width=15):
    return soft(seed, classes, height, width), photo(seed, height, width)


def run(probabilities, image, config):
    return mean_field(probabilities[None], image[None].float(), config)[0]


@pytest.fixture
def filtered(monkeypatch):
    """Numbers of classes that were filtered, and of all, of each run."""
    counts = []
    original = module.relevant_classes

    def watched(*arguments):
        keep = original(*arguments)
        counts.append((int(keep.sum()), len(keep)))
        return keep

    monkeypatch.setattr(module, "relevant_classes", watched)
    return counts


def assert_equals_full_matrices(pair, config):
    """To float32's rounding of the kernels' exponents, which ten iterations enlarge where two classes are even."""
    probabilities, image = pair
    difference = run(probabilities, image, config).double() - full_mean_field(probabilities, image, config)[-1]
    assert difference.abs().max() <= 2e-4
    assert difference.abs().mean() <= 5e-6


@pytest.mark.parametrize("negligible", [0.0, 1e-3])
@pytest.mark.parametrize(
    ("classes", "height", "width"), [(4, 12, 15), (5, 12, 15), (2, 1, 20), (3, 9, 1), (1, 4, 4), (3, 1, 1)]
)
def test_exact_equals_mean_field_by_full_matrices(classes, height, width, negligible):
    assert_equals_full_matrices(case(classes, classes, height, width), replace(EXACT, negligible=negligible))


@pytest.mark.parametrize(
    "changes",
    [
        {"gaussian_weight": 0.0},
        {"bilateral_weight": 0.0},
        {"gaussian_weight": 5.0, "gaussian_sigma": 3.0},
        {"bilateral_sigma_xy": 5.0, "bilateral_sigma_rgb": 40.0},
        {"bilateral_weight": 200.0},
        {"iterations": 1},
        {"iterations": 3},
    ],
    ids=str,
)
def test_other_kernels_and_iterations(changes):
    assert_equals_full_matrices(case(7), replace(EXACT, **changes))


@METHODS
@pytest.mark.parametrize("negligible", [0.0, 1e-3])
def test_marginals_are_probabilities(method, negligible):
    probabilities, image = case()
    q = run(with_rare(probabilities, 6), image, CrfConfig(method=method, negligible=negligible))
    assert q.shape == (10, 12, 15)
    assert q.min() >= 0
    torch.testing.assert_close(q.sum(dim=0), torch.ones(12, 15), rtol=0, atol=1e-5)


@METHODS
def test_without_iterations_the_probabilities_are_as_before(method):
    probabilities, image = case()
    q = run(with_rare(probabilities, 3), image, CrfConfig(method=method, iterations=0))
    torch.testing.assert_close(q, with_rare(probabilities, 3))


@METHODS
def test_without_weights_as_well(method):
    probabilities, image = case()
    config = CrfConfig(method=method, gaussian_weight=0.0, bilateral_weight=0.0, negligible=0.0)
    torch.testing.assert_close(run(probabilities, image, config), probabilities)


@METHODS
def test_leaving_classes_out_changes_no_label(method, filtered):
    probabilities, image = case(1, 5, 40, 50)
    probabilities = with_rare(probabilities, 15)
    few, all_ = (run(probabilities, image, CrfConfig(method=method, negligible=n)) for n in (1e-3, 0.0))
    (kept, _), (everything, total) = filtered
    assert kept <= 5 < total == everything == 20, "the rare ones were left out, and only in the first run"
    assert torch.equal(few.argmax(dim=0), all_.argmax(dim=0))
    assert (few - all_).abs().max() <= 1e-3
    assert len(all_.argmax(dim=0).unique()) >= 3, "the labels are not all alike"


def test_the_classes_left_out_share_what_they_have_as_they_did(filtered):
    probabilities, image = case(2, 3)
    everything = with_rare(probabilities, 4)
    q = run(everything, image, EXACT)
    assert filtered == [(3, 7)]
    torch.testing.assert_close(q[3:] / q[3:].sum(dim=0), everything[3:] / everything[3:].sum(dim=0))


def test_an_impossible_class_stays_impossible_or_nearly():
    probabilities, image = case()
    probabilities = torch.cat([probabilities, torch.zeros(1, 12, 15)])
    for negligible in (0.0, 1e-3):
        q = run(probabilities, image, CrfConfig(method="exact", negligible=negligible))
        assert torch.isfinite(q).all()
        assert q[4].max() <= 1e-6


@METHODS
def test_certainty_of_one_pixel_is_overruled_by_all_others(method):
    """A probability of 0 counts as 1e-10, so that the logarithm does not forbid the class."""
    probabilities = torch.zeros(2, 12, 12)
    probabilities[0] = 1.0
    probabilities[:, 5, 5] = torch.tensor([0.0, 1.0])
    image = torch.full((3, 12, 12), 80, dtype=torch.uint8)
    config = CrfConfig(method=method, bilateral_weight=40.0)
    assert (run(probabilities, image, config).argmax(dim=0) == 0).all()


@METHODS
def test_images_of_a_batch_do_not_mix(method):
    pairs = [case(seed) for seed in range(3)]
    probabilities, images = (torch.stack(x) for x in zip(*pairs, strict=True))
    config = CrfConfig(method=method, negligible=0.0)
    together = mean_field(probabilities, images.float(), config)
    for b, (planes, image) in enumerate(pairs):
        torch.testing.assert_close(together[b], run(planes, image, config), rtol=0, atol=1e-5)


def test_auto_is_exact_for_small_images_and_the_lattice_for_large_ones(monkeypatch):
    probabilities, image = case()
    exact, lattice = (run(probabilities, image, CrfConfig(method=method)) for method in ("exact", "lattice"))
    assert not torch.equal(exact, lattice)
    assert torch.equal(run(probabilities, image, CrfConfig(method="auto")), exact)
    monkeypatch.setitem(MOST_EXACT, "cpu", 100)
    assert torch.equal(run(probabilities, image, CrfConfig(method="auto")), lattice)


def test_half_precision_counts_as_float32():
    probabilities, image = case()
    q = run(probabilities.half(), image, EXACT)
    assert q.dtype == torch.float32
    torch.testing.assert_close(q, run(probabilities.half().float(), image, EXACT))


def test_autocast_does_not_reach_it():
    probabilities, image = case()
    configs = CrfConfig(method="exact"), CrfConfig(method="lattice")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = [run(probabilities, image, config) for config in configs]
    for config, q in zip(configs, inside, strict=True):
        torch.testing.assert_close(q, run(probabilities, image, config))
