"""The looks of a whole batch, applied on whatever device it is on: ``looks.apply_look``, vectorised over views.

Every operation rounds to 8 bits as torchvision's does, so that a view differs from ``apply_look``'s by a level where a
device sums in another order, no more. Nothing here asks a GPU for a value: which views an operation takes is decided on
the CPU, where ``Looks`` stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from tagseg.data.looks import BLUR_TAPS, SOLARISE_FROM, Look

Levels = Float[Tensor, "n 3 H W"]
"""Views as float32, 0 to 255."""
Factors = Float[Tensor, "n 1 1 1"]
"""What each view is changed with."""


@dataclass
class Looks:
    """The looks of N views (``Look`` has the meaning of each).

    Attributes:
        flip: (N,) bool.
        order: (N, 4) int64, the number of the operation at each position of the jitter, -1 where there is none.
        factors: (N, 4) float32, by the operation's number.
        blur: (N,) float32, 0 where there is none.
        solarise: (N,) bool.
    """

    flip: Tensor
    order: Tensor
    factors: Tensor
    blur: Tensor
    solarise: Tensor

    @classmethod
    def of(cls, looks: Sequence[Look]) -> Looks:
        """The looks of views one by one, as tensors."""
        return cls(
            torch.tensor([look.flip for look in looks], dtype=torch.bool),
            torch.tensor([look.order + (-1,) * (4 - len(look.order)) for look in looks]).reshape(-1, 4),
            torch.tensor([look.factors for look in looks], dtype=torch.float32).reshape(-1, 4),
            torch.tensor([look.blur for look in looks], dtype=torch.float32),
            torch.tensor([look.solarise for look in looks], dtype=torch.bool),
        )

    def part(self, first: int, end: int) -> Looks:
        """The looks of some of the views."""
        return Looks(*(field[first:end] for field in vars(self).values()))

    def to(self, device: object, **options: object) -> Looks:
        """Itself, on the CPU: a batch that moves to a GPU leaves its looks where they can be read without waiting."""
        return self


def augment(views: UInt8[Tensor, "N 3 H W"], looks: Looks) -> UInt8[Tensor, "N 3 H W"]:
    """Views with their looks, 0 to 255, on the views' device; the argument is left as it is."""
    flip = looks.flip.to(views.device, non_blocking=True).view(-1, 1, 1, 1)
    views = torch.where(flip, views.flip(-1), views)
    for position in range(looks.order.shape[1]):
        for number, adjust in enumerate((_brightness, _contrast, _saturation, _hue)):
            _change(views, looks.order[:, position] == number, adjust, looks.factors[:, number])
    _change(views, looks.blur > 0, _blur, looks.blur)
    _change(views, looks.solarise, _solarise, looks.blur)  # solarising reads no factor
    return views


def _change(
    views: UInt8[Tensor, "N 3 H W"],
    which: Bool[Tensor, " N"],
    change: Callable[[Levels, Factors], Levels],
    factors: Float[Tensor, " N"],
) -> None:
    """Replace the chosen views; what lies below or above 0 to 255 is clipped, a fraction is cut off."""
    rows = which.nonzero()[:, 0]
    if len(rows):
        factor = factors[rows].to(views.device, non_blocking=True).view(-1, 1, 1, 1)
        rows = rows.to(views.device, non_blocking=True)
        views[rows] = change(views[rows].float(), factor).clamp_(0, 255).to(torch.uint8)


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
    """Turn the hue by a share of its circle.

    Hue counts sixths of the circle from red, and a colour is its greatest level less its chroma times a trapezium of
    the hue's distance from each primary: RGB → HSV → RGB without the table of six cases.
    """
    red, green, blue = views.split(1, 1)
    low, high = views.aminmax(dim=1, keepdim=True)
    chroma = high - low
    divisor = chroma.clamp(min=1)  # levels are whole: where the chroma is below 1 it is 0, and so is what is divided
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
