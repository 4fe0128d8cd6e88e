import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from tagseg.fsr.config import PartitionConfig
from tagseg.fsr.partition import (
    CERTAIN_BACKGROUND,
    CERTAIN_FOREGROUND,
    UNCERTAIN,
    by_cam,
    edge_strength,
    partition,
    present_activation,
)

GREY = torch.full((1, 3, 2, 2), 0.5)


def test_thresholds_belong_to_the_certain_regions():
    activation = torch.tensor([[[0.0, 0.2, 0.2001, 0.6999, 0.7, 1.0]]])
    expected = [CERTAIN_BACKGROUND, CERTAIN_BACKGROUND, UNCERTAIN, UNCERTAIN, CERTAIN_FOREGROUND, CERTAIN_FOREGROUND]
    assert by_cam(activation, PartitionConfig()).flatten().tolist() == expected


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.floats(0, 0.45), st.floats(0.5, 1))
def test_every_pixel_is_in_one_region_and_respects_its_thresholds(seed, low, high):
    generator = torch.Generator().manual_seed(seed)
    cam, tags = torch.rand(2, 3, 6, 5, generator=generator), torch.rand(2, 3, generator=generator).round()
    config = PartitionConfig(low=low, high=high)
    regions = partition(cam, tags, torch.rand(2, 3, 6, 5, generator=generator), config)
    activation = present_activation(cam, tags)
    assert set(regions.unique().tolist()) <= {CERTAIN_BACKGROUND, UNCERTAIN, CERTAIN_FOREGROUND}
    assert torch.equal(regions == CERTAIN_BACKGROUND, activation <= low)
    assert torch.equal(regions == CERTAIN_FOREGROUND, activation >= high)
    assert torch.equal(regions == UNCERTAIN, (activation > low) & (activation < high))


def test_absent_classes_do_not_count():
    cam = torch.tensor([0.9, 0.3]).view(1, 2, 1, 1).expand(1, 2, 2, 2)
    regions = partition(cam, torch.tensor([[0.0, 1.0]]), GREY, PartitionConfig())
    assert (regions == UNCERTAIN).all()


def test_an_image_without_tags_is_certain_background():
    regions = partition(torch.ones(1, 2, 2, 2), torch.zeros(1, 2), GREY, PartitionConfig())
    assert (regions == CERTAIN_BACKGROUND).all()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 1.0])
def test_the_edge_rule_calls_the_given_share_uncertain(share):
    image = torch.rand(3, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    config = PartitionConfig(rule="edge", edge_share=share)
    regions = partition(torch.rand(3, 2, 32, 48), torch.ones(3, 2), image, config)
    assert (regions == UNCERTAIN).sum((1, 2)).tolist() == [round(share * 32 * 48)] * 3


def test_the_edge_rule_chooses_the_surroundings_of_an_edge():
    image = torch.zeros(1, 3, 64, 64)
    image[..., 40:] = 1.0
    cam = torch.ones(1, 1, 64, 64)
    cam[..., :32] = 0.0
    regions = partition(cam, torch.ones(1, 1), image, PartitionConfig(rule="edge", edge_share=6 / 64))[0]
    assert (regions[:, 37:43] == UNCERTAIN).all(), "six columns around the edge between 39 and 40"
    assert (regions[:, :32] == CERTAIN_BACKGROUND).all()
    assert (regions[:, 43:] == CERTAIN_FOREGROUND).all()


def test_the_cam_rule_does_not_look_at_the_image():
    cam, tags = torch.rand(1, 2, 2, 2), torch.ones(1, 2)
    assert torch.equal(
        partition(cam, tags, GREY, PartitionConfig()), partition(cam, tags, torch.rand(1, 3, 2, 2), PartitionConfig())
    )


@pytest.mark.parametrize("size", [(40, 56), (17, 20), (3, 3), (1, 9)])
def test_edge_strength_is_sobels(size):
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(sum(size)))
    sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    luminance = (image * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
    kernels = torch.stack([sobel, sobel.T]).unsqueeze(1)
    gradient = F.conv2d(F.pad(luminance, (1, 1, 1, 1), mode="replicate"), kernels).norm(dim=1, keepdim=True)
    window = max(1, min(size) // 16) // 2 * 2 + 1
    smooth = F.avg_pool2d(gradient, window, stride=1, padding=window // 2, count_include_pad=False)
    torch.testing.assert_close(edge_strength(image), smooth.squeeze(1), rtol=1e-5, atol=1e-6)


def test_edge_strength_of_a_ramp_is_its_slope():
    ramp = torch.arange(16.0).expand(1, 3, 16, 16) / 100
    strength = edge_strength(ramp)[0]
    torch.testing.assert_close(strength[:, 1:-1], torch.full((16, 14), 8 / 100))
    assert edge_strength(torch.full((1, 3, 5, 7), 0.3)).max() < 1e-6
