"""A photo of the dataset and its mask, written together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jaxtyping import UInt8
from numpy import ndarray

from tagseg.data.masks import save_mask
from tagseg.data.palette import Colour
from tagseg.labelling.image_files import Transfer, transfer
from tagseg.labelling.layout import Job


def write_photo_and_mask(
    folder: Path, job: Job, mask: UInt8[ndarray, "H W"], colours: Sequence[Colour], how: Transfer
) -> str:
    """Write a photo and its mask, the mask last, and return its name. Uses no torch, as it may run in a thread.

    Raises:
        TagsegError: the photo cannot be read, or the disk cannot take them.
    """
    transfer(job.sample.image, folder / job.image, job.file, how)
    save_mask(folder / job.mask, mask, colours)
    return job.mask
