"""Equals ``pairwise.bilateral``: compiled loops on a CPU for the lattice, a fused GPU kernel for the exact sum."""

from __future__ import annotations

from importlib.util import find_spec

import torch
from jaxtyping import Float
from torch import Tensor

from tagseg.fast.workspace import Workspaces
from tagseg.fsr.energy import LATTICE_SCALE
from tagseg.pairwise import exact
from tagseg.pairwise.bilateral import choose
from tagseg.pairwise.config import FilterMethod
from tagseg.pairwise.lattice import Lattice, mass


@torch.no_grad()
def gaussian_filter(
    points: Float[Tensor, "B N F"], values: Float[Tensor, "B N M"], method: FilterMethod = "auto"
) -> Float[Tensor, "B N M"]:
    """Equals ``pairwise.bilateral.gaussian_filter``."""
    if choose(method, points.shape[1], points.device.type) == "exact":
        return exact_filter(points, values)
    return lattice_filter(points, values) * mass(points.shape[2])


@torch.no_grad()
def lattice_scale_filter(
    points: Float[Tensor, "B N F"],
    values: Float[Tensor, "B N M"],
    method: FilterMethod,
    workspaces: Workspaces | None = None,
) -> Float[Tensor, "B N M"]:
    """Equals ``fsr.energy.lattice_scale_filter``."""
    if choose(method, points.shape[1], points.device.type) == "exact":
        return LATTICE_SCALE * exact_filter(points, values)
    return lattice_filter(points, values, workspaces)


@torch.no_grad()
def lattice_filter(
    points: Float[Tensor, "B N F"], values: Float[Tensor, "B N M"], workspaces: Workspaces | None = None
) -> Float[Tensor, "B N M"]:
    """Equals ``Lattice.build(points).filter(values)``, at the published scale; float32."""
    points, values = points.detach().float(), values.detach().float()
    if points.device.type != "cpu" or points.shape[2] != 5:
        return Lattice.build(points).filter(values)
    from tagseg.fast.lattice import CpuLattice  # numba takes a moment to import

    pairs = list(zip(points.contiguous().numpy(), values.numpy(), strict=True))
    workspaces = workspaces or Workspaces()
    filtered = workspaces.map(lambda pair, workspace: CpuLattice(pair[0], workspace).filter(pair[1]), pairs)
    return torch.stack([torch.from_numpy(result) for result in filtered])


@torch.no_grad()
def exact_filter(points: Float[Tensor, "B N F"], values: Float[Tensor, "B N M"]) -> Float[Tensor, "B N M"]:
    """Equals ``pairwise.exact.exact_filter``."""
    if points.is_cuda and find_spec("triton") is not None:
        from tagseg.fast.exact_triton import gaussian_sum

        return gaussian_sum(points.float().contiguous(), values.float().contiguous())
    return exact.exact_filter(points, values)
