"""One Gaussian filter over position and colour, Σ_j exp(−½‖f_i − f_j‖²) v_j, evaluated in one of two ways.

``exact`` sums over all pairs; ``lattice`` interpolates on a permutohedral lattice, at a cost linear in the number of
points. The lattice's estimate is smooth where the sum has one point's own value on top: docs/pairwise.md has its error.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from tagseg.config import Method
from tagseg.pairwise.exact import exact_filter
from tagseg.pairwise.lattice import Lattice, mass
from tagseg.pairwise.parallel import each

MOST_EXACT = {"cpu": 500, "cuda": 16_000}
"""Up to so many points ``auto`` sums exactly. CPU: where both take as long (docs/pairwise.md); GPU: not measured."""


def features(image: Float[Tensor, "B 3 H W"], sigma_xy: float, sigma_rgb: float) -> Float[Tensor, "B N 5"]:
    """Position over ``sigma_xy`` and colour over ``sigma_rgb`` of each pixel; colours in 0 to 255, N = H·W."""
    h, w = image.shape[-2:]
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    position = torch.stack([x, y]).to(image).flatten(1).T / sigma_xy
    colour = image.flatten(2).transpose(1, 2) / sigma_rgb
    return torch.cat([position.expand(len(image), -1, -1), colour], dim=2)


def choose(method: Method, points: int, device: str) -> Literal["exact", "lattice"]:
    """What ``auto`` means for so many points an image on a device; any other method is itself."""
    if method != "auto":
        return method
    return "exact" if points <= MOST_EXACT.get(device, MOST_EXACT["cpu"]) else "lattice"


@torch.no_grad()
def gaussian_filter(
    points: Float[Tensor, "B N F"], values: Float[Tensor, "B N M"], method: Method = "auto"
) -> Float[Tensor, "B N M"]:
    """Σ_j exp(−½‖f_i − f_j‖²) v_j for every i, the point itself included; float32.

    Args:
        points: each point's features in units of the kernel's widths.
        values: what is filtered, any number of channels.
        method: ``exact`` (time N²), ``lattice`` (time N; an estimate), or ``auto``: the sooner done.

    Raises:
        TagsegError: too many points for the exact sum on a CPU, or points too far apart for a lattice.
    """
    if choose(method, points.shape[1], points.device.type) == "exact":
        return exact_filter(points, values)
    return lattice_filter(points, values) * mass(points.shape[2])


@torch.no_grad()
def lattice_filter(points: Float[Tensor, "B N F"], values: Float[Tensor, "B N M"]) -> Float[Tensor, "B N M"]:
    """The lattice's estimate at the published scale, which is 1 / ``mass`` of the sum; float32."""
    points, values = points.detach().float(), values.detach().float()
    if points.device.type != "cpu" or points.shape[2] != 5:
        return Lattice.build(points).filter(values)
    from tagseg.pairwise.lattice_cpu import CpuLattice  # numba takes a moment to import

    pairs = zip(points.contiguous().numpy(), values.numpy(), strict=True)
    filtered = each(lambda pair, room: CpuLattice(pair[0], room).filter(pair[1]), list(pairs))
    return torch.stack([torch.from_numpy(result) for result in filtered])
