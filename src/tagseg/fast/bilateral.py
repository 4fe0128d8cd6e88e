"""Equals ``pairwise.bilateral``: compiled loops on a CPU for the lattice, GPU kernels for it and for the exact sum."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from tagseg.fast.kernels import kernels_serve
from tagseg.fast.workspace import Workspaces
from tagseg.fsr.energy import LATTICE_SCALE
from tagseg.pairwise import exact
from tagseg.pairwise.bilateral import choose
from tagseg.pairwise.config import FilterMethod
from tagseg.pairwise.lattice import Bounds, Lattice, mass

_MOST_FEATURES = 8
"""Of points on a GPU: the kernels hold all pairs of a point's coordinates."""


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
    bounds: Bounds | None = None,
) -> Float[Tensor, "B N M"]:
    """Equals ``fsr.energy.lattice_scale_filter``; ``workspaces`` and ``bounds`` as of ``lattice_filter``."""
    if choose(method, points.shape[1], points.device.type) == "exact":
        return LATTICE_SCALE * exact_filter(points, values)
    return lattice_filter(points, values, workspaces, bounds)


@torch.no_grad()
def lattice_filter(
    points: Float[Tensor, "B N F"],
    values: Float[Tensor, "B N M"],
    workspaces: Workspaces | None = None,
    bounds: Bounds | None = None,
) -> Float[Tensor, "B N M"]:
    """Equals ``Lattice.build(points).filter(values)``, at the published scale; float32.

    Args:
        points: each point's features in units of the kernel's standard deviations.
        values: what is filtered.
        workspaces: memory of the compiled loops, kept from call to call.
        bounds: least and most that features can be (``pixel_bounds``). A GPU then does not wait for the host to see
            them; points outside give NaN there.

    Raises:
        TagsegError: points too far apart for a lattice.
    """
    points, values = points.detach().float(), values.detach().float()
    if kernels_serve(points) and points.shape[2] <= _MOST_FEATURES:
        from tagseg.fast.lattice_triton import GpuLattice

        return GpuLattice.build(points, bounds).filter(values)
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
    if kernels_serve(points):
        from tagseg.fast.exact_triton import gaussian_sum

        return gaussian_sum(points.float().contiguous(), values.float().contiguous())
    return exact.exact_filter(points, values)
