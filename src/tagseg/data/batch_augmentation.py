"""Equals ``augmentation.apply_augmentation``, vectorised over the views of a batch, on any device.

Every operation rounds to 8 bits as torchvision's does, so a view differs from the plain one by at most a level, where a
device sums in another order. Nothing here waits for a GPU: an ``AugmentationBatch`` stays on the CPU, where the views
of each operation are selected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional as F

from tagseg.data.augmentation import BLUR_TAPS, SOLARISE_FROM, Augmentation
from tagseg.data.transfer import send

Levels = Float[Tensor, "n 3 H W"]
"""Views as float32, 0 to 255."""
Factors = Float[Tensor, "n 1 1 1"]
"""Strength of an operation for each view."""
Change = Callable[[Levels, Factors], Levels]
"""An operation."""


@dataclass
class AugmentationBatch:
    """The augmentations of N views; ``Augmentation`` explains the fields.

    Attributes:
        flip: (N,) bool.
        order: (N, 4) int64, operations of the colour jitter in the order of application, -1 for none.
        factors: (N, 4) float32, strength of operations 0 to 3.
        blur: (N,) float32, 0 for none.
        solarise: (N,) bool.
    """

    flip: Tensor
    order: Tensor
    factors: Tensor
    blur: Tensor
    solarise: Tensor

    @classmethod
    def of(cls, augmentations: Sequence[Augmentation]) -> AugmentationBatch:
        """From the augmentations of single views."""
        return cls(
            torch.tensor([augmentation.flip for augmentation in augmentations], dtype=torch.bool),
            torch.tensor(
                [augmentation.order + (-1,) * (4 - len(augmentation.order)) for augmentation in augmentations]
            ).reshape(-1, 4),
            torch.tensor([augmentation.factors for augmentation in augmentations], dtype=torch.float32).reshape(-1, 4),
            torch.tensor([augmentation.blur for augmentation in augmentations], dtype=torch.float32),
            torch.tensor([augmentation.solarise for augmentation in augmentations], dtype=torch.bool),
        )

    def part(self, first: int, end: int) -> AugmentationBatch:
        """The augmentations of some of the views."""
        return AugmentationBatch(*(field[first:end] for field in vars(self).values()))

    def at(self, places: Int64[Tensor, " n"]) -> AugmentationBatch:
        """The augmentations of the views at these places."""
        return AugmentationBatch(*(field[places] for field in vars(self).values()))

    def to(self, device: object, **options: object) -> AugmentationBatch:
        """Itself: it stays on the CPU, where it is read without waiting for a GPU."""
        return self


def augment(views: UInt8[Tensor, "N 3 H W"], augmentations: AugmentationBatch) -> UInt8[Tensor, "N 3 H W"]:
    """The augmented views, 0 to 255, on the views' device; the argument is not changed."""
    flip = send(augmentations.flip, views.device).view(-1, 1, 1, 1)
    views = torch.where(flip, views.flip(-1), views)
    for change, rows, factor in _changes(augmentations, views.device):
        # Values are clipped to 0 to 255 and truncated.
        views[rows] = change(views[rows].float(), factor).clamp_(0, 255).to(torch.uint8)
    return views


def _changes(
    augmentations: AugmentationBatch, device: torch.device
) -> Iterator[tuple[Change, Int64[Tensor, " _n"], Float[Tensor, "_n 1 1 1"]]]:
    """The operations in their order, each with its views and their factors; all of these in one transfer each."""
    order, factors, blur = augmentations.order, augmentations.factors, augmentations.blur
    jitter: tuple[Change, ...] = (_brightness, _contrast, _saturation, _hue)
    every = [
        (change, order[:, position] == number, factors[:, number])
        for position in range(order.shape[1])
        for number, change in enumerate(jitter)
    ]
    every += [(_blur, blur > 0, blur), (_solarise, augmentations.solarise, blur)]  # solarising has no strength
    some = [(change, which.nonzero()[:, 0], values) for change, which, values in every if which.any()]
    if not some:
        return
    counts = [len(rows) for _, rows, _ in some]
    places = send(torch.cat([rows for _, rows, _ in some]), device).split(counts)
    strengths = send(torch.cat([values[rows] for _, rows, values in some]), device).view(-1, 1, 1, 1).split(counts)
    yield from zip((change for change, _, _ in some), places, strengths, strict=True)


def _brightness(views: Levels, factor: Factors) -> Levels:
    return views * factor


def _contrast(views: Levels, factor: Factors) -> Levels:
    return _blend(views, _grey(views).mean((1, 2, 3), keepdim=True), factor)


def _saturation(views: Levels, factor: Factors) -> Levels:
    return _blend(views, _grey(views), factor)


def _blend(views: Levels, other: Float[Tensor, "n 1 _h _w"], factor: Factors) -> Levels:
    return torch.addcmul(views * factor, other, 1 - factor)


def _grey(views: Levels) -> Float[Tensor, "n 1 H W"]:
    red, green, blue = views.split(1, 1)
    return red.mul(0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114).floor_()


def _hue(views: Levels, factor: Factors) -> Levels:
    """Turn the hue by a share of the colour circle: RGB → HSV → RGB without the usual table of six cases.

    Hue counts sixths of the circle from red. Each channel is the colour's maximum minus its chroma times a trapezium
    function of the distance of the hue from the channel's primary.
    """
    red, green, blue = views.split(1, 1)
    low, high = views.aminmax(dim=1, keepdim=True)
    chroma = high - low
    divisor = chroma.clamp(min=1)  # levels are integers: a chroma below 1 is 0, and so is the dividend
    from_red = (green - blue) / divisor
    from_green = (blue - red) / divisor + 2
    from_blue = (red - green) / divisor + 4
    hue = torch.where(high == red, from_red, torch.where(high == green, from_green, from_blue)) + 6 * factor
    primaries = torch.arange(5, 0, -2, device=views.device).view(1, 3, 1, 1)
    distance = (hue + primaries).remainder_(6)
    turned = high - chroma * torch.minimum(distance, 4 - distance).clamp_(0, 1)
    return turned * (255.999 / 255)  # torchvision's share of 255 → 8 bits


def _blur(views: Levels, sigma: Factors) -> Levels:
    """Gaussian blur with torchvision's kernel, along the columns and then the rows.

    A sum of shifted views rather than a convolution, which mixed precision would round to 8 bits of mantissa.
    """
    reach = BLUR_TAPS // 2
    steps = torch.arange(-reach, reach + 1, device=views.device)
    weights = torch.softmax(-0.5 * (steps / sigma) ** 2, dim=-1)  # (n, 1, 1, taps)
    padded = F.pad(views, (reach, reach, reach, reach), mode="reflect")
    for axis in (2, 3):
        length = views.shape[axis]
        padded = sum(
            (padded.narrow(axis, tap, length) * weights[..., tap : tap + 1] for tap in range(1, BLUR_TAPS)),
            padded.narrow(axis, 0, length) * weights[..., :1],
        )
    return padded.round_()


def _solarise(views: Levels, _: Factors) -> Levels:
    return torch.where(views >= SOLARISE_FROM, 255 - views, views)
