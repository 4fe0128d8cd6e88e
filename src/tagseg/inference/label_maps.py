"""Label maps and scores of what the network saw: the argmax, or a dense CRF's (METHOD §9).

Merging the scales at a photo's size is the costly part, so all that is made of one photo's logits is made of one merge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float16, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor

from tagseg.config import CrfConfig
from tagseg.inference.look import Look
from tagseg.inference.segment import Sizing, label_map, merge_scales, most_likely
from tagseg.model.network import Network
from tagseg.pairwise.crf import crf_labels, crf_marginals


@dataclass(frozen=True)
class Wanted:
    """What to make of a photo's logits.

    Attributes:
        plain: the label map without a CRF.
        crf: the kernels of a CRF to make another one with.
        scores: every class's score per pixel.
    """

    plain: bool = True
    crf: CrfConfig | None = None
    scores: bool = False


@dataclass(frozen=True)
class Labelled:
    """What was found in a photo, each where it was wanted.

    Attributes:
        photo: uint8 (H, W, 3).
        plain: each pixel's class, 0 to C-1, without a CRF.
        refined: the same after the CRF.
        scores: every class's score before a CRF.
    """

    photo: UInt8[ndarray, "H W 3"]
    plain: UInt8[ndarray, "H W"] | None
    refined: UInt8[ndarray, "H W"] | None
    scores: Float16[ndarray, "C H W"] | None

    @property
    def labels(self) -> UInt8[ndarray, "H W"]:
        """The label map, the CRF's where there is one."""
        best = self.plain if self.refined is None else self.refined
        assert best is not None  # Wanted has one or the other
        return best


@torch.inference_mode()
def label_maps(looks: Sequence[Look], sizing: Sizing, wanted: Wanted) -> list[Labelled]:
    """Everything that is wanted of each photo, as large as the photo.

    A CRF sees each photo at its native size, or shrunk to ``sizing.max_side`` as the network does; its marginals are
    then enlarged. On a CPU every core takes a photo.

    Raises:
        TagsegError: see ``dense_crf``.
    """
    merged = [_merge(seen, sizing, wanted) for seen in looks]
    refined: Sequence[ndarray | None] = [None] * len(looks)
    if wanted.crf is not None:
        refined = _refine(looks, [planes for _, _, planes in merged if planes is not None], wanted.crf)
    return [
        Labelled(seen.photo, plain, after, scores)
        for seen, (plain, scores, _), after in zip(looks, merged, refined, strict=True)
    ]


def _merge(seen: Look, sizing: Sizing, wanted: Wanted) -> tuple[ndarray | None, ndarray | None, Tensor | None]:
    """A photo's plain label map, its scores, and the probabilities for its CRF, each where it is wanted."""
    size = sizing.within(*seen.size) if wanted.crf else None
    if not wanted.scores and size != seen.size:  # nothing needs every class's plane at the photo's size
        planes = merge_scales(seen.grids, size).softmax(dim=0) if size else None
        return label_map(seen.grids, seen.size) if wanted.plain else None, None, planes
    logits = merge_scales(seen.grids, seen.size)
    plain = most_likely(logits) if wanted.plain else None
    planes = logits.softmax(dim=0)
    scores = planes.half().cpu().numpy() if wanted.scores else None
    if size is not None and size != seen.size:
        planes = merge_scales(seen.grids, size).softmax(dim=0)
    return plain, scores, planes if size else None


def _refine(looks: Sequence[Look], planes: list[Float[Tensor, "C _h _w"]], config: CrfConfig) -> list[ndarray]:
    """Label maps after the CRF at the planes' sizes, enlarged to the photos'."""
    sizes = [(found.shape[1], found.shape[2]) for found in planes]
    photos = [_shrunk(seen.photo, size) for seen, size in zip(looks, sizes, strict=True)]
    if all(size == seen.size for size, seen in zip(sizes, looks, strict=True)):
        return crf_labels(planes, photos, config)
    marginals = crf_marginals(planes, photos, config)
    return [label_map([found], seen.size) for found, seen in zip(marginals, looks, strict=True)]


def photos_at_once(network: Network, wanted: Wanted) -> int:
    """How many photos to look at before their label maps are made: a CRF on the CPU takes one a core."""
    device = next(network.parameters()).device.type
    return torch.get_num_threads() if wanted.crf and device == "cpu" else 1


def _shrunk(photo: UInt8[ndarray, "H W 3"], size: tuple[int, int]) -> UInt8[ndarray, "h w 3"]:
    if photo.shape[:2] == size:
        return photo
    return np.array(Image.fromarray(photo).resize((size[1], size[0]), Image.Resampling.BILINEAR))
