"""Labels from class-agnostic proposals: each segment takes the tag that a score map votes for. Not in the paper.

Proposals (``data/proposals.py``) know where things end, the score map of a network knows, coarsely, what they are.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int, Int64, Real, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from tagseg.data.dataset import IGNORE

SPECK = 0.25
"""Segments smaller than this share of a patch are specks."""


@torch.no_grad()
def label_from_proposals(
    segments: Int[ndarray, "H W"],
    scores: Float[Tensor, "K h w"],
    tags: Real[Tensor, " K"],
    *,
    decides_foreground: bool,
    foreground: Float[Tensor, "h w"] | None = None,
) -> UInt8[ndarray, "H W"] | None:
    """Label map of one image: 0 background, 1 to K its tags, 255 undecided.

    Each segment takes the tag of the image with the highest mean score over the segment's pixels. If there are as many
    segments as tags, none goes without: it takes, from a tag that has several, the segment that scores highest for it,
    of those that are no specks if there are any: a score map says nothing about what is much smaller than a patch.

    Args:
        segments: ids, 0 where there is no segment; small numbers, since memory grows with the largest.
        scores: of the classes on the patch grid, the higher the likelier: in [0, 1] or logits. They are interpolated.
        tags: 0 or 1; an image without tags is all background.
        decides_foreground: whether proposals were made for foreground alone.
            True, for masks of objects and saliency: every segment is foreground, all other pixels are background.
            False, for what covers the whole image (superpixels, SAM's automatic masks; see ``covers_image``):
            a segment whose mean ``foreground`` is below 0 is background, but at least as many of the highest stay as
            there are tags, if there are that many. A pixel in no segment is background below 0, else 255.
        foreground: score of the same grid, foreground from 0 on; needed if the proposals do not decide.

    Returns:
        The label map, or ``None`` for an image with tags but without any segment.

    Raises:
        ValueError: the proposals do not decide what is foreground and there is no score of it.
    """
    present = tags.nonzero().flatten().cpu()
    if not len(present):
        return np.zeros(segments.shape, np.uint8)
    areas = np.bincount(segments.ravel())
    ids = np.flatnonzero(areas[1:]) + 1
    if not len(ids):
        return None
    if not decides_foreground and foreground is None:
        raise ValueError("proposals that do not decide what is foreground need a foreground score, got None")
    votes = np.stack([_sums(segments, scores[k])[ids] / areas[ids] for k in present.tolist()])
    kept = np.ones(len(ids), bool)
    if not decides_foreground and foreground is not None:
        kept = _foreground_segments(_sums(segments, foreground)[ids] / areas[ids], len(present))
    large = areas[ids] * scores[0].numel() >= SPECK * segments.size
    label_of_id = np.zeros(len(areas), np.uint8)
    label_of_id[ids[kept]] = present.numpy()[_vote(votes[:, kept], large[kept])] + 1
    label = label_of_id[segments]
    if not decides_foreground and foreground is not None:
        label[(segments == 0) & (_interpolated(foreground, segments.shape) >= 0)] = IGNORE
    return label


def covers_image(segments: Int[ndarray, "H W"], share: float = 0.9) -> bool:
    """Whether segments cover at least this share of the pixels: then background must be among them."""
    return bool(np.count_nonzero(segments) >= share * segments.size)


def _interpolated(plane: Float[Tensor, "h w"], size: tuple[int, ...]) -> Float[ndarray, "H W"]:
    whole = F.interpolate(plane.float()[None, None], list(size), mode="bilinear", align_corners=False)
    pixels: Float[ndarray, "H W"] = whole[0, 0].cpu().numpy()
    return pixels


def _sums(segments: Int[ndarray, "H W"], plane: Float[Tensor, "h w"]) -> Float64[ndarray, " ids"]:
    """Sum of the interpolated scores over the pixels of each id."""
    return np.bincount(segments.ravel(), _interpolated(plane, segments.shape).ravel())


def _foreground_segments(mean: Float64[ndarray, " n"], least: int) -> Bool[ndarray, " n"]:
    kept = mean >= 0
    if kept.sum() < least <= len(mean):
        kept[np.argsort(-mean, kind="stable")[:least]] = True
    return kept


def _vote(votes: Float64[ndarray, "t n"], large: Bool[ndarray, " n"]) -> Int64[ndarray, " n"]:
    """For each segment its row with the highest vote; then rows without a segment take one, the highest vote first."""
    tags, many = votes.shape
    choice = votes.argmax(axis=0)
    if many < tags:
        return choice
    while (lacking := np.bincount(choice, minlength=tags) == 0).any():
        shared = np.bincount(choice, minlength=tags)[choice] > 1
        free = shared & large if (shared & large).any() else shared
        rows, columns = np.flatnonzero(lacking), np.flatnonzero(free)
        row, column = np.unravel_index(votes[np.ix_(rows, columns)].argmax(), (len(rows), len(columns)))
        choice[columns[column]] = rows[row]
    return choice
