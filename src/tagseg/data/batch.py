"""Batches: what a training step and a validation step are given."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from tagseg.data.batch_augmentation import AugmentationBatch, augment


@dataclass
class Batch:
    """B images to train on.

    Attributes:
        view1: (B, 3, H, W) uint8, first random view.
        view2: (B, 3, H, W) uint8, second random view.
        local: (B, L, 3, s, s) uint8 local crops; L is 0 unless asked for.
        tags: (B, K) float32, 0 or 1.
        seeds: (B,) int64, one for each image, from which its random mask is drawn.
        drop_path_seeds: (B, 2 + L) int64, one for each view and local crop, from which its drop path is drawn.
        label: (B, H, W) uint8, labels of view 1 that exist before the step, 255 ignored; (B, 0, 0) where the step makes
            pseudo-labels from the CAM.
    """

    view1: Tensor
    view2: Tensor
    local: Tensor
    tags: Tensor
    seeds: Tensor
    drop_path_seeds: Tensor
    label: Tensor

    def pin_memory(self) -> Batch:
        """Page-locked copies, for faster transfer to a GPU."""
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        return type(self)(**{name: v.pin_memory() if isinstance(v, Tensor) else v for name, v in values})

    def augmented(self) -> Batch:
        """The batch with augmented views: itself here. To be called on the training device."""
        return self

    def parts(self, count: int) -> list[Batch]:
        """The images in order, in parts of equally many; ``count`` divides B."""
        if count == 1:
            return [self]
        size, remainder = divmod(len(self.tags), count)
        if remainder:
            raise ValueError(f"a batch of {len(self.tags)} images cannot be {count} equal parts")  # refused before
        return [self._images(slice(first, first + size)) for first in range(0, count * size, size)]

    def _images(self, chosen: slice) -> Batch:
        return Batch(**{field.name: getattr(self, field.name)[chosen] for field in fields(Batch)})


@dataclass
class CroppedBatch(Batch):
    """B images whose views are cropped and not yet augmented.

    Attributes:
        augmentations: of all first views, then of all second views, then of the local crops image by image.
    """

    augmentations: AugmentationBatch

    def augmented(self) -> Batch:
        """The batch with augmented views, computed on their device."""
        count, crops = self.local.shape[:2]
        views = augment(torch.cat((self.view1, self.view2)), self.augmentations.part(0, 2 * count))
        local = self.local
        if crops:
            part = self.augmentations.part(2 * count, (2 + crops) * count)
            local = augment(local.flatten(0, 1), part).unflatten(0, (count, crops))
        return Batch(views[:count], views[count:], local, self.tags, self.seeds, self.drop_path_seeds, self.label)

    def _images(self, chosen: slice) -> Batch:
        count, crops = self.local.shape[:2]
        images = torch.arange(count)
        order = (images, count + images, 2 * count + torch.arange(count * crops).view(count, crops))
        augmentations = self.augmentations.at(torch.cat([views[chosen].flatten() for views in order]))
        return CroppedBatch(**vars(super()._images(chosen)), augmentations=augmentations)


@dataclass
class ScoreBatch:
    """B images to score.

    Attributes:
        images: (B, 3, S, S) float32, 0 to 255, resized to the training size.
        tags: (B, K) float32, 0 or 1; nan in all of a row where the tags of the image are not known.
        masks: B ground-truth label maps (H, W) uint8, each at its image's native size; 255 is not counted.
    """

    images: Tensor
    tags: Tensor
    masks: list[Tensor]
