"""The masks of the dataset in the formats of other tools as well, as ``predict --format`` writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tagseg.data.palette import Colour, colours_with, label_names
from tagseg.errors import TagsegError
from tagseg.formats.format import Plan
from tagseg.formats.settings import FormatSettings
from tagseg.formats.table import FORMATS, Formats, formats_named
from tagseg.inference.result import Result
from tagseg.labelling.layout import Job
from tagseg.progress import with_progress

ALWAYS = "png"
"""The masks of the dataset itself."""


def other_formats(names: str | Sequence[str]) -> tuple[str, ...]:
    """The formats of a setting such as ``coco,yolo`` beside the dataset's own.

    Raises:
        TagsegError: no format of that name, or one that needs scores, which masks do not have.
    """
    chosen = tuple(name for name in formats_named(names) if name != ALWAYS)
    for name in chosen:
        if FORMATS[name].PROBS:
            raise TagsegError(f"format is {name!r}, which holds scores, expected one of masks: choose another")
    return chosen


def write_formats(
    names: Sequence[str],
    folder: Path,
    jobs: dict[str, list[Job]],
    classes: tuple[str, ...],
    colours: tuple[Colour, ...],
    settings: FormatSettings,
) -> list[str]:
    """Write formats to the folder of the dataset, of its photos and masks; returns the files, relative to it.

    Args:
        names: of the formats, by ``other_formats``.
        folder: of the dataset, whose photos and masks are there.
        jobs: the photos of each split.
        classes: names of the K foreground classes.
        colours: RGB of labels 0 to K; none: VOC's.
        settings: what the formats leave open.

    Raises:
        TagsegError: a format that cannot hold these photos, or files that cannot be written.
    """
    if not names:
        return []
    named = dict(enumerate(label_names(classes)))
    rgb = colours or colours_with({}, len(named))
    photos = {_name(job): job for several in jobs.values() for job in several}
    formats = Formats(names, Plan(folder, named, rgb, tuple(photos), settings))
    try:
        for name in with_progress(list(photos), "formats", "photo"):
            with Image.open(folder / photos[name].mask) as mask:
                formats.add(Result(np.array(mask), named, rgb, folder / photos[name].image), name)
    finally:
        formats.close()
    return [file for name in names for output in FORMATS[name].OUTPUTS for file in _files(folder, output)]


def _name(job: Job) -> str:
    """With the split's folder: photos of two splits may have the same name."""
    return job.mask.removeprefix("masks/").removesuffix(".png") if job.mask.startswith("masks/") else job.name


def _files(folder: Path, output: str) -> list[str]:
    place = folder / output
    if not output.endswith("/"):
        return [output]
    return [path.relative_to(folder).as_posix() for path in sorted(place.rglob("*")) if path.is_file()]
