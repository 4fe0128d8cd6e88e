"""From a photo to the input of an exported network, by NumPy and Pillow alone."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image


def prepared(photo: UInt8[ndarray, "H W 3"], size: tuple[int, int]) -> Float[ndarray, "1 H2 W2 3"]:
    """RGB of 0 to 255 as float32, resized bilinear, antialiased where it shrinks.

    Each channel is resized as floats, not as bytes, so that nothing is rounded: the result is that of PyTorch's resize.
    """
    channels = [resized(photo[..., channel].astype(np.float32), size) for channel in range(3)]
    return np.stack(channels, axis=-1)[None]


def resized(plane: Float[ndarray, "H W"], size: tuple[int, int]) -> Float[ndarray, "H2 W2"]:
    """A plane of floats, resized bilinear to (H, W) in pixels, antialiased where it shrinks."""
    if plane.shape == size:
        return plane
    return np.asarray(Image.fromarray(plane).resize((size[1], size[0]), Image.Resampling.BILINEAR))
