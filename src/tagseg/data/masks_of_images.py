"""Images with the masks that were found for them, read as what their pixels mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tagseg.data.colour_list import find_colour_list
from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.frames import Frame, notes_of_masks
from tagseg.data.mask_survey import MaskOf, survey
from tagseg.data.masks import MaskFile


def with_mask_files(images: TaggedImages, of: Mapping[str, Path], config: DataConfig, root: Path) -> TaggedImages:
    """The images with their masks, and notes on how the masks are read.

    Args:
        images: without masks.
        of: mask files by the images' names.
        config: ``colours``, ``classes`` and ``frame`` apply.
        root: the data's folder.

    Raises:
        TagsegError: the masks cannot be read as labels (``mask_survey.survey``).
    """
    masked = [(sample, of[sample.name]) for sample in images.samples if sample.name in of]
    colours = find_colour_list(config.colours, root, config.classes if isinstance(config.classes, str) else "")
    looked = [MaskOf(path, sample.tags if sample.tags_known else None) for sample, path in masked]
    coding, notes = survey(looked, images.classes, colours, config.colours)
    count = len(images.classes)
    frame: Frame = "stored" if config.frame == "stored" else "displayed"
    notes = (*notes, *notes_of_masks(config.frame, [(sample.image, path) for sample, path in masked]))
    files = {sample.name: MaskFile(path, sample.image, count, coding, frame) for sample, path in masked}
    if not files:  # as of most collections with tags, whose samples need not be made anew
        return replace(images, notes=(*images.notes, *notes))
    samples = tuple(replace(sample, mask=files.get(sample.name)) for sample in images.samples)
    return replace(images, samples=samples, notes=(*images.notes, *notes))
