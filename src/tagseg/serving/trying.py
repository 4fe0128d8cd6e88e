"""What is done with an uploaded photo: its result, and the pictures and files of that."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy import ndarray
from PIL import Image

from tagseg.data.images import opened, read_image, stored_frame
from tagseg.data.masks import save_mask
from tagseg.errors import TagsegError
from tagseg.inference.attempt import attempt
from tagseg.serving.limits import Limits
from tagseg.serving.probabilities import confidence, probabilities_at
from tagseg.serving.refusals import Refused, no_result
from tagseg.serving.results import FoundClass, StoredResult
from tagseg.serving.segmenter import REGION_COLOURS, Segmented, Segmenter
from tagseg.serving.uploads import Arrival

_QUALITY = 92


def segment_arrival(segmenter: Segmenter, arrival: Arrival, crf: bool) -> StoredResult:
    """Label an uploaded photo; its mask lies beside it then.

    Raises:
        Refused: it is damaged, or memory does not suffice.
    """
    try:
        found = attempt(lambda: segmenter.segment(arrival.photo, crf), arrival.name)
    except TagsegError as error:
        found = str(error)
    if isinstance(found, str):
        memory = "does not fit into memory" in found
        line = f"{arrival.name} does not fit into memory: make it smaller" if memory else found
        raise Refused(503 if memory else 422, line.replace(f"{arrival.name}: {arrival.photo}", arrival.name)
                      .replace(str(arrival.photo), arrival.name))  # fmt: skip
    save_mask(arrival.folder / "mask.png", found.mask, segmenter.colours)
    size = (found.mask.shape[0], found.mask.shape[1])
    classes = found_classes(found, segmenter.names)
    return StoredResult(
        arrival.folder.name, arrival.name, arrival.folder, arrival.photo, size, crf, classes, found.grids
    )


def found_classes(found: Segmented, names: dict[int, str]) -> tuple[FoundClass, ...]:
    """The foreground classes in a mask, largest first."""
    counts = np.bincount(found.mask.ravel(), minlength=256)
    labels = sorted((label for label in names if label and counts[label]), key=lambda label: (-counts[label], label))
    return tuple(
        FoundClass(
            label, names[label], counts[label].item() / found.mask.size, confidence(found.grids, found.mask, label)
        )
        for label in labels
    )


def probabilities_of(result: StoredResult, x: int, y: int) -> ndarray:
    """Probability of each label at a pixel of the photo.

    Raises:
        Refused: outside the photo.
    """
    height, width = result.size
    if not (0 <= x < width and 0 <= y < height):
        raise Refused(
            422, f"x = {x}, y = {y} is outside the photo of {width} x {height} pixels, expected a pixel in it"
        )
    return probabilities_at(result.grids, result.size, np.array([y]), np.array([x]))[:, 0]


def kept_file(path: Path, result: StoredResult) -> bytes:
    """A file of a result.

    Raises:
        Refused: the result has left meanwhile.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise no_result(result.id) from None


def labels_of(result: StoredResult) -> ndarray:
    """The mask of a result, uint8 (H, W).

    Raises:
        Refused: the result has left meanwhile.
    """
    with Image.open(io.BytesIO(kept_file(result.mask, result))) as image:
        return np.array(image)


def photo_as_jpeg(photo: Path) -> bytes:
    """A photo as displayed, at its size: as it is where it is a plain upright JPEG, else encoded anew."""
    with opened(photo) as image:
        plain = image.format == "JPEG" and image.mode in ("L", "RGB")
    if plain and stored_frame(photo).orientation == 1:
        return photo.read_bytes()
    file = io.BytesIO()
    Image.fromarray(read_image(photo)).save(file, format="JPEG", quality=_QUALITY)
    return file.getvalue()


def save_partition(segmenter: Segmenter, result: StoredResult) -> None:
    """Write the partition of a result, if it is not there yet."""
    if not result.partition.exists():
        save_mask(result.partition, segmenter.partition(result.photo), REGION_COLOURS)


def check_values(result: StoredResult, count: int, limits: Limits) -> None:
    """Refuse to compute the probabilities of all pixels of a photo where they would not fit.

    Args:
        result: of the photo.
        count: number of labels.
        limits: its ``values``.

    Raises:
        Refused: they are too many.
    """
    height, width = result.size
    if count * height * width > limits.values:
        raise Refused(
            413,
            f"npz of {result.name} ({width} x {height} pixels, {count} labels) would hold {count * height * width:,} "
            f"probabilities, expected at most {limits.values:,}: leave out npz, or use tagseg predict --format npz",
        )
