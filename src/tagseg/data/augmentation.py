"""Augmentation of one view: flip, colour jitter, blur, solarise (section 5 of docs/method.md).

Sampling is separate from applying, so that the same augmentations can be applied to one view here, or to a whole batch
on its device (``batch_augmentation.py``). Distributions are torchvision's: its transforms sample, in the order in which
they would be applied.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from tagseg.data.config import ViewConfig

BLUR_TAPS = 9
"""Side of the Gaussian blur's kernel in pixels."""
BLUR_SIGMA = (0.1, 2.0)
"""Least and most standard deviation of the blur in pixels."""
SOLARISE_FROM = 128
"""Solarising inverts this level and those above."""
OPERATIONS = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
"""The operations of the colour jitter, numbered as torchvision numbers them."""


@dataclass(frozen=True)
class Augmentation:
    """The augmentations of one view after cropping and resizing, in the order of the fields.

    Attributes:
        flip: horizontal flip.
        order: operations of the colour jitter (0 brightness, 1 contrast, 2 saturation, 3 hue) in the order of their
            application; empty: no jitter.
        factors: strength of operations 0 to 3; that of hue is a share of the colour circle.
        blur: standard deviation of the Gaussian blur in pixels; 0: none.
        solarise: invert levels of 128 and above.
    """

    flip: bool = False
    order: tuple[int, ...] = ()
    factors: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 0.0)
    blur: float = 0.0
    solarise: bool = False


class AugmentationSampler:
    """Samples augmentations with PyTorch's CPU generator, in the order in which a ``v2.Compose`` would."""

    def __init__(self, config: ViewConfig) -> None:
        self.config = config
        self.jitter = v2.ColorJitter(*config.jitter)
        self.blur = v2.GaussianBlur(BLUR_TAPS, BLUR_SIGMA)

    def draw(self) -> Augmentation:
        """The next augmentation."""
        config = self.config
        flip = _happens(config.flip)
        drawn = self.jitter.make_params([]) if _happens(config.jitter_probability) else None
        # a probability of 0 draws no number, so that the random draws of all else stay the same
        blurred = bool(config.blur_probability) and _happens(config.blur_probability)
        blur = self.blur.make_params([])["sigma"][0] if blurred else 0.0
        solarise = bool(config.solarise_probability) and _happens(config.solarise_probability)
        if drawn is None:
            return Augmentation(flip, blur=blur, solarise=solarise)
        factors = [drawn[f"{name}_factor"] for name in ("brightness", "contrast", "saturation", "hue")]
        order = tuple(number for number in drawn["fn_idx"].tolist() if factors[number] is not None)
        brightness, contrast, saturation, hue = (0.0 if factor is None else factor for factor in factors)
        return Augmentation(flip, order, (brightness, contrast, saturation, hue), blur, solarise)


def apply_augmentation(view: UInt8[Tensor, "3 H W"], augmentation: Augmentation) -> UInt8[Tensor, "3 H W"]:
    """The augmented view, 0 to 255."""
    if augmentation.flip:
        view = F.horizontal_flip(view)
    for number in augmentation.order:
        view = OPERATIONS[number](view, augmentation.factors[number])
    if augmentation.blur:
        view = F.gaussian_blur(view, [BLUR_TAPS, BLUR_TAPS], [augmentation.blur, augmentation.blur])
    return F.solarize(view, SOLARISE_FROM) if augmentation.solarise else view


def _happens(probability: float) -> bool:
    return bool(torch.rand(1) < probability)
