from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode, v2

from tagseg.data.augmentation import Augmentation, apply_augmentation
from tagseg.data.config import ViewConfig
from tagseg.data.seeds import seeded
from tagseg.data.views import Box, ViewParameters, ViewSampler, crop, crop_label, reduction

IMAGE = torch.randint(0, 256, (3, 50, 70), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
PLAIN: dict[str, Any] = {"flip": 0.0, "jitter_probability": 0.0}


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_two_views_and_local_crops_of_the_given_sizes():
    first, second, local = ViewSampler(ViewConfig(size=32, local_crops=3, local_size=16))(IMAGE, 0, 0, 0)
    assert first.shape == second.shape == (3, 32, 32)
    assert local.shape == (3, 3, 16, 16)
    assert first.dtype == local.dtype == torch.uint8
    assert not torch.equal(first, second)
    assert not torch.equal(local[0], local[1])


def test_no_local_crops_by_default():
    assert ViewSampler(ViewConfig(size=32))(IMAGE, 0)[2].shape == (0, 3, 96, 96)


def test_the_same_keys_give_the_same_views_and_others_other_ones():
    views = ViewSampler(ViewConfig(size=32, local_crops=1, blur_probability=0.5, solarise_probability=0.5))
    first = views(IMAGE, 0, 1, 2)
    torch.manual_seed(123)
    assert same(views(IMAGE, 0, 1, 2), first)
    for keys in ((1, 1, 2), (0, 2, 2), (0, 1, 3)):
        assert not same(views(IMAGE, *keys), first)


def test_drawing_views_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    ViewSampler(ViewConfig(size=32))(IMAGE, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_local_crops_do_not_change_the_two_views():
    without, with_local = (ViewSampler(ViewConfig(size=32, local_crops=n, local_size=16)) for n in (0, 2))
    assert same(without(IMAGE, 4)[:2], with_local(IMAGE, 4)[:2])


def test_a_crop_covers_the_given_share_of_the_image():
    """On a ramp from left to right, the range of values that a crop spans is its width in the image."""
    ramp = (torch.arange(200) * 1.25).to(torch.uint8).expand(3, 200, 200)
    views = ViewSampler(ViewConfig(size=64, scale=(0.25, 0.25), **PLAIN))
    spans = [(view.max().int() - view.min().int()).item() / 250 for key in range(20) for view in views(ramp, key)[:2]]
    assert min(spans) > 0.5 * (3 / 4) ** 0.5 - 0.05
    assert max(spans) < 0.5 * (4 / 3) ** 0.5 + 0.05


def test_flips_happen_as_often_as_asked():
    ramp = (torch.arange(64) * 4).to(torch.uint8).expand(3, 64, 64)
    for flip, share in ((0.0, 0), (1.0, 1)):
        views = ViewSampler(ViewConfig(size=32, flip=flip, jitter_probability=0.0))
        flipped = [bool(view[0, 0, 0] > view[0, 0, -1]) for key in range(10) for view in views(ramp, key)[:2]]
        assert sum(flipped) == share * 20


def test_jitter_changes_colours_only_when_drawn():
    grey = torch.full((3, 40, 40), 120, dtype=torch.uint8)
    off, on = (ViewSampler(ViewConfig(size=32, jitter_probability=p)) for p in (0.0, 1.0))
    assert torch.equal(off(grey, 0)[0], torch.full((3, 32, 32), 120, dtype=torch.uint8))
    assert not torch.equal(on(grey, 0)[0], off(grey, 0)[0])


def test_images_smaller_than_a_view_are_enlarged():
    assert ViewSampler(ViewConfig(size=32))(IMAGE[:, :2, :1], 0)[0].shape == (3, 32, 32)


def composed(config, size, scale):
    """A view as one chain of torchvision's transforms, which draw and apply in turn: what a view is by definition."""
    brightness, contrast, saturation, hue = config.jitter
    steps = [
        v2.RandomResizedCrop(size, scale=scale, interpolation=InterpolationMode.BICUBIC, antialias=True),
        v2.RandomHorizontalFlip(config.flip),
        v2.RandomApply([v2.ColorJitter(brightness, contrast, saturation, hue)], p=config.jitter_probability),
    ]
    if config.blur_probability:
        steps.append(v2.RandomApply([v2.GaussianBlur(9, (0.1, 2.0))], p=config.blur_probability))
    if config.solarise_probability:
        steps.append(v2.RandomSolarize(128, p=config.solarise_probability))
    return v2.Compose(steps)


CONFIGS = [
    ViewConfig(size=32),
    ViewConfig(size=48, local_crops=2, local_size=16, blur_probability=0.5, solarise_probability=0.5),
    ViewConfig(size=20, local_crops=1, local_size=12, flip=1.0, jitter=(0.8, 0.8, 0.8, 0.5), jitter_probability=1.0),
    ViewConfig(size=24, jitter=(0.4, 0.0, 0.2, 0.0), jitter_probability=0.8, blur_probability=1.0),
    ViewConfig(size=24, jitter=(0.0, 0.0, 0.0, 0.0), flip=0.0, solarise_probability=1.0),
]


@pytest.mark.parametrize("config", CONFIGS)
@given(st.integers(0, 2**40), st.integers(1, 90), st.integers(1, 90), st.booleans())
@settings(deadline=None, max_examples=40)
def test_views_are_those_of_torchvisions_transforms_to_the_bit(config, key, height, width, last):
    generator = torch.Generator().manual_seed(key)
    image = torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator)
    with seeded(key, 1):
        view, local = (
            composed(config, size, scale)
            for size, scale in ((config.size, config.scale), (config.local_size, config.local_scale))
        )
        expected = [view(image), view(image)] + [local(image) for _ in range(config.local_crops)]
    if last:  # as a decoder leaves it: colours beside each other
        image = image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    first, second, crops = ViewSampler(config)(image, key, 1)
    assert same([first, second, *crops], expected)


@given(st.integers(0, 400), st.integers(1, 400), st.sampled_from([1, 2, 4, 8]))
def test_a_reduced_box_moves_by_half_a_pixel_at_most_and_stays_inside(start, length, by):
    box = Box(start, 2 * start, length, length).reduced(by)
    for edge, reduced in ((start, box.top), (start + length, box.top + box.height), (2 * start, box.left)):
        assert abs(edge / by - reduced) <= 0.5
    assert box.top + box.height <= -(-(start + length) // by), "inside an image that ends with the box"


def test_an_image_is_reduced_as_far_as_every_view_allows():
    def draws(*sides):
        return [ViewParameters(Box(3, 5, height, width), side, Augmentation()) for height, width, side in sides]

    assert reduction(draws((512, 600, 64))) == 8
    assert reduction(draws((512, 500, 64))) == 4, "one side is too short"
    assert reduction(draws((512, 600, 64), (140, 140, 64))) == 2, "the other view is too small"
    assert reduction(draws((120, 120, 64))) == 1


def test_a_view_of_a_reduced_image_shows_the_same_part():
    """Squares of 4 pixels of one colour: reduced by 4 they are one pixel each, and nothing is lost."""
    small = torch.randint(0, 256, (3, 30, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    image = small.repeat_interleave(4, 1).repeat_interleave(4, 2)
    draw = ViewParameters(Box(8, 16, 64, 64), 16, Augmentation())
    assert torch.equal(crop(small, draw, 4), small[:, 2:18, 4:20])
    assert (crop(image, draw).float() - crop(small, draw, 4)).abs().mean() < 20, "bicubic is no box filter"


@settings(deadline=None, max_examples=30, derandomize=True)
@given(
    key=st.integers(0, 10_000), height=st.integers(40, 90), width=st.integers(40, 90), side=st.sampled_from([16, 48])
)
def test_a_label_is_cropped_and_flipped_as_its_view_is(key, height, width, side):
    """A photo that shows its mask as brightness: away from edges, both still say the same."""
    mask = torch.zeros((height, width), dtype=torch.uint8)
    mask[height // 3 :, width // 4 : width // 2] = 1
    mask[: height // 2, width // 2 :] = 2
    draw = ViewSampler(ViewConfig(size=side, jitter_probability=0.0)).draw((height, width), key)[0]
    view = apply_augmentation(crop((100 * mask).expand(3, -1, -1), draw), draw.augmentation)[0]
    label = crop_label(mask, draw)
    assert label.shape == (side, side)
    reach = 1 + -(-side // min(draw.box.height, draw.box.width))  # of an input pixel, in the view
    padded = torch.nn.functional.pad(label[None].float(), (reach,) * 4, mode="replicate")[0]
    around = padded.unfold(0, 2 * reach + 1, 1).unfold(1, 2 * reach + 1, 1).flatten(2)
    inside = (around == label.unsqueeze(-1)).all(-1)
    assert torch.equal((view[inside] / 100).round(), label[inside].float())


def test_labels_are_never_mixed():
    mask = torch.tensor([[0, 255], [255, 7]], dtype=torch.uint8).repeat_interleave(20, 0).repeat_interleave(20, 1)
    for key in range(20):
        draw = ViewSampler(ViewConfig(size=48)).draw((40, 40), key)[0]
        assert set(crop_label(mask, draw).unique().tolist()) <= {0, 7, 255}
