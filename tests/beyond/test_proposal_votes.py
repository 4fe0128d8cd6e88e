"""Segments take the tag that the scores vote for: against a plain loop on random input, and by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor
from torch.nn import functional as F

from tagseg.beyond.proposal_votes import covers_image, label_from_proposals

GRID, SIZE = (2, 3), (8, 12)
CLASSES = 4


def mean_over(plane: Tensor, inside: np.ndarray) -> float:
    pixels = F.interpolate(plane[None, None], inside.shape, mode="bilinear", align_corners=False)[0, 0]
    return float(pixels.numpy()[inside].astype(np.float64).mean())


def plain(segments: np.ndarray, scores: Tensor, tags: Tensor, foreground: Tensor | None) -> np.ndarray | None:
    """As the docstring says it, segment by segment; ``foreground`` where the proposals do not decide."""
    label = np.zeros(segments.shape, np.uint8)
    present = [k for k in range(len(tags)) if tags[k]]
    regions = [segments == i for i in sorted(set(segments.ravel().tolist()) - {0})]
    if not present:
        return label
    if not regions:
        return None
    kept = regions
    if foreground is not None:
        means = [mean_over(foreground, region) for region in regions]
        kept = [region for region, mean in zip(regions, means, strict=True) if mean >= 0]
        if len(kept) < len(present) <= len(regions):
            order = sorted(range(len(regions)), key=lambda i: -means[i])
            kept = [regions[i] for i in sorted(order[: len(present)])]
        above = F.interpolate(foreground[None, None], segments.shape, mode="bilinear", align_corners=False)[0, 0] >= 0
        label[(segments == 0) & above.numpy()] = 255
    votes = [{k: mean_over(scores[k], region) for k in present} for region in kept]
    choice = [max(vote, key=lambda k: vote[k]) for vote in votes]
    while len(kept) >= len(present) and set(choice) != set(present):
        shared = [i for i, k in enumerate(choice) if choice.count(k) > 1]
        large = [i for i in shared if kept[i].sum() >= kept[i].size / scores[0].numel() / 4]
        lacking = [k for k in present if k not in choice]
        k, i = max(((k, i) for k in lacking for i in large or shared), key=lambda pair: votes[pair[1]][pair[0]])
        choice[i] = k
    for region, k in zip(kept, choice, strict=True):
        label[region] = k + 1
    return label


def different(count: int) -> st.SearchStrategy[Tensor]:
    """Values that differ, so that no rounding decides who wins."""
    order = st.permutations(range(count))
    return order.map(lambda places: torch.tensor(places).float().sin() * 3)


CASES = {
    "segments": arrays(np.int32, SIZE, elements=st.integers(0, 6)) | arrays(np.int32, (1, 1), elements=st.just(3)),
    "scores": different(CLASSES * 6).map(lambda values: values.reshape(CLASSES, *GRID)),
    "tags": arrays(np.float32, CLASSES, elements=st.sampled_from([0.0, 1.0])).map(torch.from_numpy),
}


@given(**CASES)
def test_foreground_masks_vote_like_a_plain_loop(segments, scores, tags):
    expected = plain(segments, scores, tags, None)
    label = label_from_proposals(segments, scores, tags, decides_foreground=True)
    assert (label is None) == (expected is None)
    if label is not None and expected is not None:
        assert label.dtype == np.uint8
        assert label.tolist() == expected.tolist()


@given(foreground=different(6).map(lambda values: values.reshape(GRID)), **CASES)
def test_segments_that_cover_the_image_vote_like_a_plain_loop(segments, scores, tags, foreground):
    expected = plain(segments, scores, tags, foreground)
    label = label_from_proposals(segments, scores, tags, decides_foreground=False, foreground=foreground)
    assert (label is None) == (expected is None)
    if label is not None and expected is not None:
        assert label.tolist() == expected.tolist()


@given(**CASES)
def test_every_tag_has_a_segment_where_there_are_enough(segments, scores, tags):
    label = label_from_proposals(segments, scores, tags, decides_foreground=True)
    present = set((tags.nonzero().flatten() + 1).tolist())
    if label is not None and present and len(set(segments.ravel().tolist()) - {0}) >= len(present):
        assert set(label.ravel().tolist()) - {0} == present


SIDES = np.repeat(np.array([[1, 2, 3]], np.int64), 4, axis=0).repeat(4, axis=1)  # three columns of 4×4
LEFT_TO_RIGHT = torch.tensor([[[0.9, 0.5, 0.1]], [[0.1, 0.4, 0.9]], [[1.0, 1.0, 1.0]]])


def columns(label: np.ndarray | None) -> list[int]:
    assert label is not None
    assert (label == label[:1]).all()
    return label[0, ::4].tolist()


def test_a_segment_takes_the_tag_with_the_highest_mean():
    tags = torch.tensor([1, 1, 0])  # the third class, highest everywhere, is no tag
    assert columns(label_from_proposals(SIDES, LEFT_TO_RIGHT, tags, decides_foreground=True)) == [1, 1, 2]
    assert columns(label_from_proposals(SIDES, LEFT_TO_RIGHT - 5, tags, decides_foreground=True)) == [1, 1, 2]
    assert columns(label_from_proposals(SIDES * (SIDES != 2), LEFT_TO_RIGHT, tags, decides_foreground=True)) == [
        1,
        0,
        2,
    ]


def test_a_tag_without_a_segment_takes_the_one_that_scores_highest_for_it():
    high = torch.tensor([[[3.0, 3.0, 3.0]], [[0.0, 0.0, 1.0]], [[0.0, 2.0, 0.0]]])
    assert columns(label_from_proposals(SIDES, high, torch.tensor([1, 1, 1]), decides_foreground=True)) == [1, 3, 2]
    fewer = np.minimum(SIDES, 2)
    assert columns(label_from_proposals(fewer, high, torch.tensor([1, 1, 1]), decides_foreground=True)) == [1, 1, 1]


def test_a_speck_is_not_taken_while_there_is_a_larger_segment():
    segments = SIDES.copy()
    segments[0, 11] = 4  # where the lacking tag scores highest
    high = torch.tensor([[[3.0, 3.0, 3.0]], [[0.0, 0.0, 1.0]]])
    label = label_from_proposals(segments, high, torch.tensor([1, 1]), decides_foreground=True)
    assert label is not None
    assert label[0].tolist() == [1] * 8 + [2] * 3 + [1]
    only_specks = np.zeros_like(SIDES)
    only_specks[0, 0], only_specks[0, 11] = 1, 2
    label = label_from_proposals(only_specks, high, torch.tensor([1, 1]), decides_foreground=True)
    assert label is not None
    assert label[0].tolist() == [1] + [0] * 10 + [2]


def test_covering_segments_are_background_where_the_foreground_score_is_negative():
    foreground = torch.tensor([[-1.0, -1.0, 2.0]])
    one, two = torch.tensor([1, 0, 0]), torch.tensor([1, 1, 0])

    def label(segments: np.ndarray, tags: Tensor, score: Tensor) -> list[int]:
        made = label_from_proposals(segments, LEFT_TO_RIGHT, tags, decides_foreground=False, foreground=score)
        return columns(made)

    assert label(SIDES, one, foreground) == [0, 0, 1]
    assert label(SIDES, one, foreground - 9) == [0, 0, 1], "a tag shows somewhere"
    assert label(SIDES, two, foreground) == [0, 1, 2], "two tags need two segments, the most salient ones"
    assert label(SIDES * (SIDES != 1), one, foreground + 4) == [255, 1, 1], "a gap may be foreground"


def test_images_without_tags_or_without_proposals():
    none, nothing = torch.zeros(3), np.zeros((4, 12), np.int32)
    for decides in (True, False):
        label = label_from_proposals(SIDES, LEFT_TO_RIGHT, none, decides_foreground=decides)
        assert columns(label) == [0, 0, 0]
        tagged = label_from_proposals(nothing, LEFT_TO_RIGHT, none + 1, decides_foreground=decides)
        assert tagged is None
    untagged = label_from_proposals(nothing, LEFT_TO_RIGHT, none, decides_foreground=True)
    assert columns(untagged) == [0, 0, 0]


def test_a_foreground_score_is_needed_where_proposals_do_not_decide():
    with pytest.raises(ValueError, match="need a foreground score"):
        label_from_proposals(SIDES, LEFT_TO_RIGHT, torch.ones(3), decides_foreground=False)


def test_half_precision_and_an_image_smaller_than_the_grid():
    scores = torch.rand(2, 16, 16, generator=torch.Generator().manual_seed(0)).half()
    scores[1] += 1
    label = label_from_proposals(np.ones((5, 3), np.int32), scores, torch.ones(2), decides_foreground=True)
    assert label is not None
    assert label.tolist() == [[2] * 3] * 5


def test_covering():
    assert covers_image(SIDES)
    assert not covers_image(SIDES * (SIDES != 2))
    assert covers_image(SIDES * (SIDES != 2), 0.6)
