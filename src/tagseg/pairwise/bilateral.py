"""One Gaussian filter over position and colour, Σ_j exp(−½‖f_i − f_j‖²) v_j, evaluated in one of two ways.

``exact`` sums over all pairs; ``lattice`` interpolates on a permutohedral lattice, at a cost linear in the number of
points. The lattice's estimate is smooth where the sum has one point's own value on top: docs/pairwise.md has its error.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from tagseg.pairwise.config import FilterMethod
from tagseg.pairwise.exact import exact_filter
from tagseg.pairwise.lattice import Lattice, mass

logger = logging.getLogger("tagseg")

MOST_EXACT = {"cpu": 500, "cuda": 5_000}
"""``auto`` sums exactly up to this many points. CPU: measured (docs/results_pairwise.md). GPU: from what an H100 takes
with 21 channels, 5.6e-12 s for each pair of points, 0.14 ms at 5,000; the lattice's kernels take 0.5 ms a filter for
187,500 points, and never less than some 0.1 ms to launch."""

SLOW_EXACT = {"cpu": 4_000, "cuda": 16_000}
"""Above this many points the exact sum takes more than ten times as long as the lattice; from the same figures."""


def choose(method: FilterMethod, points: int, device: str) -> Literal["exact", "lattice"]:
    """What ``auto`` means for a number of points an image on a device; any other method is itself.

    A warning says where ``exact`` was chosen and is slow, once for each kind of device.
    """
    if method == "exact" and points > SLOW_EXACT.get(device, SLOW_EXACT["cpu"]):
        _warn_of_time(device)
    if method != "auto":
        return method
    return "exact" if points <= MOST_EXACT.get(device, MOST_EXACT["cpu"]) else "lattice"


@cache
def _warn_of_time(device: str) -> None:
    most = SLOW_EXACT.get(device, SLOW_EXACT["cpu"])
    logger.warning(
        "method exact takes more than ten times as long as method lattice above %s pixels on this device (%s)",
        f"{most:,}",
        device,
    )


@torch.no_grad()
def gaussian_filter(
    points: Float[Tensor, "B N F"], values: Float[Tensor, "B N M"], method: FilterMethod = "auto"
) -> Float[Tensor, "B N M"]:
    """Σ_j exp(−½‖f_i − f_j‖²) v_j for every i, the point itself included; float32.

    Args:
        points: each point's features in units of the kernel's standard deviations.
        values: what is filtered, any number of channels.
        method: ``exact`` (time N²), ``lattice`` (time N; an estimate), or ``auto``: the faster of the two.

    Raises:
        TagsegError: too many points for the exact sum on a CPU, or points too far apart for a lattice.
    """
    if choose(method, points.shape[1], points.device.type) == "exact":
        return exact_filter(points, values)
    return Lattice.build(points.float()).filter(values.float()) * mass(points.shape[2])
