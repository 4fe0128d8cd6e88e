"""Label maps as PNG in memory: exact, and small enough to keep each that a person accepted."""

from __future__ import annotations

import io

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from tagseg.errors import TagsegError


def as_png(mask: UInt8[ndarray, "H W"]) -> bytes:
    """A grey PNG whose pixel values are the labels."""
    file = io.BytesIO()
    Image.fromarray(mask).save(file, format="PNG")
    return file.getvalue()


def from_png(content: bytes) -> UInt8[ndarray, "_H _W"]:
    """The label map of ``as_png``.

    Raises:
        TagsegError: the content is damaged.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
            if picture.mode == "L":
                return np.array(picture)
            reason = f"it is {picture.mode}"
    except Exception as error:  # of many kinds
        reason = " ".join(str(error).split()) or type(error).__name__
    raise TagsegError(f"an accepted mask is damaged ({reason}), expected a grey PNG: reject it and accept a new one")
