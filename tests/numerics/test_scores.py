"""Scores are from 0 to 1 and equal to torchmetrics' on any label maps, ignored pixels included."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tagseg.metrics.boundary import BoundaryScore
from tagseg.metrics.segmentation import SegmentationScore
from tagseg.metrics.tags import tag_f1
from tagseg.metrics.trimap import TrimapScore

from .examples import CLASSES, KINDS, LABELS, PRECISIONS, SEEDS, examples, labels, random, sides, tags, values

COUNTS = st.sampled_from([2, 3, 22, 82, 255])
"""Of classes with the background."""
SIZES = st.tuples(sides(12), sides(12))


def maps(count: int, size: tuple[int, int], kind: str, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A prediction, uint8 as the program makes them, and a truth."""
    predicted = torch.randint(0, count, size, generator=random(seed + 7)).to(torch.uint8)
    truth = labels(1, size, count, kind, seed)[0]
    agreed = torch.rand(size, generator=random(seed + 8)) < 0.5
    return torch.where(agreed & (truth != 255), truth, predicted).to(torch.uint8), truth.to(torch.uint8)


@pytest.fixture(scope="module")
def theirs():
    """Imported late: that takes seconds."""
    from torchmetrics.functional.classification import multiclass_accuracy, multiclass_jaccard_index

    def scores(predicted, truth, count):
        both = predicted.long().flatten(), truth.long().flatten()
        iou = multiclass_jaccard_index(*both, count, average="none", ignore_index=255)
        return iou, multiclass_accuracy(*both, count, average="micro", ignore_index=255)

    return scores


@examples(15)
@given(COUNTS, SIZES, LABELS, SEEDS)
def test_iou_and_accuracy_equal_torchmetrics(theirs, count, size, kind, seed):
    predicted, truth = maps(count, size, kind, seed)
    score = SegmentationScore(count)
    score.update(predicted, truth)
    result = score.compute()
    present = torch.tensor(result.truth_pixels) > 0
    if not present.any():
        assert math.isnan(result.mean_iou)
        assert math.isnan(result.pixel_accuracy)
        return
    iou, accuracy = theirs(predicted, truth, count)
    ours = torch.tensor(result.iou)
    torch.testing.assert_close(ours[~ours.isnan()], iou[~ours.isnan()], rtol=1e-5, atol=1e-6)
    assert math.isclose(result.mean_iou, iou[present].mean(), rel_tol=1e-5, abs_tol=1e-6)
    assert math.isclose(result.pixel_accuracy, accuracy, rel_tol=1e-5, abs_tol=1e-6)
    assert 0 <= result.mean_iou <= 1
    assert 0 <= result.pixel_accuracy <= 1


@examples(15)
@given(COUNTS, SIZES, LABELS, st.sampled_from([0.001, 0.02, 0.5]), SEEDS)
def test_boundary_and_trimap_scores_are_from_0_to_1_or_nothing_counts(count, size, kind, share, seed):
    predicted, truth = maps(count, size, kind, seed)
    for shown, perfect in ((predicted, False), (torch.where(truth == 255, 0, truth), True)):
        boundary, trimap = BoundaryScore(count, share), TrimapScore(count, (1, 4))
        boundary.update(shown, truth)
        trimap.update(shown, truth)
        found = [boundary.compute(), *(result.mean_iou for result in trimap.compute())]
        assert all(math.isnan(value) or 0 <= value <= 1 for value in found)
        assert math.isnan(found[0]) == (truth == 255).all(), "any counted pixel makes a region, and that an outline"
        near, far = (sum(result.truth_pixels) for result in trimap.compute())
        assert near <= far <= int((truth != 255).sum())
        if perfect and not (truth == 255).any():
            assert all(math.isnan(value) or value == 1 for value in found)


@examples(15)
@given(st.integers(1, 4), CLASSES, KINDS, PRECISIONS, st.floats(0.01, 0.99), SEEDS)
def test_the_f1_of_tags_is_from_0_to_1_and_as_by_hand(count, classes, kind, dtype, threshold, seed):
    logits, true = values((count, classes), kind, seed, dtype), tags(count, classes, seed)
    found = tag_f1(logits, true, threshold)
    for place, (row, wanted) in enumerate(zip(logits.sigmoid() > threshold, true > 0, strict=True)):
        predicted, known = set(row.nonzero().flatten().tolist()), set(wanted.nonzero().flatten().tolist())
        by_hand = 2 * len(predicted & known) / (len(predicted) + len(known)) if predicted or known else 1.0
        assert math.isclose(found[place], by_hand, rel_tol=1e-6)
        assert 0 <= found[place] <= 1
