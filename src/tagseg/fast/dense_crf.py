"""Equals ``pairwise.crf.dense_crf``, for images of any sizes.

On a CPU in compiled loops, one image a core; on a GPU by kernels, some images of one size at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from tagseg.errors import TagsegError
from tagseg.fast.bilateral import exact_filter
from tagseg.fast.kernels import kernels_serve
from tagseg.fast.workspace import Workspace, Workspaces
from tagseg.pairwise.bilateral import choose
from tagseg.pairwise.config import PUBLISHED_CRF, CrfConfig
from tagseg.pairwise.crf_input import Numbers, Pictures, check_input, crf_input
from tagseg.pairwise.mean_field import mean_field

if TYPE_CHECKING:
    from tagseg.fast.mean_field import CpuMarginals
    from tagseg.fast.mean_field_gpu import GpuMarginals

R = TypeVar("R")


@torch.no_grad()
def dense_crf(
    probabilities: Numbers,
    images: Pictures,
    config: CrfConfig = PUBLISHED_CRF,
    workspaces: Workspaces | None = None,
) -> Float[Tensor, "B C H W"]:
    """Marginals of the CRF whose unary terms are −log of the probabilities; float32, on the probabilities' device.

    Args:
        probabilities: of each class, (B, C, H, W), a tensor or a NumPy array; they sum to one in each pixel.
        images: (B, 3, H, W), 0 to 255, a tensor or a NumPy array of uint8 or any other numbers in this range; or a
            Pillow image, or a list of them. Floats that are 0 to 1 are refused, as the kernel's colours are 0 to 255.
        config: kernels, iterations and how the bilateral one is evaluated; default: the published values.
        workspaces: memory kept from call to call; default: of this call.

    Raises:
        TagsegError: values that are no probabilities, no pictures of 0 to 255, other axes, sizes that differ, or too
            many pixels for the exact filter on a CPU.
    """
    planes, pictures = crf_input(probabilities, images, config)
    if _on_kernels(planes, config):
        from tagseg.fast.crf_batches import gpu_dense_crf

        return gpu_dense_crf(planes, pictures.to(planes.device), config)
    if not _in_loops(planes, config):
        return mean_field(planes, pictures.to(planes.device).float(), config, exact_filter)
    pixels = [picture.permute(1, 2, 0).contiguous().cpu().numpy() for picture in pictures]
    pairs = list(zip(planes, pixels, strict=True))
    return torch.stack(_each_image(pairs, config, workspaces, _planes, _same))


@torch.no_grad()
def crf_marginals(
    probabilities: Sequence[Float[Tensor, "_C _H _W"]],
    images: Sequence[UInt8[ndarray, "_H _W 3"]],
    config: CrfConfig,
    workspaces: Workspaces | None = None,
) -> list[Float[Tensor, "C _H _W"]]:
    """As ``dense_crf``, for images of any sizes; ``workspaces`` are the compiled loops'."""

    def from_kernels(marginals: GpuMarginals, planes: Tensor) -> list[Tensor]:
        return list(marginals.planes(planes.flatten(2)).view(planes.shape))

    pairs = _pairs(probabilities, images)
    return _some_at_a_time(
        pairs, config, lambda others: _each_image(others, config, workspaces, _planes, _same), from_kernels
    )


@torch.no_grad()
def crf_labels(
    probabilities: Sequence[Float[Tensor, "_C _H _W"]],
    images: Sequence[UInt8[ndarray, "_H _W 3"]],
    config: CrfConfig,
    workspaces: Workspaces | None = None,
) -> list[UInt8[ndarray, "_H _W"]]:
    """Each pixel's most probable class after the CRF, as ``crf_marginals``; at most 256 classes."""
    most = max((len(planes) for planes in probabilities), default=0)
    if most > 256:
        raise TagsegError(f"cannot write {most} classes as 8-bit labels, expected at most 256: use crf_marginals")

    def from_kernels(marginals: GpuMarginals, planes: Tensor) -> list[ndarray]:
        return list(marginals.labels().view(len(planes), *planes.shape[2:]).cpu().numpy())

    pairs = _pairs(probabilities, images)
    return _some_at_a_time(
        pairs, config, lambda others: _each_image(others, config, workspaces, _labels, _largest), from_kernels
    )


def _some_at_a_time(
    pairs: Sequence[tuple[Tensor, ndarray]],
    config: CrfConfig,
    each_image: Callable[[Sequence[tuple[Tensor, ndarray]]], list[R]],
    from_kernels: Callable[[GpuMarginals, Tensor], Sequence[R]],
) -> list[R]:
    """The requested result of each pair in order: by the kernels in batches where they apply, else of each image."""
    on_gpu = [_on_kernels(planes, config) for planes, _ in pairs]
    others = [pair for pair, gpu in zip(pairs, on_gpu, strict=True) if not gpu]
    for planes, image in others:
        check_input(planes[None], 1, *image.shape[:2])
    rest = iter(each_image(others))
    if len(others) == len(pairs):
        return list(rest)
    from tagseg.fast.crf_batches import in_batches

    found = iter(in_batches([pair for pair, gpu in zip(pairs, on_gpu, strict=True) if gpu], config, from_kernels))
    return [next(found) if gpu else next(rest) for gpu in on_gpu]


def _each_image(
    pairs: Sequence[tuple[Tensor, ndarray]],
    config: CrfConfig,
    workspaces: Workspaces | None,
    from_loops: Callable[[CpuMarginals, Tensor], R],
    from_plain: Callable[[Tensor], R],
) -> list[R]:
    """Mean field of each image, by the compiled loops where they apply, then the requested result of it."""
    if not any(_in_loops(planes, config) for planes, _ in pairs):
        return [from_plain(_plain(planes, image, config)) for planes, image in pairs]
    from tagseg.fast.mean_field import cpu_mean_field  # numba takes a moment to import

    def result(pair: tuple[Tensor, ndarray], workspace: Workspace) -> R:
        planes, image = pair
        if not _in_loops(planes, config):
            return from_plain(_plain(planes, image, config))
        return from_loops(cpu_mean_field(planes.float().numpy(), image, config, workspace), planes)

    return (workspaces or Workspaces()).map(result, pairs)


def _planes(marginals: CpuMarginals, planes: Float[Tensor, "C H W"]) -> Float[Tensor, "C H W"]:
    return torch.from_numpy(marginals.planes(planes.float().flatten(1).numpy())).view(planes.shape)


def _labels(marginals: CpuMarginals, planes: Float[Tensor, "C H W"]) -> UInt8[ndarray, "H W"]:
    return marginals.labels().reshape(planes.shape[1:])


def _same(marginals: Float[Tensor, "C H W"]) -> Float[Tensor, "C H W"]:
    return marginals


def _pairs(probabilities: Sequence[Tensor], images: Sequence[ndarray]) -> list[tuple[Tensor, ndarray]]:
    """Pairs of probabilities and image; the probabilities are detached, as ``no_grad`` holds for one thread alone."""
    if len(probabilities) != len(images):
        raise TagsegError(f"a dense CRF got {len(probabilities)} probability maps and {len(images)} images")
    return [(planes.detach(), image) for planes, image in zip(probabilities, images, strict=True)]


def _plain(planes: Float[Tensor, "C H W"], image: UInt8[ndarray, "H W 3"], config: CrfConfig) -> Tensor:
    """Marginals of one image by tensor operations, where its probabilities are."""
    pixels = torch.tensor(np.ascontiguousarray(image), device=planes.device).permute(2, 0, 1)
    return mean_field(planes[None], pixels[None].float(), config, exact_filter)[0]


def _largest(marginals: Float[Tensor, "C H W"]) -> UInt8[ndarray, "H W"]:
    return marginals.max(dim=0).indices.to(torch.uint8).cpu().numpy()  # argmax takes longer on a CPU


def _in_loops(planes: Float[Tensor, "*_ H W"], config: CrfConfig) -> bool:
    """Whether the compiled loops apply: the lattice on a CPU."""
    device = planes.device.type
    return device == "cpu" and choose(config.method, planes.shape[-2] * planes.shape[-1], device) == "lattice"


def _on_kernels(planes: Float[Tensor, "*_ H W"], config: CrfConfig) -> bool:
    """Whether the kernels apply: the lattice on a GPU, for which Triton is installed."""
    pixels = planes.shape[-2] * planes.shape[-1]
    return kernels_serve(planes) and choose(config.method, pixels, planes.device.type) == "lattice"
