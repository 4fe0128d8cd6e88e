"""Augmentations of a batch against the same ones applied one view at a time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tagseg.data.augmentation import Augmentation, AugmentationSampler, apply_augmentation
from tagseg.data.batch_augmentation import AugmentationBatch, augment
from tagseg.data.config import ViewConfig
from tagseg.data.seeds import seeded


def random_views(count, side=24, seed=0):
    """Smooth in one half, noise in the other, with grey, black and white parts: where hue and clipping are delicate."""
    generator = torch.Generator().manual_seed(seed)
    views = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)
    views[..., : side // 2] = torch.linspace(0, 255, side).to(torch.uint8)[:, None]
    views[:, 1, :, : side // 4] //= 2
    views[:, :, 0], views[:, :, 1] = 0, 255
    return views


def worst(views: Tensor, augmentations: list[Augmentation]) -> int:
    """Greatest difference in levels between a batch at once and its views one by one."""
    expected = torch.stack(
        [apply_augmentation(view, augmentation) for view, augmentation in zip(views, augmentations, strict=True)]
    )
    augmented = augment(views, AugmentationBatch.of(augmentations))
    assert augmented.shape == expected.shape
    assert augmented.dtype == torch.uint8
    return int((augmented.int() - expected.int()).abs().max())


@pytest.mark.parametrize("number", range(4))
def test_each_operation_of_the_jitter(number):
    values = (-0.5, -0.1, -0.03, 0.0, 0.1, 0.5) if number == 3 else (0.0, 0.6, 0.9, 1.0, 1.1, 1.4)
    augmentations = []
    for value in values:
        factors = [1.0, 1.0, 1.0, 0.0]
        factors[number] = value
        brightness, contrast, saturation, hue = factors
        augmentations.append(Augmentation(order=(number,), factors=(brightness, contrast, saturation, hue)))
    assert worst(random_views(6), augmentations) <= 1


@pytest.mark.parametrize(
    "augmentations",
    [
        [Augmentation(), Augmentation(flip=True)],
        [Augmentation(blur=0.1), Augmentation(blur=1.1), Augmentation(), Augmentation(blur=2.0)],
        [Augmentation(), Augmentation(solarise=True)],
    ],
)
def test_flip_blur_and_solarise(augmentations):
    assert worst(random_views(len(augmentations)), augmentations) <= (
        1 if any(augmentation.blur for augmentation in augmentations) else 0
    )


@given(st.integers(0, 2**31))
@settings(deadline=None, max_examples=60)
def test_any_augmentation_that_is_drawn(seed):
    """Operations follow each other in every order. A level of difference before may be a few after them."""
    draws = AugmentationSampler(
        ViewConfig(jitter=(0.4, 0.4, 0.2, 0.1), jitter_probability=0.8, blur_probability=0.3, solarise_probability=0.3)
    )
    with seeded(seed):
        augmentations = [draws.draw() for _ in range(6)]
    views = random_views(6, seed=seed)
    before = views.clone()
    assert worst(views, augmentations) <= 3
    assert torch.equal(views, before)


def test_a_view_does_not_depend_on_its_neighbours():
    draws = AugmentationSampler(ViewConfig(jitter_probability=1.0, blur_probability=0.5))
    with seeded(0):
        augmentations = AugmentationBatch.of([draws.draw() for _ in range(5)])
    views = random_views(5)
    together = augment(views, augmentations)
    for i in range(5):
        assert torch.equal(augment(views[i : i + 1], augmentations.part(i, i + 1))[0], together[i])


def test_mixed_precision_changes_nothing():
    """In bfloat16 a level of 255 would be rounded to even numbers."""
    augmentations = AugmentationBatch.of([Augmentation(order=(2, 3, 1, 0), factors=(1.2, 0.8, 1.1, 0.05), blur=1.5)])
    plain = augment(random_views(1), augmentations)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(augment(random_views(1), augmentations), plain)


@pytest.mark.gpu
def test_on_a_gpu():
    draws = AugmentationSampler(ViewConfig(jitter_probability=0.8, blur_probability=0.5, solarise_probability=0.3))
    with seeded(0):
        augmentations = AugmentationBatch.of([draws.draw() for _ in range(16)])
    views = random_views(16)
    there = views.cuda()  # before waiting is an error: a copy from pageable memory waits
    torch.cuda.set_sync_debug_mode("error")
    try:
        augmented = augment(there, augmentations)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert (augmented.cpu().int() - augment(views, augmentations).int()).abs().max() <= 3
