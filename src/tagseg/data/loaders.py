"""Batches for training and validation. Which images a step sees is a pure function of (seed, step)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Sampler

from tagseg.config import Config
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.images import read_image
from tagseg.data.seeds import seed_of
from tagseg.data.views import Views

Key = tuple[int, int]
"""(epoch, sample index): what a training sample is drawn from."""


@dataclass
class Batch:
    """B images to train on.

    Attributes:
        view1: (B, 3, H, W) uint8, first random view.
        view2: (B, 3, H, W) uint8, second random view.
        local: (B, L, 3, s, s) uint8 local crops; L is 0 unless asked for.
        tags: (B, K) float32, 0 or 1.
        mask_seeds: (B,) int64, what each image's random mask blocks are drawn from.
    """

    view1: Tensor
    view2: Tensor
    local: Tensor
    tags: Tensor
    mask_seeds: Tensor

    def pin_memory(self) -> Batch:
        """Page-locked copies, for faster transfer to a GPU."""
        return Batch(**{f.name: getattr(self, f.name).pin_memory() for f in fields(self)})


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


class StepKeys(Sampler[list[Key]]):
    """The keys of each step's images, for ever.

    Positions count through the epochs; each epoch is a permutation drawn from (seed, epoch). A process takes its own
    part of every global batch, so that the images of a step do not depend on the number of processes.

    Args:
        samples: number of images.
        batch: images of a step over all processes and accumulated parts.
        seed: of the permutations.
        first: global batch to begin with (a resumed run skips what it has seen).
        part: which part of a batch this process takes, and of how many.
        accumulate: a process's part of a batch is again split into so many.
    """

    def __init__(
        self, samples: int, batch: int, seed: int, first: int = 0, part: tuple[int, int] = (0, 1), accumulate: int = 1
    ) -> None:
        self.samples, self.batch, self.seed, self.first = samples, batch, seed, first
        self.part, self.accumulate = part, accumulate

    def __iter__(self) -> Iterator[list[Key]]:
        """Yield the keys of one batch after the other."""
        rank, world = self.part
        own = self.batch // world
        step, epoch, order = self.first, -1, np.arange(self.samples)
        while True:
            keys = []
            for position in range(step * self.batch, (step + 1) * self.batch):
                if position // self.samples != epoch:
                    epoch = position // self.samples
                    order = np.random.default_rng(seed_of(self.seed, epoch)).permutation(self.samples)
                keys.append((epoch, int(order[position % self.samples])))
            mine = keys[rank * own : (rank + 1) * own]
            size = own // self.accumulate
            for start in range(0, own, size):
                yield mine[start : start + size]
            step += 1


class TrainingViews(Dataset[tuple[Tensor, ...]]):
    """Two views of an image, by key."""

    def __init__(self, images: TaggedImages, config: Config) -> None:
        self.images, self.seed = images, config.run.seed
        self.views = Views(config.views)
        self.tags = torch.from_numpy(images.tag_matrix())

    def __getitem__(self, key: Key) -> tuple[Tensor, ...]:
        """Views, local crops, tags and mask seed of one image."""
        epoch, index = key
        image = to_tensor(read_image(self.images.samples[index].image))
        views = self.views(image, self.seed, epoch, index)
        return *views, self.tags[index], torch.tensor(seed_of(self.seed, epoch, index, 1))


class ScoredImages(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """An image resized to the training size, its tags and its mask."""

    def __init__(self, images: TaggedImages, size: int) -> None:
        self.images, self.size = images, size
        self.tags = torch.from_numpy(images.tag_matrix())

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Image (3, S, S), tags (K,) and mask (H, W)."""
        sample = self.images.samples[index]
        image = to_tensor(read_image(sample.image)).float().unsqueeze(0)
        image = F.interpolate(image, (self.size, self.size), mode="bilinear", align_corners=False, antialias=True)
        return image[0], self.tags[index], _mask(sample)


def _mask(sample: Sample) -> Tensor:
    if sample.mask is None:
        raise ValueError(f"{sample.name} has no mask")  # the caller chose images with masks
    return torch.from_numpy(np.array(sample.mask()))


def to_tensor(image: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 array → (3, H, W) uint8 tensor."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def training_loader(
    images: TaggedImages, config: Config, first_step: int = 0, part: tuple[int, int] = (0, 1)
) -> DataLoader[Any]:
    """An endless loader of ``Batch`` that begins with the batch of step ``first_step``."""
    run = config.run
    keys = StepKeys(len(images), run.batch, run.seed, first_step, part, run.accumulate)
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


def training_collate(items: list[tuple[Tensor, ...]]) -> Batch:
    """Stack training samples."""
    return Batch(*(torch.stack(column) for column in zip(*items, strict=True)))


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
