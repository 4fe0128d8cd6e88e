"""Mean field of the dense CRF in tensor operations on any device."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tagseg.pairwise.bilateral import choose
from tagseg.pairwise.config import CrfConfig
from tagseg.pairwise.exact import exact_filter
from tagseg.pairwise.lattice import Lattice, pixel_features
from tagseg.pairwise.relevant import LEAST, largest_shares, reach_of, relevant_classes
from tagseg.pairwise.spatial import smooth

Filter = Callable[[Tensor, Tensor], Tensor]
"""Features (B, N, F) and values (B, N, M) → filtered values."""


def mean_field(
    probabilities: Float[Tensor, "B C H W"],
    images: Float[Tensor, "B 3 H W"],
    config: CrfConfig,
    exact: Filter = exact_filter,
) -> Float[Tensor, "B C H W"]:
    """Marginals after ``config.iterations`` (Krähenbühl & Koltun 2011, algorithm 1): Potts, symmetric normalisation.

    Q ← softmax_k(log p_k + w_g Σ_j g̃_ij Q_jk + w_b Σ_j b̃_ij Q_jk), g̃ and b̃ being n_i k_ij n_j with n_i = 1/√(Σ_j k_ij),
    the pixel itself included. Images of a batch share which classes are filtered. ``exact`` evaluates the exact sum.
    """
    size = (probabilities.shape[2], probabilities.shape[3])
    planes = probabilities.float().flatten(2)
    bilateral, norm = _bilateral(images.float(), config, exact)
    keep, rest, unary = _unary(planes, reach_of(config, size, float(norm.max()), float(norm.min())), config)
    q, left = planes[:, keep].transpose(1, 2), planes[:, ~keep].sum(dim=1)
    for _ in range(config.iterations):
        message = config.bilateral_weight * norm * bilateral(norm * q)
        if config.gaussian_weight:
            grid = q.unflatten(1, size)
            message += config.gaussian_weight * smooth(grid, config.gaussian_sigma).flatten(1, 2)
        every = torch.cat([unary + message, rest], dim=2).softmax(dim=2)
        q, left = every[..., :-1], every[..., -1]
    others = planes * ~keep[:, None]
    result = others * (left / others.sum(dim=1).clamp(min=LEAST)).unsqueeze(1)
    result[:, keep] = q.transpose(1, 2)
    return result.unflatten(2, size)


def _bilateral(
    images: Float[Tensor, "B 3 H W"], config: CrfConfig, exact: Filter
) -> tuple[Callable[[Tensor], Tensor], Float[Tensor, "B N 1"]]:
    """The filter over position and colour of these images, and its normaliser n."""
    points = pixel_features(images, config.bilateral_sigma_xy, config.bilateral_sigma_rgb)
    if choose(config.method, points.shape[1], points.device.type) == "lattice":
        bilateral = Lattice.build(points).filter
    else:

        def bilateral(values: Tensor) -> Tensor:
            return exact(points, values)

    norm = bilateral(torch.ones_like(points[..., :1])).clamp(min=1e-20).rsqrt()
    return bilateral, norm


def _unary(
    planes: Float[Tensor, "B C N"], reach: float, config: CrfConfig
) -> tuple[Bool[Tensor, " C"], Float[Tensor, "B N 1"], Float[Tensor, "B N k"]]:
    """Which classes are filtered, the log of the others' total, and the filtered classes' log probabilities."""
    keep = relevant_classes(largest_shares(planes), reach, config.negligible)
    rest = planes[:, ~keep].sum(dim=1).clamp(min=LEAST**2).log().unsqueeze(2)
    return keep, rest, planes[:, keep].clamp(min=LEAST).log().transpose(1, 2)
