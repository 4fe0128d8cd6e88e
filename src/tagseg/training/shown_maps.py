"""Maps of a square input at the size and shape that the photo is shown in."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

Size = tuple[int, int]


def shown_cam(cam: Float[Tensor, "_H _W"], size: Size) -> Float[ndarray, "H W"]:
    """A CAM at another size, averaged or interpolated."""
    return _resized(cam[None], size)[0].clamp(0, 1).numpy()


def shown_prediction(logits: Float[Tensor, "C _h _w"], size: Size) -> UInt8[ndarray, "H W"]:
    """The most likely label of each pixel; logits are interpolated."""
    return _resized(logits, size).argmax(dim=0).to(torch.uint8).numpy()


def shown_labels(labels: UInt8[Tensor, "_H _W"], size: Size) -> UInt8[ndarray, "H W"]:
    """Labels at another size, each pixel from the nearest."""
    shown = F.interpolate(labels[None, None].float().cpu(), size, mode="nearest-exact")
    return np.asarray(shown[0, 0].to(torch.uint8).numpy())


def _resized(maps: Float[Tensor, "c _h _w"], size: Size) -> Float[Tensor, "c H W"]:
    maps = maps.float().cpu()[None]
    return F.interpolate(maps, size, mode="bilinear", align_corners=False, antialias=True)[0]
