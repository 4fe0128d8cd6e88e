"""Fully connected CRF (Krähenbühl & Koltun 2011): labels that follow the edges of the image (METHOD §9)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from tagseg.config import PUBLISHED_CRF, CrfConfig
from tagseg.errors import TagsegError
from tagseg.pairwise.bilateral import choose
from tagseg.pairwise.mean_field import mean_field
from tagseg.pairwise.parallel import each
from tagseg.pairwise.room import Room

if TYPE_CHECKING:
    from tagseg.pairwise.crf_cpu import CpuMarginals

R = TypeVar("R")

_SUM_ERROR = 1e-2  # half precision, as score files have it, sums to 1 within this


@torch.no_grad()
def dense_crf(
    probabilities: Float[Tensor, "B C H W"], images: UInt8[Tensor, "B 3 H W"], config: CrfConfig = PUBLISHED_CRF
) -> Float[Tensor, "B C H W"]:
    """Marginals of the CRF whose unary terms are −log of the probabilities; float32, on the probabilities' device.

    Args:
        probabilities: of each class; they sum to one in each pixel.
        images: 0 to 255.
        config: kernels, iterations and how the bilateral one is evaluated; default: the published values.

    Raises:
        TagsegError: values that are no probabilities, sizes that differ, or too many pixels for the exact filter on a
            CPU.
    """
    check_input(probabilities, len(images), images.shape[2], images.shape[3])
    if not _in_loops(probabilities, config):
        return mean_field(probabilities, images.to(probabilities.device).float(), config)
    pixels = [image.permute(1, 2, 0).contiguous().cpu().numpy() for image in images]
    return torch.stack(_each_image(list(zip(probabilities.detach(), pixels, strict=True)), config, _planes, _same))


@torch.no_grad()
def crf_marginals(
    probabilities: Sequence[Float[Tensor, "C _H _W"]], images: Sequence[UInt8[ndarray, "_H _W 3"]], config: CrfConfig
) -> list[Float[Tensor, "C _H _W"]]:
    """As ``dense_crf``, for images of any sizes; on a CPU the lattice has one image a core."""
    return _each_image(_checked(probabilities, images), config, _planes, _same)


@torch.no_grad()
def crf_labels(
    probabilities: Sequence[Float[Tensor, "C _H _W"]], images: Sequence[UInt8[ndarray, "_H _W 3"]], config: CrfConfig
) -> list[UInt8[ndarray, "_H _W"]]:
    """Each pixel's most probable class after the CRF, as ``crf_marginals``; at most 256 classes."""
    most = max((len(planes) for planes in probabilities), default=0)
    if most > 256:
        raise TagsegError(f"cannot write {most} classes as 8-bit labels, expected at most 256: use crf_marginals")
    return _each_image(_checked(probabilities, images), config, _labels, _largest)


def _each_image(
    pairs: Sequence[tuple[Tensor, ndarray]],
    config: CrfConfig,
    of_loops: Callable[[CpuMarginals, Tensor], R],
    of_plain: Callable[[Tensor], R],
) -> list[R]:
    """Mean field of each image, in compiled loops over the cores where they do it, and what is wanted of it."""
    if not any(_in_loops(planes, config) for planes, _ in pairs):
        return [of_plain(_plain(planes, image, config)) for planes, image in pairs]
    from tagseg.pairwise.crf_cpu import cpu_mean_field  # numba takes a moment to import

    def result(pair: tuple[Tensor, ndarray], room: Room) -> R:
        planes, image = pair
        if not _in_loops(planes, config):
            return of_plain(_plain(planes, image, config))
        return of_loops(cpu_mean_field(planes.float().numpy(), image, config, room), planes)

    return each(result, pairs)


def _planes(found: CpuMarginals, planes: Float[Tensor, "C H W"]) -> Float[Tensor, "C H W"]:
    return torch.from_numpy(found.planes(planes.float().flatten(1).numpy())).view(planes.shape)


def _labels(found: CpuMarginals, planes: Float[Tensor, "C H W"]) -> UInt8[ndarray, "H W"]:
    return found.labels().reshape(planes.shape[1:])


def _same(marginals: Float[Tensor, "C H W"]) -> Float[Tensor, "C H W"]:
    return marginals


def _checked(probabilities: Sequence[Tensor], images: Sequence[ndarray]) -> list[tuple[Tensor, ndarray]]:
    """Pairs of planes and image that belong together; the planes without their graph (no_grad is a thread's own)."""
    if len(probabilities) != len(images):
        raise TagsegError(f"a dense CRF got {len(probabilities)} probability maps and {len(images)} images")
    for planes, image in zip(probabilities, images, strict=True):
        check_input(planes[None], 1, *image.shape[:2])
    return [(planes.detach(), image) for planes, image in zip(probabilities, images, strict=True)]


def _plain(planes: Float[Tensor, "C H W"], image: UInt8[ndarray, "H W 3"], config: CrfConfig) -> Tensor:
    """Marginals of one image by tensor operations, where its probabilities are."""
    pixels = torch.tensor(np.ascontiguousarray(image), device=planes.device).permute(2, 0, 1)
    return mean_field(planes[None], pixels[None].float(), config)[0]


def _largest(marginals: Float[Tensor, "C H W"]) -> UInt8[ndarray, "H W"]:
    return marginals.argmax(dim=0).to(torch.uint8).cpu().numpy()


def _in_loops(planes: Float[Tensor, "*_ H W"], config: CrfConfig) -> bool:
    """Whether the compiled loops do it: the lattice on a CPU."""
    device = planes.device.type
    return device == "cpu" and choose(config.method, planes.shape[-2] * planes.shape[-1], device) == "lattice"


def check_input(probabilities: Float[Tensor, "B C H W"], images: int, height: int, width: int) -> None:
    """Raise ``TagsegError`` unless there is a probability for each class and pixel of so many images of that size."""
    count, _, rows, columns = probabilities.shape
    if (count, rows, columns) != (images, height, width):
        ours, theirs = f"{count} of {columns} x {rows} pixels", f"{images} of {width} x {height}"
        raise TagsegError(f"a dense CRF got probabilities for {ours} and images: {theirs}, expected the same")
    if not probabilities.numel():
        raise TagsegError(f"a dense CRF got probabilities of size {tuple(probabilities.shape)}, expected some pixels")
    if not torch.isfinite(probabilities).all():
        raise TagsegError("a dense CRF got probabilities that are not finite (NaN or infinite): check the network")
    if probabilities.amin() < 0:
        raise TagsegError(
            f"a dense CRF got a probability of {probabilities.amin():.3g}, expected 0 to 1: take the logits' softmax"
        )
    total = probabilities.float().sum(dim=1)
    off = (total - 1).abs().amax()
    if off > _SUM_ERROR:
        worst = total.flatten()[(total - 1).abs().argmax()]
        raise TagsegError(
            f"a dense CRF got probabilities that sum to {worst:.3g} in a pixel, expected 1: take the logits' softmax"
        )
