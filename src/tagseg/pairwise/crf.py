"""Fully connected CRF (Krähenbühl & Koltun 2011): labels that follow edges (section 9 of docs/method.md)."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from tagseg.errors import TagsegError
from tagseg.pairwise.config import PUBLISHED_CRF, CrfConfig
from tagseg.pairwise.mean_field import mean_field

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
    return mean_field(probabilities, images.to(probabilities.device).float(), config)


def check_input(probabilities: Float[Tensor, "B C H W"], images: int, height: int, width: int) -> None:
    """Raise ``TagsegError`` unless there is a probability for each class and pixel of so many images of this size."""
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
