"""PAR, plain and fast; ``tests/fast/test_par.py`` compares both."""

import math

import pytest
import torch

from tagseg.fast import par as fast
from tagseg.fsr import par as plain
from tagseg.fsr.config import LabelConfig
from tagseg.fsr.par import neighbours, position_weights

DILATIONS = (1, 2, 4)
FORMS = {"plain": plain.refine, "fast": fast.refine}


@pytest.fixture(params=FORMS.values(), ids=list(FORMS))
def refine(request):
    return request.param


def settings(iterations, dilations, **others):
    return LabelConfig(refine_iterations=iterations, refine_dilations=dilations, **others)


@pytest.fixture
def image():
    return torch.rand(2, 3, 6, 7, generator=torch.Generator().manual_seed(0))


def pixel_by_pixel(image, maps, iterations, dilations, spatial_weight=0.01, sharpness=0.3):
    """Section 6 of docs/method.md pixel by pixel for one image, in float64."""
    image, maps = image.double(), maps.double()
    _, height, width = image.shape
    offsets = [(dy * d, dx * d) for d in dilations for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
    distances = torch.tensor([math.hypot(*offset) for offset in offsets], dtype=torch.float64)
    position = torch.softmax(-((distances / (distances.std() + 1e-8) / sharpness) ** 2), 0)
    for _ in range(iterations):
        result = torch.zeros_like(maps)
        for y in range(height):
            for x in range(width):
                where = [(min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)) for dy, dx in offsets]
                colours = torch.stack([image[:, v, u] for v, u in where])  # (J, 3)
                spread = colours.std(dim=0) + 1e-8
                affinity = -(((colours - image[:, y, x]).abs() / spread / sharpness) ** 2).mean(1)
                weights = torch.softmax(affinity, 0) + spatial_weight * position
                result[:, y, x] = sum(w * maps[:, v, u] for w, (v, u) in zip(weights, where, strict=True))
        maps = result
    return maps


@pytest.mark.parametrize("iterations", [1, 3])
def test_refinement_equals_a_loop_over_pixels(image, iterations, refine):
    maps = torch.rand(2, 4, 6, 7, generator=torch.Generator().manual_seed(1))
    refined = refine(image, maps, settings(iterations, DILATIONS))
    for index in range(2):
        expected = pixel_by_pixel(image[index], maps[index], iterations, DILATIONS).float()
        torch.testing.assert_close(refined[index], expected, rtol=1e-4, atol=1e-5)


def test_no_iteration_changes_nothing(image, refine):
    maps = torch.rand(2, 1, 6, 7)
    assert torch.equal(refine(image, maps, settings(0, DILATIONS)), maps)


def test_the_weights_of_positions_sum_to_one_and_fall_with_the_distance():
    weights = position_weights((1, 2, 4), 0.3).view(3, 8)
    assert weights.sum().item() == pytest.approx(1)
    assert weights[0, 1] > weights[0, 0] > weights[1, 1] > weights[2, 1], "straight before across, near before far"


def test_a_flat_image_averages_its_neighbours(refine):
    maps = torch.rand(1, 1, 5, 5)
    refined = refine(torch.full((1, 3, 5, 5), 0.4), maps, settings(1, (1,), refine_spatial_weight=0.0))
    expected = (maps[0, 0, 1:4, 1:4].sum() - maps[0, 0, 2, 2]) / 8
    torch.testing.assert_close(refined[0, 0, 2, 2], expected)


def test_maps_stop_at_an_edge_of_the_image(refine):
    image = torch.zeros(1, 3, 8, 8)
    image[..., 4:] = 1.0
    maps = torch.zeros(1, 1, 8, 8)
    maps[..., :2] = 1.0
    refined = refine(image, maps, settings(10, (1, 2), refine_spatial_weight=0.0))
    assert refined[..., 3].min() > 0.1, "it flows along like colour"
    assert refined[..., 4:].max() < 0.01, "and not across"


def test_channels_do_not_mix(image, refine):
    maps = torch.rand(2, 3, 6, 7)
    together = refine(image, maps, settings(2, DILATIONS))
    for channel in range(3):
        alone = refine(image, maps[:, channel : channel + 1], settings(2, DILATIONS))
        torch.testing.assert_close(together[:, channel : channel + 1], alone)


def test_neighbours_repeat_the_edge():
    first = next(neighbours(torch.arange(6.0).view(1, 1, 2, 3), (1,)))
    assert first[0, 0].tolist() == [[0, 0, 1], [0, 0, 1]], "up and to the left"


def test_what_is_refined_is_not_changed(image, refine):
    maps = torch.rand(2, 3, 6, 7)
    before = maps.clone()
    refine(image, maps, settings(2, DILATIONS))
    assert torch.equal(maps, before)
