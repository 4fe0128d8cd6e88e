"""What tests of numerics draw from, and how often: ``TAGSEG_EXAMPLES=100`` draws a hundred times as many, at random."""

import os
from collections.abc import Callable
from typing import TypeVar

import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from torch import Tensor

FACTOR = int(os.environ.get("TAGSEG_EXAMPLES", "1"))
CLASSES = st.sampled_from([1, 2, 21, 81, 1000])
"""Of foreground."""
SEEDS = st.integers(0, 2**31 - 1)
PRECISIONS = st.sampled_from([torch.float32, torch.bfloat16, torch.float16])
KINDS = st.sampled_from(["random", "zero", "constant", "near zero", "large"])
"""Of features and logits."""
PHOTOS = st.sampled_from(["random", "black", "white", "one colour", "two colours"])
LABELS = st.sampled_from(["random", "all ignored", "background", "one class", "one known pixel"])

T = TypeVar("T", bound=Callable[..., object])


def examples(count: int) -> Callable[[T], T]:
    """So many random examples, the same in each run unless more are asked for."""
    slow = [HealthCheck.too_slow]
    return settings(max_examples=count * FACTOR, derandomize=FACTOR == 1, deadline=None, suppress_health_check=slow)


def sides(most: int) -> SearchStrategy[int]:
    """Pixels or patches along one side."""
    return st.integers(1, most)


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def values(shape: tuple[int, ...], kind: str, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Finite numbers: features or logits."""
    drawn = torch.randn(shape, generator=random(seed))
    made = {
        "random": 3 * drawn,
        "zero": torch.zeros(shape),
        "constant": torch.full(shape, 0.7),
        "near zero": 1e-6 * drawn,
        "large": drawn.clamp(-6, 6) * 1e4,  # float16 ends at 65504
    }[kind]
    return made.to(dtype)


def cams(shape: tuple[int, int, int, int], kind: str, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Normalised class activation maps, in [0, 1]."""
    drawn = torch.rand(shape, generator=random(seed))
    made = {
        "random": drawn,
        "zero": torch.zeros(shape),
        "constant": torch.full(shape, 0.7),
        "near zero": 1e-6 * drawn,
        "large": drawn.round(),
    }[kind]
    return made.to(dtype)


def tags(count: int, classes: int, seed: int, most: int = 4) -> Tensor:
    """0 or 1; each image has at most a few, the last of several has none."""
    generator = random(seed)
    made = torch.zeros(count, classes)
    for row in made:
        some = int(torch.randint(0, most + 1, (), generator=generator))
        row[torch.randperm(classes, generator=generator)[:some]] = 1
    if count > 1:
        made[-1] = 0
    return made


def photos(count: int, size: tuple[int, int], kind: str, seed: int) -> Tensor:
    """uint8 (B, 3, H, W)."""
    drawn = torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8, generator=random(seed))
    made = {
        "random": drawn,
        "black": torch.zeros_like(drawn),
        "white": torch.full_like(drawn, 255),
        "one colour": drawn[:, :, :1, :1].expand_as(drawn),
        "two colours": drawn // 128 * 255,
    }[kind]
    return made.contiguous()


def labels(count: int, size: tuple[int, int], labelled: int, kind: str, seed: int) -> Tensor:
    """int64 (B, H, W): labels below ``labelled`` and below 255, or 255."""
    most = min(labelled, 255)
    drawn = torch.randint(0, most, (count, *size), generator=random(seed))
    drawn[torch.rand(drawn.shape, generator=random(seed + 1)) < 0.2] = 255
    made = {
        "random": drawn,
        "all ignored": torch.full_like(drawn, 255),
        "background": torch.zeros_like(drawn),
        "one class": torch.full_like(drawn, most - 1),
        "one known pixel": torch.full_like(drawn, 255),
    }[kind]
    if kind == "one known pixel":
        made[0, 0, 0] = most - 1
    return made


def assert_finite(**numbers: Tensor | None) -> None:
    for name, value in numbers.items():
        assert value is not None, f"{name} is absent"
        assert torch.isfinite(value).all(), f"{name} is not finite"
