"""The photos to review, and the tags of those whose tags are known."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from tagseg.data import sources
from tagseg.data.config import DataConfig
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.notes import Note
from tagseg.data.reading import Reading, reading_of, reading_of_photos
from tagseg.data.relabel import in_classes_of
from tagseg.data.tags import usual_tag_file
from tagseg.errors import NothingToScore, TagsegError, list_some
from tagseg.inference.jobs import jobs_of

SHEET = "review.jpg"
"""The contact sheet of a review, which counts as no photo of the next one."""


@dataclass(frozen=True)
class Listed:
    """What is to be reviewed.

    Attributes:
        samples: the photos; ``tags_known`` says whether their tags are known.
        reading: what was read, to be shown and saved.
    """

    samples: tuple[Sample, ...]
    reading: Reading

    def tags(self, index: int, classes: int) -> Bool[ndarray, " K"] | None:
        """(K,) which classes a photo is tagged with; ``None`` where that is not known."""
        sample = self.samples[index]
        if not sample.tags_known:
            return None
        tags = np.zeros(classes, bool)
        tags[list(sample.tags)] = True
        return tags

    def tagged(self) -> list[int]:
        """Which photos have known tags."""
        return [index for index, sample in enumerate(self.samples) if sample.tags_known]


def listed(
    photos: str | Path | Sequence[str | Path] | None,
    data: DataConfig | None,
    split: str | None,
    classes: tuple[str, ...],
    output: Path,
) -> Listed:
    """The photos of files or folders, or those of data with tags; the tags of the former from the latter.

    A single folder with a tag file, as ``labels.csv``, is such data: its tags are a signal, and its masks no photos.

    Args:
        photos: image files or folders; ``None``: the photos of ``data``.
        data: tells tags; ``None``: no tags are known.
        split: of the data; ``None``: all of them.
        classes: the K classes of the network, which tags are matched to by name.
        output: what an earlier review wrote to it counts as no photo.

    Raises:
        TagsegError: no photo, no such split, or tags of classes that the network does not know.
    """
    if data is None:
        photos, data = _as_data(photos)
    if data is None and photos is None:
        raise TagsegError("there are no photos to review, expected image files or folders, or data with tags")
    if data is None and split:
        raise TagsegError(f"split is {split!r}, but no data name splits: leave it out, or give --data.root")
    splits = {} if data is None else _splits(data, split, classes)
    if photos is None:
        assert data is not None  # see above
        samples = tuple(sample for images in splits.values() for sample in images.samples)
        return Listed(samples, reading_of(data, splits))
    jobs = jobs_of(photos, output)
    named = [(image, name) for image, name in jobs.named if os.path.realpath(image) != os.path.realpath(output / SHEET)]
    if not named:
        raise TagsegError(f"no image in {_places(photos)} but the sheet of an earlier review, expected photos")
    known = {os.path.realpath(sample.image): sample for images in splits.values() for sample in images.samples}
    samples = tuple(_sample(image, name, known) for image, name in named)
    notes = [*jobs.notes, *(note for images in splits.values() for note in images.notes)]
    unknown = [sample.name for sample in samples if not sample.tags_known]
    if len(unknown) == len(samples):
        nowhere = "" if data is None else f" in {data.root}"
        notes.append(Note(f"no tags known{nowhere}: --data.root FOLDER names tagged photos", warning=data is not None))
    else:
        notes += Note.of(f"photos whose tags are not known in {data.root if data else ''}", unknown)
    return Listed(samples, reading_of_photos(len(samples), _places(photos), classes, notes))


def _as_data(
    photos: str | Path | Sequence[str | Path] | None,
) -> tuple[str | Path | Sequence[str | Path] | None, DataConfig | None]:
    """A single folder that has a tag file is data, whatever else it holds; anything else is as it was given."""
    several = [photos] if isinstance(photos, str | Path) else photos
    if isinstance(several, list | tuple) and len(several) == 1 and isinstance(several[0], str | Path):
        folder = Path(several[0]).expanduser()
        if str(several[0]) and usual_tag_file(folder) is not None:
            return None, DataConfig(root=str(folder))
    return photos, None


def _places(photos: str | Path | Sequence[str | Path]) -> str:
    return str(photos) if isinstance(photos, str | Path) else list_some([str(path) for path in photos])


def _sample(image: Path, name: str, known: Mapping[str, Sample]) -> Sample:
    told = known.get(os.path.realpath(image))
    if told is None:
        return Sample(name, image, (), tags_known=False)
    return replace(told, name=name, image=image)


def _splits(data: DataConfig, split: str | None, classes: tuple[str, ...]) -> dict[str, TaggedImages]:
    """The splits of the data that exist, or the one that is asked for."""
    wanted = [split] if split else list(dict.fromkeys([data.train_split, data.val_split]))
    found: dict[str, TaggedImages] = {}
    for name in filter(None, wanted):
        try:
            images = sources.load(data, name, masks=False, tags=False)
        except NothingToScore:  # nothing says which photos are for validation: all are in the other split
            if split:
                raise
            continue
        found[name] = in_classes_of(images, classes)
    return found
