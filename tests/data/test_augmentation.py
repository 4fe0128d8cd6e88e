"""Augmentations: drawn with the given probabilities and strengths, applied in their order."""

import torch
from torchvision.transforms.v2 import functional as F

from tagseg.data.augmentation import Augmentation, AugmentationSampler, apply_augmentation
from tagseg.data.config import ViewConfig
from tagseg.data.seeds import seeded

VIEW = torch.randint(0, 256, (3, 20, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def draw(count, **settings):
    draws = AugmentationSampler(ViewConfig(**settings))
    with seeded(0):
        return [draws.draw() for _ in range(count)]


def test_each_part_is_drawn_as_often_as_asked():
    augmentations = draw(400, flip=0.5, jitter_probability=0.8, blur_probability=0.2, solarise_probability=0.1)
    shares = [
        sum(map(bool, part)) / 400
        for part in zip(
            *(
                (augmentation.flip, augmentation.order, augmentation.blur, augmentation.solarise)
                for augmentation in augmentations
            ),
            strict=True,
        )
    ]
    assert torch.allclose(torch.tensor(shares), torch.tensor([0.5, 0.8, 0.2, 0.1]), atol=0.08)


def test_the_jitter_keeps_to_its_strengths_and_uses_every_order():
    augmentations = draw(400, jitter=(0.4, 0.3, 0.2, 0.1), jitter_probability=1.0)
    factors = torch.tensor([augmentation.factors for augmentation in augmentations])
    strengths, middle = torch.tensor([0.4, 0.3, 0.2, 0.1]), torch.tensor([1.0, 1.0, 1.0, 0.0])
    assert ((factors - middle).abs() <= strengths + 1e-6).all()
    assert (factors.std(0) > 0.4 * strengths).all()
    assert len({augmentation.order for augmentation in augmentations}) == 24


def test_an_operation_without_strength_is_left_out():
    augmentations = draw(20, jitter=(0.4, 0.0, 0.2, 0.0), jitter_probability=1.0)
    assert {augmentation.order for augmentation in augmentations} == {(0, 2), (2, 0)}


def test_no_augmentation_changes_nothing():
    assert torch.equal(apply_augmentation(VIEW, Augmentation()), VIEW)


def test_an_augmentation_is_applied_in_its_order():
    augmentation = Augmentation(flip=True, order=(3, 0), factors=(1.5, 1.0, 1.0, 0.2), blur=1.0, solarise=True)
    expected = F.adjust_brightness(F.adjust_hue(F.horizontal_flip(VIEW), 0.2), 1.5)
    expected = F.solarize(F.gaussian_blur(expected, [9, 9], [1.0, 1.0]), 128)
    assert torch.equal(apply_augmentation(VIEW, augmentation), expected)
