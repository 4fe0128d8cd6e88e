"""Which classes a dense CRF has to filter: those that could win a pixel, with the proof that no other can."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tagseg.pairwise.config import CrfConfig
from tagseg.pairwise.spatial import normaliser

LEAST = 1e-10
"""A probability below this counts as this: certainty that the pixels around can overrule."""


def relevant_classes(shares: Float[Tensor, " C"], reach: float, negligible: float) -> Bool[Tensor, " C"]:
    """Classes that must be filtered.

    A message lies between 0 and W · sup Q_k, W being the ``reach``. So Q_k / Q_b ≤ r_k · exp(W q) as long as Q_k ≤ q
    everywhere; with r_k ≤ 1 / (e W), q = e · r_k satisfies that at the start and after every iteration. A class with
    r_k ≤ min(``negligible``, 1 / (e W)) therefore never exceeds e · r_k < 1 of the best one: it wins no pixel. What it
    would receive, at most W · e · r_k, is left out.

    Args:
        shares: r_k of each class (``largest_shares``).
        reach: W, an upper bound of Σ_kernels weight · Σ_j n_i k_ij n_j over all pixels i (``reach_of``).
        negligible: classes with a larger share are filtered in any case; 0 filters all.
    """
    limit = min(negligible, 1 / (math.e * max(reach, 1e-6)))
    return shares > limit if limit > 0 else torch.ones_like(shares, dtype=torch.bool)


def largest_shares(probabilities: Float[Tensor, "B C N"]) -> Float[Tensor, " C"]:
    """r_k = p_k / max_b p_b where it is largest over all pixels, for each class; 0 to 1."""
    best = probabilities.amax(dim=1, keepdim=True)
    return (probabilities / best).amax(dim=(0, 2))


def reach_of(config: CrfConfig, size: tuple[int, int], most: float, least: float) -> float:
    """W, an upper bound of what all pixels together can send to one: Σ_kernels weight · n_most / n_least.

    Σ_j n_i k_ij n_j ≤ n_i n_most Σ_j k_ij = n_most / n_i, for n_i = 1 / √(Σ_j k_ij).

    Args:
        config: the kernels' weights and widths.
        size: height and width in pixels.
        most: largest normaliser of the bilateral kernel over all pixels.
        least: smallest one.
    """
    axes = [normaliser(side, config.gaussian_sigma) for side in size]
    gaussian = math.prod(float(axis.max() / axis.min()) for axis in axes)
    return config.bilateral_weight * most / least + config.gaussian_weight * gaussian
