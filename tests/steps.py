"""What tests of a training step share: a tiny FSR, random batches and when every loss is on."""

import torch
from torch import Tensor

from tagseg.config import Config
from tagseg.data.batch import Batch
from tagseg.data.seeds import seed_of
from tagseg.methods.fsr import FSR

from .conftest import CLASSES

EVERY = {"uncertain", "certain", "classification", "affinity", "segmentation", "energy"}
"""The losses of a step by name."""
LATE = 5
"""A step at which all losses are on."""
MIXED = [[1, 0, 1], [0, 0, 0]]
"""Tags of two images, of which one has none."""


def module_of(config: Config, seed: int = 0) -> FSR:
    """In training mode; its weights depend on the seed alone."""
    torch.manual_seed(seed)
    return FSR(config, CLASSES).train()


def batch_of(tags: list[list[int]], size: int = 32, local: int = 0, seed: int = 0, label: bool = False) -> Batch:
    """Random views of one image for each row of tags.

    Args:
        tags: 0 or 1 for each class.
        size: side of the views.
        local: local crops of each image.
        seed: the views are drawn from it; the image at place i has seed + i.
        label: with random labels, as if they existed before the step.
    """
    generator = torch.Generator().manual_seed(seed)
    count = len(tags)
    seeds = torch.arange(count) + seed

    def images(*shape: int) -> Tensor:
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)

    view1, view2, crops = images(count, 3, size, size), images(count, 3, size, size), images(count, local, 3, 16, 16)
    labels = torch.zeros(count, 0, 0, dtype=torch.uint8)
    if label:
        labels = torch.randint(0, len(CLASSES) + 1, (count, size, size), dtype=torch.uint8, generator=generator)
    drop_path_seeds = [[seed_of(one, view) for view in range(1, 3 + local)] for one in seeds.tolist()]
    return Batch(
        view1, view2, crops, torch.tensor(tags).float(), seeds, torch.tensor(drop_path_seeds, dtype=torch.int64), labels
    )
