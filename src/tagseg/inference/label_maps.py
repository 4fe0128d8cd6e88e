"""Label maps and scores from a photo's logits, with or without a dense CRF (section 9 of docs/method.md).

Merging the scales at the size of a photo is slow, so all outputs are made from one merge where possible.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float16, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor

from tagseg.fast.dense_crf import crf_labels, crf_marginals
from tagseg.fast.workspace import Workspaces
from tagseg.inference.multi_scale import PhotoLogits
from tagseg.inference.segment import Sizing, label_map, merge_scales, most_likely
from tagseg.model.network import Network
from tagseg.pairwise.config import CrfConfig

_VALUES_TOGETHER = 1 << 26
"""Probabilities of photos that a GPU labels together: 256 MB, 17 photos of 500 x 375 with 21 classes."""


@dataclass(frozen=True)
class Wanted:
    """Which outputs are made for a photo.

    Attributes:
        plain: the label map without a CRF.
        crf: settings of the CRF for a refined label map; ``None``: no such map.
        scores: the score of each class at each pixel.
    """

    plain: bool = True
    crf: CrfConfig | None = None
    scores: bool = False


@dataclass(frozen=True)
class Labelled:
    """A photo and its outputs; ``None`` for those that were not asked for.

    Attributes:
        photo: uint8 (H, W, 3).
        plain: label map, 0 to C-1, without a CRF.
        refined: label map after the CRF.
        scores: the score of each class at each pixel, before a CRF.
    """

    photo: UInt8[ndarray, "H W 3"]
    plain: UInt8[ndarray, "H W"] | None
    refined: UInt8[ndarray, "H W"] | None
    scores: Float16[ndarray, "C H W"] | None

    @property
    def labels(self) -> UInt8[ndarray, "H W"]:
        """The label map after the CRF if there is one, else the plain one."""
        best = self.plain if self.refined is None else self.refined
        assert best is not None  # Wanted has one or the other
        return best


@torch.inference_mode()
def label_maps(
    photos: Sequence[PhotoLogits], sizing: Sizing, wanted: Wanted, workspaces: Workspaces | None = None
) -> list[Labelled]:
    """The outputs of each photo, at the photo's size.

    A CRF runs at the native size, or at ``sizing.max_side`` for larger photos; its marginals are then upsampled. On a
    CPU each core processes one photo.

    Raises:
        TagsegError: see ``dense_crf``.
    """
    merged = [_merge(logits, sizing, wanted) for logits in photos]
    refined: Sequence[ndarray | None] = [None] * len(photos)
    if wanted.crf is not None:
        refined = _refine(photos, [planes for _, _, planes in merged if planes is not None], wanted.crf, workspaces)
    return [
        Labelled(logits.photo, plain, after, scores)
        for logits, (plain, scores, _), after in zip(photos, merged, refined, strict=True)
    ]


def _merge(logits: PhotoLogits, sizing: Sizing, wanted: Wanted) -> tuple[ndarray | None, ndarray | None, Tensor | None]:
    """The plain label map of a photo, its scores, and the probabilities for its CRF, as far as they are wanted."""
    size = sizing.within(*logits.size) if wanted.crf else None
    if not wanted.scores and size != logits.size:  # no output needs the planes of all classes at the photo's size
        planes = merge_scales(logits.grids, size).softmax(dim=0) if size else None
        return label_map(logits.grids, logits.size) if wanted.plain else None, None, planes
    merged = merge_scales(logits.grids, logits.size)
    plain = most_likely(merged) if wanted.plain else None
    planes = merged.softmax(dim=0)
    scores = planes.half().cpu().numpy() if wanted.scores else None
    if size is not None and size != logits.size:
        planes = merge_scales(logits.grids, size).softmax(dim=0)
    return plain, scores, planes if size else None


def _refine(
    photos: Sequence[PhotoLogits],
    planes: list[Float[Tensor, "C _h _w"]],
    config: CrfConfig,
    workspaces: Workspaces | None,
) -> list[ndarray]:
    """Label maps after the CRF, which runs at the sizes of the planes, upsampled to the sizes of the photos."""
    sizes = [(one.shape[1], one.shape[2]) for one in planes]
    shrunk = [_shrunk(logits.photo, size) for logits, size in zip(photos, sizes, strict=True)]
    if all(size == logits.size for size, logits in zip(sizes, photos, strict=True)):
        return crf_labels(planes, shrunk, config, workspaces)
    marginals = crf_marginals(planes, shrunk, config, workspaces)
    return [label_map([one], logits.size) for one, logits in zip(marginals, photos, strict=True)]


def photos_at_once(network: Network, wanted: Wanted) -> int:
    """Number of photos whose label maps are made together: one for each core with a CRF on the CPU, else 1."""
    device = next(network.parameters()).device.type
    return torch.get_num_threads() if wanted.crf and device == "cpu" else 1


def overlaps(device: torch.device, wanted: Wanted) -> bool:
    """Whether results of a batch wait until the next one is queued: on a GPU, unless scores would fill the memory."""
    return device.type == "cuda" and not wanted.scores


def in_budget(photos: Sequence[tuple[int, PhotoLogits]], sizing: Sizing) -> Iterator[list[tuple[int, PhotoLogits]]]:
    """The photos in order, as many together as their probabilities may take of a GPU's memory, or a single one."""
    together: list[tuple[int, PhotoLogits]] = []
    values = 0
    for index, logits in photos:
        height, width = sizing.within(*logits.size)
        own = logits.grids[0].shape[0] * height * width
        if together and values + own > _VALUES_TOGETHER:
            yield together
            together, values = [], 0
        together.append((index, logits))
        values += own
    if together:
        yield together


def _shrunk(photo: UInt8[ndarray, "H W 3"], size: tuple[int, int]) -> UInt8[ndarray, "h w 3"]:
    if photo.shape[:2] == size:
        return photo
    return np.array(Image.fromarray(photo).resize((size[1], size[0]), Image.Resampling.BILINEAR))
