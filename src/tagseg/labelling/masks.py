"""From scores of a photo's own labels to its mask, with or without a dense CRF."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray

from tagseg.data.dataset import Sample
from tagseg.data.images import image_size
from tagseg.fast.workspace import Workspaces
from tagseg.inference.attempt import attempt
from tagseg.inference.label_maps import Wanted, label_maps
from tagseg.inference.multi_scale import PhotoLogits
from tagseg.inference.segment import Sizing, label_map
from tagseg.labelling.scores import OwnScores, Scorer
from tagseg.pairwise.config import CrfConfig


def masks_of(
    samples: Sequence[Sample],
    wanted: Sequence[int],
    scorer: Scorer | None,
    crf: CrfConfig | None,
    max_side: int,
) -> Iterator[tuple[int, UInt8[ndarray, "_H _W"] | str]]:
    """Each wanted photo's index and its mask at its size, or an error message; as they are ready, not in order.

    Args:
        samples: all photos; those without tags are background.
        wanted: indices of those whose masks are wanted.
        scorer: scores of the photos with tags; ``None`` where there are none.
        crf: settings of the CRF; ``None``: without one.
        max_side: longest side in pixels that the CRF sees; 0: no limit.
    """
    for index in wanted:
        if not samples[index].tags:
            yield index, attempt(partial(_background, samples[index]), samples[index].image)
    tagged = [index for index in wanted if samples[index].tags]
    if not tagged:
        return
    assert scorer is not None  # there are photos with tags
    at_once = torch.get_num_threads() if crf else 1  # one for each core
    waiting: list[tuple[int, OwnScores]] = []
    workspaces = Workspaces()
    for number, (index, scores) in enumerate(scorer(samples, tagged, read=crf is not None), 1):
        if isinstance(scores, str):
            yield index, scores
        else:
            waiting.append((index, scores))
        if len(waiting) == at_once or number == len(tagged):
            yield from _together(samples, waiting, crf, Sizing(max_side=max_side), workspaces)
            waiting = []


def _background(sample: Sample) -> UInt8[ndarray, "_H _W"]:
    return np.zeros(image_size(sample.image), np.uint8)


def _together(
    samples: Sequence[Sample],
    several: list[tuple[int, OwnScores]],
    crf: CrfConfig | None,
    sizing: Sizing,
    workspaces: Workspaces,
) -> list[tuple[int, ndarray | str]]:
    """The masks of several photos at once; if that fails, of each, so that only the photo with the error fails."""
    if not several:
        return []
    first = samples[several[0][0]].image
    masks = attempt(partial(_masks, [scores for _, scores in several], crf, sizing, workspaces), first)
    if not isinstance(masks, str):
        return [(index, mask) for (index, _), mask in zip(several, masks, strict=True)]
    if len(several) == 1:
        return [(several[0][0], masks)]
    return [_together(samples, [one], crf, sizing, workspaces)[0] for one in several]


@torch.inference_mode()
def _masks(several: list[OwnScores], crf: CrfConfig | None, sizing: Sizing, workspaces: Workspaces) -> list[ndarray]:
    if crf is None:
        places = [label_map(scores.grids, scores.size) for scores in several]
    else:
        photos = [PhotoLogits(scores.photo, scores.grids) for scores in several if scores.photo is not None]
        wanted = Wanted(plain=False, crf=crf)
        places = [labelled.labels for labelled in label_maps(photos, sizing, wanted, workspaces)]
    return [np.array(scores.labels, np.uint8)[own] for scores, own in zip(several, places, strict=True)]
