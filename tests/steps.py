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


def assert_close(fast, plain, tolerance=1e-5):
    """Named tensors agree to float32 rounding."""
    assert set(fast) == set(plain)
    for name, value in plain.items():
        error = (fast[name] - value).abs() - tolerance * value.abs()
        assert error.max() <= 1e-6, f"{name}: {fast[name]} instead of {value}"


def assert_gradients_agree(fast, plain):
    """Each tensor relative to its norm; the bias of a key has none in theory, only rounding."""
    assert {name for name, g in fast.items() if g.any()} == {name for name, g in plain.items() if g.any()}
    largest = max(g.norm() for g in plain.values())
    for name, value in plain.items():
        ours = fast.get(name, torch.zeros_like(value))
        if name.endswith(("attn.qkv.bias", "key.bias")):
            assert (ours - value).norm() <= 1e-5 * largest, name
        else:
            assert (ours - value).norm() <= 1e-4 * value.norm() + 1e-9 * largest, name


def sharpened(config, seed=0):
    """A module whose CAMs, centres, teacher and biases are not at their neutral start, so that each can be wrong."""
    module = module_of(config, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for values in (*module.student.parameters(), *module.teacher.parameters(), *module.centres.buffers()):
            values.add_(0.05 * torch.randn(values.shape, generator=generator))
    return module
