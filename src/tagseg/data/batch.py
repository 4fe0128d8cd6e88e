"""Batches: what a training step and a validation step are given."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor

from tagseg.data.batch_augmentation import AugmentationBatch, augment
from tagseg.data.transfer import send


@dataclass
class Batch:
    """B images to train on.

    Attributes:
        view1: (B, 3, H, W) uint8, first random view.
        view2: (B, 3, H, W) uint8, second random view.
        local: (B, L, 3, s, s) uint8 local crops; L is 0 unless asked for.
        tags: (B, K) float32, 0 or 1.
        seeds: (B,) int64 on the CPU, one for each image, from which its random mask is drawn.
        drop_path_seeds: (B, 2 + L) int64 on the CPU, one for each view and local crop: its drop path is drawn from it.
        label: (B, H, W) uint8, labels of view 1 that exist before the step, 255 ignored; (B, 0, 0) where the step makes
            pseudo-labels from the CAM.
        most_tags: the highest number of tags of an image; 0: not counted, which a GPU then has to be asked for.
    """

    view1: Tensor
    view2: Tensor
    local: Tensor
    tags: Tensor
    seeds: Tensor
    drop_path_seeds: Tensor
    label: Tensor
    most_tags: int = field(default=0, kw_only=True)

    def to(self, device: torch.device | str) -> Batch:
        """The batch on a device. Seeds stay on the CPU, where random numbers are drawn; nothing waits for a GPU."""
        device = torch.device(device)
        most = self.most_tags or (0 if self.tags.is_cuda or not len(self.tags) else int(self.tags.sum(dim=1).max()))
        moved: dict[str, Any] = {
            name: send(getattr(self, name), device) for name in ("view1", "view2", "local", "tags", "label")
        }
        return replace(self, **moved, most_tags=most)

    def pin_memory(self) -> Batch:
        """Page-locked copies, for faster transfer to a GPU."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        pinned: dict[str, Any] = {name: v.pin_memory() for name, v in values.items() if isinstance(v, Tensor)}
        return replace(self, **pinned)

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
        values = {f.name: getattr(self, f.name) for f in fields(Batch)}
        parts: dict[str, Any] = {name: v[chosen] if isinstance(v, Tensor) else v for name, v in values.items()}
        return Batch(**parts)


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
        own: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(Batch)}
        return Batch(**own | {"view1": views[:count], "view2": views[count:], "local": local})

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
