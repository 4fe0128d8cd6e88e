"""The photos of a collection by their ids, with the tags of the data or those that corrected them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import lru_cache

import torch

from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.images import image_size
from tagseg.errors import TagsegError
from tagseg.frozen.features import FrozenFeatures
from tagseg.serving.edits import UNCHANGED, PhotoEdit
from tagseg.serving.photo_row import PhotoRow, UnknownPhoto, id_of
from tagseg.serving.worst_first import Standing


class Catalogue:
    """The photos of some images.

    Attributes:
        images: the photos with the tags of the data.
        samples: the same, by id.
        index: the place of each in ``images``, by id.
    """

    def __init__(self, images: TaggedImages) -> None:
        self.images = images
        self.samples = {id_of(sample.name): sample for sample in images.samples}
        self.index = {id: index for index, id in enumerate(self.samples)}
        self.size = lru_cache(maxsize=1 << 16)(image_size)

    def known(self, id: str) -> Sample:
        """The photo of an id.

        Raises:
            UnknownPhoto: none of that id.
        """
        if id not in self.samples:
            raise UnknownPhoto(f"there is no photo {id!r} in this collection, expected an id of its list of photos")
        return self.samples[id]

    def labels(self, id: str, edit: PhotoEdit) -> tuple[int, ...]:
        """The labels of a photo's tags, ascending. Corrected tags that are no class any more are left out."""
        if edit.tags is None:
            return tuple(tag + 1 for tag in self.samples[id].tags)
        return tuple(label for label, name in enumerate(self.images.classes, 1) if name in edit.tags)

    def names(self, labels: Sequence[int]) -> tuple[str, ...]:
        """The names of labels, 1 to K."""
        return tuple(self.images.classes[label - 1] for label in labels)

    def checked(self, labels: Sequence[int]) -> tuple[int, ...]:
        """Labels that came from outside, ascending, each once.

        Raises:
            TagsegError: no such label.
        """
        count = len(self.images.classes)
        wrong = [label for label in labels if type(label) is not int or not 1 <= label <= count]
        if wrong:
            raise TagsegError(f"tags have the label {wrong[0]!r}, expected whole numbers from 1 to {count}")
        return tuple(sorted(set(labels)))

    def row(self, id: str, edit: PhotoEdit, standing: Standing, version: int) -> PhotoRow:
        """A photo as the page shows it.

        Raises:
            TagsegError: the photo's file is gone.
        """
        sample, labels = self.samples[id], self.labels(id, edit)
        height, width = self.size(sample.image)
        return PhotoRow(
            id, sample.name, width, height, labels, edit.state, round(standing.iou, 4), standing.why, version
        )

    def chosen(self, edits: Mapping[str, PhotoEdit], label: int | None, state: str | None) -> list[str]:
        """The ids of photos with a tag (0: without any) and in a state, in the order of the data; ``None``: any."""
        ids = []
        for id in self.samples:
            edit = edits.get(id, UNCHANGED)
            tags = self.labels(id, edit) if label is not None else ()
            if label is not None and (label not in tags if label else bool(tags)):
                continue
            if state is None or edit.state == state:
                ids.append(id)
        return ids

    def told(
        self, features: FrozenFeatures, edits: Mapping[str, PhotoEdit]
    ) -> tuple[TaggedImages, FrozenFeatures]:  # fmt: skip
        """Images and features with the corrected tags."""
        samples = tuple(
            dataclasses.replace(sample, tags=tuple(label - 1 for label in self.labels(id, edits.get(id, UNCHANGED))))
            for id, sample in self.samples.items()
        )
        images = dataclasses.replace(self.images, samples=samples)
        return images, dataclasses.replace(features, tags=torch.from_numpy(images.tag_matrix()))
