"""PAR one neighbour at a time: what the plain form gives."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.fast.par import neighbour_weights, refine
from tagseg.fsr import par as plain
from tagseg.fsr.config import LabelConfig

DILATIONS = (1, 2, 4)


@pytest.fixture
def image():
    return torch.rand(2, 3, 6, 7, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("iterations", [1, 3])
def test_refinement_equals_the_plain_form_closely(image, iterations):
    config = LabelConfig(refine_iterations=iterations, refine_dilations=DILATIONS)
    maps = torch.rand(2, 4, 6, 7, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(refine(image, maps, config), plain.refine(image, maps, config), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("spatial_weight", [0.0, 0.01, 0.5])
def test_the_weights_of_a_pixel_sum_to_one_and_the_spatial_weight(image, spatial_weight):
    weights = neighbour_weights(image, LabelConfig(refine_spatial_weight=spatial_weight))
    assert weights.shape == (2, 48, 6, 7)
    assert weights.min() >= 0
    torch.testing.assert_close(weights.sum(1), torch.full((2, 6, 7), 1 + spatial_weight))


SETTINGS = {
    "as published": {},
    "one distance": {"refine_dilations": (3,), "refine_iterations": 2},
    "another weight": {"refine_spatial_weight": 0.7, "refine_iterations": 3},
    "another sharpness": {"refine_sharpness": 1.5},
}


def photo(kind):
    generator = torch.Generator().manual_seed(2)
    if kind == "random":
        return torch.rand(2, 3, 17, 30, generator=generator)
    if kind == "one colour":
        return torch.tensor([0.1, 0.7, 1.0]).view(1, 3, 1, 1).expand(2, 3, 17, 30).contiguous()
    return (torch.rand(2, 3, 17, 30, generator=generator) < 0.5).float()  # black and white per channel


@pytest.mark.parametrize("kind", ["random", "one colour", "two values"])
@pytest.mark.parametrize("changes", SETTINGS.values(), ids=SETTINGS)
def test_refinement_equals_the_plain_form(kind, changes):
    config = LabelConfig(**changes)
    maps = torch.rand(2, 5, 17, 30, generator=torch.Generator().manual_seed(3))
    refined = refine(photo(kind), maps, config)
    assert torch.isfinite(refined).all()
    torch.testing.assert_close(refined, plain.refine(photo(kind), maps, config), rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(
    seed=st.integers(0, 1000),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 20), st.integers(1, 20)),
    iterations=st.integers(1, 4),
    dilations=st.lists(st.integers(1, 30), min_size=1, max_size=4, unique=True),
    sharpness=st.floats(0.1, 2),
)
@torch.no_grad()
def test_without_gradient_it_equals_the_plain_form_on_random_images(seed, shape, iterations, dilations, sharpness):
    """As a step calls it: under ``no_grad``, whatever the maps' size and the neighbours' distances."""
    images, channels, height, width = shape
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(images, 3, height, width, generator=generator)
    maps = torch.rand(images, channels, height, width, generator=generator)
    config = LabelConfig(refine_iterations=iterations, refine_dilations=tuple(dilations), refine_sharpness=sharpness)
    refined = refine(image, maps.clone().requires_grad_(), config)
    assert not refined.requires_grad
    torch.testing.assert_close(refined, plain.refine(image, maps, config), rtol=1e-4, atol=1e-5)
