"""Image → two random views and, if wanted, small local crops (METHOD §5.1)."""

from __future__ import annotations

import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from tagseg.config import ViewConfig
from tagseg.data.seeds import seeded


class Views:
    """Draws the views of an image; the same keys give the same views.

    Views stay 8-bit: the network normalises them on its device, and PAR and the dense energy need the 8-bit image.
    """

    def __init__(self, config: ViewConfig) -> None:
        self.config = config
        self.view = _augmentation(config, config.size, config.scale)
        self.local = _augmentation(config, config.local_size, config.local_scale)

    def __call__(
        self, image: UInt8[Tensor, "3 H W"], *keys: int
    ) -> tuple[UInt8[Tensor, "3 S S"], UInt8[Tensor, "3 S S"], UInt8[Tensor, "L 3 s s"]]:
        """Two views of side S and L local crops of side s.

        Args:
            image: 0 to 255.
            keys: e.g. (seed, epoch, sample index).
        """
        with seeded(*keys):
            first, second = self.view(image), self.view(image)
            crops = [self.local(image) for _ in range(self.config.local_crops)]
        side = self.config.local_size
        return first, second, torch.stack(crops) if crops else image.new_zeros((0, 3, side, side))


def _augmentation(config: ViewConfig, size: int, scale: tuple[float, float]) -> v2.Compose:
    brightness, contrast, saturation, hue = config.jitter
    steps: list[torch.nn.Module] = [
        v2.RandomResizedCrop(size, scale=scale, interpolation=InterpolationMode.BICUBIC, antialias=True),
        v2.RandomHorizontalFlip(config.flip),
        v2.RandomApply([v2.ColorJitter(brightness, contrast, saturation, hue)], p=config.jitter_probability),
    ]
    if config.blur_probability:
        steps.append(v2.RandomApply([v2.GaussianBlur(9, (0.1, 2.0))], p=config.blur_probability))
    if config.solarise_probability:
        steps.append(v2.RandomSolarize(128, p=config.solarise_probability))
    return v2.Compose(steps)
