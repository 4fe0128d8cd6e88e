"""Opening and decoding every photo, by all cores at once: its size, its content, a hash of what it shows."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.file_kinds import JPEG
from tagseg.data.images import image_size, read_image
from tagseg.data.near_duplicates import image_hash
from tagseg.errors import TagsegError
from tagseg.progress import in_threads

FLAT = 2.0
"""Standard deviation in grey levels below which a photo shows nothing."""
SIDE = 64
"""A JPEG is decoded at up to 1/8 of its size, but no smaller than this: the whole file is read all the same."""


@dataclass(frozen=True)
class Photo:
    """What was seen of one photo.

    Attributes:
        split: it is in.
        sample: its name, file and tags.
        error: why it cannot be read; empty if it can. The rest is then as far as it got.
        content: a digest of its bytes.
        size: height and width in pixels as displayed.
        looks: ``image_hash`` of its pixels, which near-duplicates share nearly.
        blank: whether it shows nothing.
    """

    split: str
    sample: Sample
    error: str = ""
    content: bytes = b""
    size: tuple[int, int] = (0, 0)
    looks: int = 0
    blank: bool = False


def read_photos(splits: dict[str, TaggedImages], quiet: bool = False) -> list[Photo]:
    """Decode each photo of the splits, with a progress bar. A file that several samples name is decoded once."""
    samples = [(split, sample) for split, images in splits.items() for sample in images.samples]
    files = list(dict.fromkeys(sample.image for _, sample in samples))
    seen = dict(zip(files, in_threads(files, _look, "looking at photos", quiet=quiet), strict=True))
    return [Photo(split, sample, *seen[sample.image]) for split, sample in samples]


def _look(path: Path) -> tuple[str, bytes, tuple[int, int], int, bool]:
    """Error, content, size, looks and blankness of one file."""
    content, size = b"", (0, 0)
    try:
        with path.open("rb") as file:
            content = blake2b(file.read(), digest_size=16).digest()
        size = image_size(path)
        reduction = next((by for by in (8, 4, 2) if min(size) >= SIDE * by), 1)
        pixels = read_image(path, reduction if path.suffix.lower() in JPEG else 1)
    except TagsegError as error:
        return str(error), content, size, 0, False
    except (OSError, MemoryError) as error:
        return f"the image {path} cannot be read ({error}), expected an image file: replace it", content, size, 0, False
    step = max(1, min(pixels.shape[:2]) // SIDE)
    some = np.ascontiguousarray(pixels[::step, ::step].reshape(-1, 3).T, np.float32)  # otherwise a millisecond a photo
    blank = float(some.std(axis=1).max()) < FLAT
    return "", content, size, int(image_hash(pixels)), blank
