"""Fully connected CRF (Krähenbühl & Koltun 2011): labels that follow edges (section 9 of docs/method.md)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from tagseg.pairwise.config import PUBLISHED_CRF, CrfConfig
from tagseg.pairwise.crf_input import Numbers, Pictures, crf_input
from tagseg.pairwise.mean_field import mean_field


@torch.no_grad()
def dense_crf(probabilities: Numbers, images: Pictures, config: CrfConfig = PUBLISHED_CRF) -> Float[Tensor, "B C H W"]:
    """Marginals of the CRF whose unary terms are −log of the probabilities; float32, on the probabilities' device.

    Args:
        probabilities: of each class, (B, C, H, W), a tensor or a NumPy array; they sum to one in each pixel.
        images: (B, 3, H, W), 0 to 255, a tensor or a NumPy array of uint8 or any other numbers in this range; or a
            Pillow image, or a list of them. Floats that are 0 to 1 are refused, as the kernel's colours are 0 to 255.
        config: kernels, iterations and how the bilateral one is evaluated; default: the published values.

    Raises:
        TagsegError: values that are no probabilities, no pictures of 0 to 255, other axes, sizes that differ, or too
            many pixels for the exact filter on a CPU.
    """
    planes, pictures = crf_input(probabilities, images, config)
    return mean_field(planes, pictures.to(planes.device).float(), config)
