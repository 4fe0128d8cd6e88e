"""Batches for training and validation. The former are a pure function of (seed, step), for any number of workers."""

from __future__ import annotations

import atexit
import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from tagseg.data.augmentation import Augmentation, apply_augmentation
from tagseg.data.batch import Batch, CroppedBatch, ScoreBatch
from tagseg.data.batch_augmentation import AugmentationBatch
from tagseg.data.config import ViewConfig
from tagseg.data.dataset import IGNORE, TaggedImages
from tagseg.data.file_kinds import JPEG
from tagseg.data.images import image_size, read_image
from tagseg.data.repeats import repeat_factors
from tagseg.data.sampler import SampleKey, StepSampler
from tagseg.data.seeds import seed_of
from tagseg.data.views import ViewParameters, ViewSampler, crop, crop_label, reduction
from tagseg.stopping import leave_signals_to_main

CPU = torch.device("cpu")
Item = tuple[tuple[Tensor, ...], list[Augmentation]]
"""The fields of one image of a ``Batch``, and the augmentations that are still to be applied."""


class TrainingViews(Dataset[Item]):
    """Two views of an image for each key.

    Args:
        images: the training images.
        views: how views are sampled.
        seed: of all random draws.
        labels: also crop each image's label.
    """

    def __init__(self, images: TaggedImages, views: ViewConfig, seed: int, labels: bool = False) -> None:
        self.images, self.seed, self.labels = images, seed, labels
        self.views = ViewSampler(views)

    def __getitem__(self, key: SampleKey) -> Item:
        """Views, local crops, tags, seeds and label of one image; augmentations if the device is to apply them."""
        epoch, index = key
        parameters, parts = self.parts(self.images.samples[index].image, self.seed, epoch, index)
        augmentations = [one.augmentation for one in parameters]
        if self.views.config.augment == "loader":
            pairs = zip(parts, augmentations, strict=True)
            parts, augmentations = [apply_augmentation(part, one) for part, one in pairs], []
        seed = seed_of(self.seed, epoch, index, 1)
        drop_path_seeds = torch.tensor([seed_of(seed, view + 1) for view in range(len(parts))])
        label = torch.zeros((0, 0), dtype=torch.uint8)
        if self.labels:
            label = crop_label(self._label(index), parameters[0])
        tags = _tags(self.images, index)
        return (*self.views.stack(parts), tags, torch.tensor(seed), drop_path_seeds, label), augmentations

    def parts(self, path: Path, *keys: int) -> tuple[list[ViewParameters], list[Tensor]]:
        """The parameters of an image's views, and the views, (3, S, S) uint8, cropped and not yet augmented."""
        if self.views.config.draft and path.suffix.lower() in JPEG:
            size = image_size(path)
            parameters = self.views.draw(size, *keys)
            reduced = reduction(parameters)
            image = to_tensor(read_image(path, reduced))
            if image.shape[1:] == size:  # e.g. a PNG that is named .jpg
                reduced = 1
        else:
            image, reduced = to_tensor(read_image(path)), 1
            parameters = self.views.draw((image.shape[1], image.shape[2]), *keys)
        return parameters, [crop(image, one, reduced) for one in parameters]

    def _label(self, index: int) -> Tensor:
        sample = self.images.samples[index]
        if sample.label is None:
            raise ValueError(f"{sample.name} has no label")  # the caller chose images with labels
        return torch.from_numpy(np.array(sample.label()))


class WholeImages(Dataset[tuple[Tensor, Tensor]]):
    """An image resized to a square, and its tags."""

    def __init__(self, images: TaggedImages, size: int) -> None:
        self.images, self.size = images, size

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Image (3, S, S) float32, 0 to 255, and tags (K,)."""
        image = to_tensor(read_image(self.images.samples[index].image)).contiguous().float().unsqueeze(0)
        image = F.interpolate(image, (self.size, self.size), mode="bilinear", align_corners=False, antialias=True)
        return image[0], _tags(self.images, index)


class ScoredImages(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """An image resized to a square, its tags and its ground-truth mask."""

    def __init__(self, images: TaggedImages, size: int) -> None:
        self.images, self.whole = images, WholeImages(images, size)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Image (3, S, S), tags (K,), nan where they are not known, and mask (H, W)."""
        sample = self.images.samples[index]
        if sample.mask is None:
            raise ValueError(f"{sample.name} has no mask")  # the caller chose images with masks
        image, tags = self.whole[index]
        known = tags if sample.tags_known else torch.full_like(tags, torch.nan)
        return image, known, torch.from_numpy(np.array(sample.mask()))


class Uncounted(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """The share of a process for which no image is left: one in which nothing is counted, neither pixels nor tags.

    A process without any would not take part in the sums over all processes, for which the others would wait forever.
    """

    def __init__(self, classes: int, size: int) -> None:
        self.classes, self.size = classes, size

    def __len__(self) -> int:
        """One."""
        return 1

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """A black image, tags that are not known, and a mask that is ignored."""
        mask = torch.full((self.size, self.size), IGNORE, dtype=torch.uint8)
        return torch.zeros(3, self.size, self.size), torch.full((self.classes,), torch.nan), mask


def _tags(images: TaggedImages, index: int) -> Tensor:
    """The tags of one image as 0 and 1, (K,); the matrix of all would be in every worker."""
    tags = torch.zeros(len(images.classes))
    tags[list(images.samples[index].tags)] = 1
    return tags


def to_tensor(image: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 array → (3, H, W) uint8 tensor, without a copy."""
    return torch.from_numpy(image).permute(2, 0, 1)


def training_loader(
    images: TaggedImages,
    views: ViewConfig,
    *,
    batch: int,
    seed: int,
    workers: int,
    first_step: int = 0,
    part: tuple[int, int] = (0, 1),
    repeat_below: float = 0.0,
    labels: bool = False,
    device: torch.device = CPU,
) -> DataLoader[Any]:
    """An endless loader of ``Batch``.

    Args:
        images: the training images.
        views: how views are sampled.
        batch: images of a step, over all processes.
        seed: of all random draws.
        workers: number of worker processes; -1 chooses by the number of cores.
        first_step: first step of the loader, more than 0 for a resumed run.
        part: rank of this process, and number of processes, which share each batch.
        repeat_below: images of classes rarer than this share are drawn more often.
        labels: also load the labels of the images.
        device: batches go there; for a GPU they are read into page-locked memory.
    """
    factors = repeat_factors(images.tag_matrix(), repeat_below) if repeat_below else np.ones(len(images))
    return _loader(
        TrainingViews(images, views, seed, labels),
        workers,
        device,
        batch_sampler=StepSampler(factors, batch, seed, first_step, part),
        collate_fn=training_collate,
    )


def score_loader(
    images: TaggedImages, size: int, batch: int, workers: int, limit: int = 0, part: tuple[int, int] = (0, 1),
    device: torch.device = CPU,
) -> DataLoader[Any]:  # fmt: skip
    """A loader of ``ScoreBatch`` over the share of this process in the first ``limit`` (0: all) images with masks.

    Each image is in one share. Shares differ by one image where their number does not divide evenly.
    """
    scored = images.with_masks().first(limit)
    rank, world = part
    share = TaggedImages(scored.source, scored.classes, scored.samples[rank::world], scored.tags_from)
    counted = ScoredImages(share, size) if len(share) else Uncounted(len(scored.classes), size)
    return _loader(counted, workers, device, batch_size=batch, collate_fn=score_collate)


def whole_loader(
    images: TaggedImages, size: int, batch: int, workers: int, device: torch.device = CPU
) -> DataLoader[Any]:
    """A loader of images (B, 3, S, S) float32, 0 to 255, and their tags (B, K), in order."""
    return _loader(WholeImages(images, size), workers, device, batch_size=batch)


def training_collate(items: list[Item]) -> Batch:
    """Stack training samples."""
    rows, augmentations = zip(*items, strict=True)
    view1, view2, local, tags, seeds, drop_path_seeds, label = (torch.stack(c) for c in zip(*rows, strict=True))
    batch = Batch(view1, view2, local, tags, seeds, drop_path_seeds, label)
    if not augmentations[0]:
        return batch
    first, second, *crops = zip(*augmentations, strict=True)
    by_image = [one for image in zip(*crops, strict=True) for one in image]
    return CroppedBatch(**vars(batch), augmentations=AugmentationBatch.of([*first, *second, *by_image]))


def score_collate(items: list[tuple[Tensor, Tensor, Tensor]]) -> ScoreBatch:
    """Stack images and tags; masks keep their sizes."""
    images, tags, masks = zip(*items, strict=True)
    return ScoreBatch(torch.stack(images), torch.stack(tags), list(masks))


def _loader(images: Dataset[Any], workers: int, device: torch.device, **options: Any) -> DataLoader[Any]:
    if workers < 0:
        workers = min(8, max(1, (os.cpu_count() or 1) - 1))
    if workers:
        options |= {"persistent_workers": True, "prefetch_factor": 4, "worker_init_fn": leave_signals_to_main}
    return _Loader(images, num_workers=workers, pin_memory=device.type == "cuda", **options)


class _Loader(DataLoader[Any]):
    """A loader whose workers end when Python exits, whatever still holds them, such as the traceback of an error.

    Else Python sends them SIGTERM, which they leave to this process, and waits for them, a minute.
    """

    def __iter__(self) -> Any:
        """The batches."""
        iterator = super().__iter__()
        if self.num_workers:
            _reading[iterator] = os.getpid()
        return iterator


_reading: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
"""Iterators that may still have workers, and the process that they belong to: a fork of it has others."""


@atexit.register  # after PyTorch's own, so it runs before: that one only notes that nobody need end workers any more
def _end_workers() -> None:
    for iterator, process in list(_reading.items()):
        if process == os.getpid():
            with suppress(Exception):  # nobody is left to tell
                iterator._shutdown_workers()
