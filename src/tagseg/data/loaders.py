"""Batches for training and validation; how they look is a pure function of (seed, step), whoever loads them."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from tagseg.config import Config
from tagseg.data.augment import Looks, augment
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.images import image_size, read_image
from tagseg.data.keys import Key, StepKeys
from tagseg.data.looks import Look, apply_look
from tagseg.data.repeats import repeat_factors
from tagseg.data.seeds import seed_of
from tagseg.data.views import ViewDraw, Views, cut, cut_mask, reduction

JPEG = (".jpg", ".jpeg")
"""Endings of files that may be decoded at a reduced size."""


@dataclass
class Batch:
    """B images to train on.

    Attributes:
        view1: (B, 3, H, W) uint8, first random view.
        view2: (B, 3, H, W) uint8, second random view.
        local: (B, L, 3, s, s) uint8 local crops; L is 0 unless asked for.
        tags: (B, K) float32, 0 or 1.
        mask_seeds: (B,) int64, what each image's random mask blocks and its stochastic depth are drawn from.
        truth: (B, H, W) uint8, what view 1 is told, 255 ignored; (B, 0, 0) where labels are made of its CAM.
    """

    view1: Tensor
    view2: Tensor
    local: Tensor
    tags: Tensor
    mask_seeds: Tensor
    truth: Tensor

    def pin_memory(self) -> Batch:
        """Page-locked copies, for faster transfer to a GPU."""
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        return type(self)(**{name: v.pin_memory() if isinstance(v, Tensor) else v for name, v in values})

    def depth_seeds(self, view: int) -> list[int]:
        """What the stochastic depth of each image's view is drawn from; any number tells views apart."""
        return [seed_of(seed, view) for seed in self.mask_seeds.tolist()]

    def augmented(self) -> Batch:
        """The batch to train on: itself, its views are final. To be called on the device that trains."""
        return self


@dataclass
class CroppedBatch(Batch):
    """B images whose views are cut out, and not yet mirrored, jittered, blurred or solarised.

    Attributes:
        looks: what is still to be done: to every view 1, then to every view 2, then to the local crops, image by image.
    """

    looks: Looks

    def augmented(self) -> Batch:
        """The batch to train on, computed on the device of the views."""
        count, crops = self.local.shape[:2]
        views = augment(torch.cat((self.view1, self.view2)), self.looks.part(0, 2 * count))
        local = self.local
        if crops:
            looks = self.looks.part(2 * count, (2 + crops) * count)
            local = augment(local.flatten(0, 1), looks).unflatten(0, (count, crops))
        return Batch(views[:count], views[count:], local, self.tags, self.mask_seeds, self.truth)


@dataclass
class ScoreBatch:
    """B images to score.

    Attributes:
        images: (B, 3, S, S) float32, 0 to 255, resized to the training size.
        tags: (B, K) float32, 0 or 1.
        masks: B true label maps (H, W) uint8, each at its image's native size; 255 is not counted.
    """

    images: Tensor
    tags: Tensor
    masks: list[Tensor]


Item = tuple[tuple[Tensor, ...], list[Look]]
"""The fields of one image's part of a ``Batch``, and the looks that its views still lack."""


class TrainingViews(Dataset[Item]):
    """Two views of an image, by key."""

    def __init__(self, images: TaggedImages, config: Config) -> None:
        self.images, self.seed = images, config.run.seed
        self.views = Views(config.views)
        self.tags = torch.from_numpy(images.tag_matrix())
        self.masks = config.labels.ready

    def __getitem__(self, key: Key) -> Item:
        """Views, local crops, tags, mask seed and mask of one image; looks where the device applies them."""
        epoch, index = key
        draws, parts = self.parts(self.images.samples[index].image, self.seed, epoch, index)
        looks = [draw.look for draw in draws]
        if self.views.config.augment == "loader":
            parts, looks = [apply_look(part, look) for part, look in zip(parts, looks, strict=True)], []
        seed = torch.tensor(seed_of(self.seed, epoch, index, 1))
        truth = torch.zeros((0, 0), dtype=torch.uint8)
        if self.masks:
            truth = cut_mask(_mask(self.images.samples[index]), draws[0])
        return (*self.views.stack(parts), self.tags[index], seed, truth), looks

    def parts(self, path: Path, *keys: int) -> tuple[list[ViewDraw], list[Tensor]]:
        """What is drawn from an image, and those parts of it, (3, S, S) uint8, without their looks."""
        if self.views.config.draft and path.suffix.lower() in JPEG:
            size = image_size(path)
            draws = self.views.draw(size, *keys)
            reduced = reduction(draws)
            image = to_tensor(read_image(path, reduced))
            if image.shape[1:] == size:  # also an image of another format that is called .jpg
                reduced = 1
        else:
            image, reduced = to_tensor(read_image(path)), 1
            draws = self.views.draw((image.shape[1], image.shape[2]), *keys)
        return draws, [cut(image, draw, reduced) for draw in draws]


class WholeImages(Dataset[tuple[Tensor, Tensor]]):
    """An image resized to the training size, and its tags."""

    def __init__(self, images: TaggedImages, size: int) -> None:
        self.images, self.size = images, size
        self.tags = torch.from_numpy(images.tag_matrix())

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Image (3, S, S) float32, 0 to 255, and tags (K,)."""
        image = to_tensor(read_image(self.images.samples[index].image)).contiguous().float().unsqueeze(0)
        image = F.interpolate(image, (self.size, self.size), mode="bilinear", align_corners=False, antialias=True)
        return image[0], self.tags[index]


class ScoredImages(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """An image resized to the training size, its tags and its mask."""

    def __init__(self, images: TaggedImages, size: int) -> None:
        self.images, self.whole = images, WholeImages(images, size)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Image (3, S, S), tags (K,) and mask (H, W)."""
        return *self.whole[index], _mask(self.images.samples[index])


def _mask(sample: Sample) -> Tensor:
    if sample.mask is None:
        raise ValueError(f"{sample.name} has no mask")  # the caller chose images with masks
    return torch.from_numpy(np.array(sample.mask()))


def to_tensor(image: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 array → (3, H, W) uint8 tensor that shares its memory: copying a large photo takes long."""
    return torch.from_numpy(image).permute(2, 0, 1)


def training_loader(
    images: TaggedImages, config: Config, first_step: int = 0, part: tuple[int, int] = (0, 1)
) -> DataLoader[Any]:
    """An endless loader of ``Batch`` that begins with the batch of step ``first_step``."""
    run = config.run
    factors = repeat_factors(images.tag_matrix(), config.data.repeat_below)
    keys = StepKeys(factors, run.batch, run.seed, first_step, part, run.accumulate)
    return DataLoader(
        TrainingViews(images, config),
        batch_sampler=keys,
        collate_fn=training_collate,
        **_worker_options(run.workers),
    )


def score_loader(images: TaggedImages, config: Config, part: tuple[int, int] = (0, 1)) -> DataLoader[Any]:
    """A loader of ``ScoreBatch`` over this process's share of the images that have masks."""
    scored = images.with_masks().first(config.run.val_limit)
    rank, world = part
    share = TaggedImages(scored.source, scored.classes, scored.samples[rank::world], scored.tags_from)
    return DataLoader(
        ScoredImages(share, config.views.size),
        batch_size=config.run.val_batch,
        collate_fn=score_collate,
        **_worker_options(config.run.workers),
    )


def whole_loader(images: TaggedImages, config: Config, size: int = 0) -> DataLoader[Any]:
    """A loader of images (B, 3, S, S) float32, 0 to 255, and their tags (B, K); by default of the training size."""
    workers = _worker_options(config.run.workers)
    return DataLoader(WholeImages(images, size or config.views.size), batch_size=config.run.val_batch, **workers)


def training_collate(items: list[Item]) -> Batch:
    """Stack training samples."""
    rows, looks = zip(*items, strict=True)
    view1, view2, local, tags, mask_seeds, truth = (torch.stack(column) for column in zip(*rows, strict=True))
    if not looks[0]:
        return Batch(view1, view2, local, tags, mask_seeds, truth)
    first, second, *crops = zip(*looks, strict=True)
    by_image = [look for image in zip(*crops, strict=True) for look in image]
    return CroppedBatch(view1, view2, local, tags, mask_seeds, truth, Looks.of([*first, *second, *by_image]))


def score_collate(items: list[tuple[Tensor, Tensor, Tensor]]) -> ScoreBatch:
    """Stack images and tags; masks keep their sizes."""
    images, tags, masks = zip(*items, strict=True)
    return ScoreBatch(torch.stack(images), torch.stack(tags), list(masks))


def _worker_options(workers: int) -> dict[str, Any]:
    if workers < 0:
        workers = min(8, max(1, (os.cpu_count() or 1) - 1))
    options: dict[str, Any] = {"num_workers": workers, "pin_memory": torch.cuda.is_available()}
    if workers:
        options |= {"persistent_workers": True, "prefetch_factor": 4}
    return options
