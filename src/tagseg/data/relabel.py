"""Images whose classes are written in another order, or are a part, of the classes of a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from tagseg.data.dataset import IGNORE, Sample, TaggedImages
from tagseg.data.names import fold
from tagseg.data.notes import Note
from tagseg.errors import TagsegError, list_some


@dataclass(frozen=True)
class RelabelledMask:
    """A mask whose ids are replaced.

    Attributes:
        mask: reads the ids as they are written.
        new_ids: the new id of each id; ids beyond are as they are.
    """

    mask: Callable[[], UInt8[ndarray, "H W"]]
    new_ids: tuple[int, ...]

    def __call__(self) -> UInt8[ndarray, "H W"]:
        """Ids per pixel: 0 background, 1 to K foreground, 255 ignored. Errors are those of the mask."""
        table = np.arange(IGNORE + 1, dtype=np.uint8)
        table[: len(self.new_ids)] = self.new_ids
        return table[self.mask()]


def in_classes_of(images: TaggedImages, classes: tuple[str, ...]) -> TaggedImages:
    """The images with the classes of a network, matched by name; the network may have more.

    Args:
        images: with classes of their own.
        classes: the K classes of the network.

    Raises:
        TagsegError: the images have a class that the network does not know.
    """
    if images.classes == classes:
        return images
    index = {fold(name): k for k, name in enumerate(classes)}
    unknown = [name for name in images.classes if fold(name) not in index]
    if unknown:
        raise TagsegError(_difference(images, classes, unknown))
    new = [index[fold(name)] for name in images.classes]
    new_ids = (0, *(k + 1 for k in new))
    samples = tuple(relabelled(sample, new, new_ids) for sample in images.samples)
    text = f"the classes are matched to those of the network by name: {list_some(list(images.classes), 10)}"
    if new == list(range(len(new))):
        samples = images.samples
        text = f"the network has classes that the data lack: {list_some(list(classes[len(new) :]), 10)}"
    return replace(images, classes=classes, samples=samples, colours=(), notes=(*images.notes, Note(text)))


def ids_in_files(images: TaggedImages) -> tuple[int, ...]:
    """The id as it is written in the mask files, for each of the ids 0 to 255 that the masks of the images give."""
    written = list(range(IGNORE + 1))
    for sample in images.samples[:1]:
        if isinstance(sample.mask, RelabelledMask):
            for old, new in enumerate(sample.mask.new_ids):
                if new not in (0, IGNORE):  # what a class map makes background or ignores is written otherwise
                    written[new] = old
    return tuple(written)


def relabelled(sample: Sample, new: list[int], new_ids: tuple[int, ...]) -> Sample:
    """A sample in other classes.

    Args:
        sample: in the K classes of the data.
        new: the new index of each of them; several may have the same, and a negative one removes the tag.
        new_ids: the new id of ids 0 to K of its mask.
    """
    mask = sample.mask
    if isinstance(mask, RelabelledMask):  # one table for both
        table = (*mask.new_ids, *range(len(mask.new_ids), IGNORE))
        mask = RelabelledMask(mask.mask, tuple(new_ids[i] if i < len(new_ids) else i for i in table))
    elif mask is not None:
        mask = RelabelledMask(mask, new_ids)
    return replace(sample, tags=tuple(sorted({new[tag] for tag in sample.tags if new[tag] >= 0})), mask=mask)


def _difference(images: TaggedImages, classes: tuple[str, ...], only_data: list[str]) -> str:
    counts = f"the model has {len(classes)} classes and {images.source} has {len(images.classes)}"
    known = {fold(name) for name in images.classes}
    only_model = [name for name in classes if fold(name) not in known]
    parts = [f"only the model has {list_some(only_model)}"] if only_model else []
    parts.append(f"only the data have {list_some(only_data)}")
    return (
        f"{counts}; {' and '.join(parts)}: what the model does not know cannot be scored; if they are other names of "
        "the same classes, give the model's in the order of the mask's ids with --data.classes"
    )
