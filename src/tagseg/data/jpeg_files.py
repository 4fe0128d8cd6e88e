"""JPEG files that are whole or not there."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image

from tagseg.files import replacing


def save_jpeg(path: Path, picture: Image.Image, quality: int, subsampling: int = -1) -> None:
    """Write a picture.

    Pillow would write it by calls of the system, and does not look how much of it was taken: on a full disk the file
    ends early and nothing is said.

    Args:
        path: of the file.
        picture: grey or RGB.
        quality: 1 to 95.
        subsampling: of the colours, as Pillow counts; 0 is none, −1 the usual.

    Raises:
        TagsegError: the file cannot be written.
    """
    content = BytesIO()
    picture.save(content, format="JPEG", quality=quality, subsampling=subsampling)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())
