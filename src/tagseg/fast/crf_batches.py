"""Equals ``pairwise.crf.dense_crf`` for many images on a GPU: some of one size at a time, as memory allows.

Each image has the result that it has alone, but for the order of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from numpy import ndarray
from torch import Tensor

from tagseg.fast.mean_field_gpu import GpuMarginals, gpu_mean_field
from tagseg.pairwise.config import CrfConfig
from tagseg.pairwise.crf_input import check_input

R = TypeVar("R")

MOST_IMAGES = 8
"""Images at once: more fill a GPU no better."""

MOST_NUMBERS = 8 * 500 * 375 * 24
"""Pixels times classes at once, of all images: about 3 GB. A single larger image takes what it needs."""


def gpu_dense_crf(
    probabilities: Float[Tensor, "B C H W"], images: Shaped[Tensor, "B 3 H W"], config: CrfConfig
) -> Float[Tensor, "B C H W"]:
    """Marginals of each image alone; float32."""
    at_once = images_at_once(probabilities.shape)
    parts = [
        gpu_mean_field(planes, pixels.float(), config).planes(planes.flatten(2))
        for planes, pixels in zip(probabilities.split(at_once), images.split(at_once), strict=True)
    ]
    return (parts[0] if len(parts) == 1 else torch.cat(parts)).view(probabilities.shape)


def in_batches(
    pairs: Sequence[tuple[Float[Tensor, "_C _H _W"], UInt8[ndarray, "_H _W 3"]]],
    config: CrfConfig,
    result: Callable[[GpuMarginals, Tensor], Sequence[R]],
) -> list[R]:
    """The result of each pair, in order. ``result``: of a batch's marginals and its probabilities (B, C, H, W).

    Raises:
        TagsegError: values that are no probabilities, sizes that differ.
    """
    alike: dict[object, list[int]] = {}
    for place, (planes, image) in enumerate(pairs):
        alike.setdefault((planes.shape, planes.dtype, planes.device, image.shape), []).append(place)
    found: dict[int, R] = {}
    for places in alike.values():
        at_once = images_at_once((len(places), *pairs[places[0]][0].shape))
        for start in range(0, len(places), at_once):
            some = places[start : start + at_once]
            planes = torch.stack([pairs[place][0] for place in some])
            pictures = np.stack([pairs[place][1] for place in some])
            check_input(planes, *pictures.shape[:3])
            pixels = torch.from_numpy(pictures).to(planes.device).permute(0, 3, 1, 2)
            marginals = gpu_mean_field(planes, pixels.float(), config)
            found.update(zip(some, result(marginals, planes), strict=True))
    return [found[place] for place in range(len(pairs))]


def images_at_once(shape: Sequence[int]) -> int:
    """How many of these images (B, C, H, W) are filtered at a time."""
    _, classes, height, width = shape
    numbers = height * width * (classes + -classes % 8)
    return max(1, min(MOST_IMAGES, MOST_NUMBERS // max(1, numbers)))
