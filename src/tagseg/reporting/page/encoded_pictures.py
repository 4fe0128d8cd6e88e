"""Pictures as data URIs, so that the page needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from tagseg.data.palette import Colour, palette_of

_QUALITY = 82


def photo_uri(photo: UInt8[ndarray, "H W 3"], size: tuple[int, int]) -> str:
    """A JPEG of a photo at a height and width."""
    picture = Image.fromarray(photo).resize((size[1], size[0]), Image.Resampling.LANCZOS)
    return _uri(picture, "jpeg", quality=_QUALITY, optimize=True)


def labels_uri(labels: UInt8[ndarray, "h w"], colours: Sequence[Colour], clear: int | None = 0) -> str:
    """A palette PNG of a label map; the label ``clear`` is transparent."""
    picture = Image.fromarray(np.ascontiguousarray(labels))
    picture.putpalette(palette_of(colours).tobytes())
    options = {} if clear is None else {"transparency": clear}
    return _uri(picture, "png", optimize=True, **options)


def _uri(picture: Image.Image, kind: str, **options: object) -> str:
    file = io.BytesIO()
    picture.save(file, format=kind.upper(), **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
