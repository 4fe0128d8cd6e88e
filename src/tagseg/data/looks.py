"""What a view's look is: mirrored or not, colours jittered, blurred, solarised (METHOD §5.1), one view at a time.

Drawing is apart from applying, so that the same draws can be applied here, or to a whole batch on its device
(``augment.py``). Distributions are torchvision's: its transforms draw, in the order in which they would be applied.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from tagseg.config import ViewConfig

BLUR_TAPS = 9
"""Side of the Gaussian blur's kernel in pixels."""
BLUR_SIGMA = (0.1, 2.0)
"""Least and most standard deviation of the blur in pixels."""
SOLARISE_FROM = 128
"""Levels from this on are inverted by solarising."""
OPERATIONS = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
"""The operations of the colour jitter, numbered as torchvision numbers them."""


@dataclass(frozen=True)
class Look:
    """What is done to one view after it was cropped and resized, in the order of the fields.

    Attributes:
        flip: mirror it.
        order: the operations of the colour jitter that are applied, by number (0 brightness, 1 contrast, 2 saturation,
            3 hue), in their order; empty: no jitter.
        factors: what each of the four is applied with, in the order of the numbers; hue's is a share of its circle.
        blur: standard deviation of the Gaussian blur in pixels; 0: none.
        solarise: invert the levels from 128 on.
    """

    flip: bool = False
    order: tuple[int, ...] = ()
    factors: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 0.0)
    blur: float = 0.0
    solarise: bool = False


class LookDraws:
    """Draws looks from PyTorch's CPU generator, number for number as a ``v2.Compose`` of the transforms would."""

    def __init__(self, config: ViewConfig) -> None:
        self.config = config
        self.jitter = v2.ColorJitter(*config.jitter)
        self.blur = v2.GaussianBlur(BLUR_TAPS, BLUR_SIGMA)

    def draw(self) -> Look:
        """The next look."""
        config = self.config
        flip = _happens(config.flip)
        drawn = self.jitter.make_params([]) if _happens(config.jitter_probability) else None
        # a probability of 0 draws nothing: settings without blur keep their views whatever is added here
        blurred = bool(config.blur_probability) and _happens(config.blur_probability)
        blur = self.blur.make_params([])["sigma"][0] if blurred else 0.0
        solarise = bool(config.solarise_probability) and _happens(config.solarise_probability)
        if drawn is None:
            return Look(flip, blur=blur, solarise=solarise)
        given = [drawn[f"{name}_factor"] for name in ("brightness", "contrast", "saturation", "hue")]
        order = tuple(number for number in drawn["fn_idx"].tolist() if given[number] is not None)
        brightness, contrast, saturation, hue = (0.0 if factor is None else factor for factor in given)
        return Look(flip, order, (brightness, contrast, saturation, hue), blur, solarise)


def apply_look(view: UInt8[Tensor, "3 H W"], look: Look) -> UInt8[Tensor, "3 H W"]:
    """The view with its look, 0 to 255."""
    if look.flip:
        view = F.horizontal_flip(view)
    for number in look.order:
        view = OPERATIONS[number](view, look.factors[number])
    if look.blur:
        view = F.gaussian_blur(view, [BLUR_TAPS, BLUR_TAPS], [look.blur, look.blur])
    return F.solarize(view, SOLARISE_FROM) if look.solarise else view


def _happens(probability: float) -> bool:
    return bool(torch.rand(1) < probability)
