"""Repeat factor sampling (LVIS, Gupta et al. 2019): images of rare classes occur several times in an epoch."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


def repeat_factors(tags: Float[ndarray, "n K"], below: float) -> Float[ndarray, " n"]:
    """max(1, √(below / f)) of the rarest class of each image, where f is the share of images with that class.

    Args:
        tags: 0 or 1.
        below: classes in fewer than this share of the images are repeated; 0 repeats none.
    """
    often = tags.mean(axis=0)
    factors = np.sqrt(below / np.maximum(often, 1 / max(1, len(tags)))).clip(min=1)
    return np.where(tags > 0, factors, 1.0).max(axis=1, initial=1.0)


def draw_repeats(factors: Float[ndarray, " n"], rng: np.random.Generator) -> Int[ndarray, " n"]:
    """How often each image occurs in one epoch: its factor on average. The sum is the same in every epoch.

    The integer part is fixed; the fractional parts are drawn by systematic sampling, which keeps their sum.
    """
    whole = np.floor(factors).astype(np.int64)
    rest = factors - whole
    many = int(np.floor(rest.sum() + 1e-9))
    if many:
        edges = np.concatenate([[0.0], np.cumsum(rest * (many / rest.sum()))])
        edges[-1] = many
        extra: Int[ndarray, " n"] = np.diff(np.floor(edges + rng.random()).astype(np.int64))
        whole = whole + extra
    return whole
