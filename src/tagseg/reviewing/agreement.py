"""How far two label maps of a photo agree; of a prediction and a ground-truth mask, this is the photo's IoU."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from tagseg.data.dataset import IGNORE
from tagseg.errors import TagsegError


def photo_iou(one: UInt8[ndarray, "H W"], other: UInt8[ndarray, "H W"]) -> float:
    """Mean IoU, 0 to 1, over the labels that one of the maps or both have, background included.

    So a photo of background alone has 1 where nothing is found in it, and at most 0.5 where something is. A class that
    only one map has counts as 0, however small it is. Pixels that are ignored (255) in either map are left out; nan
    where all are. Symmetric.

    Raises:
        TagsegError: maps of different sizes.
    """
    if one.shape != other.shape:
        raise TagsegError(f"two label maps have sizes {one.shape} and {other.shape}, expected the same size")
    counted = (one != IGNORE) & (other != IGNORE)
    first, second = one[counted], other[counted]
    hits = np.bincount(first[first == second], minlength=IGNORE)
    union = np.bincount(first, minlength=IGNORE) + np.bincount(second, minlength=IGNORE) - hits
    present = union > 0
    return float((hits[present] / union[present]).mean()) if present.any() else float("nan")


def mean_agreement(maps: Sequence[UInt8[ndarray, "H W"]]) -> float:
    """Mean ``photo_iou`` of all pairs of maps; nan for fewer than two."""
    pairs = [photo_iou(one, other) for one, other in combinations(maps, 2)]
    return sum(pairs) / len(pairs) if pairs else float("nan")
