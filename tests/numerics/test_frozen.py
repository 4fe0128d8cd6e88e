"""Foreground of frozen features is finite and within the tags, also of constant photos, single ones and one patch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tagseg.beyond.linear_probe import logistic_regression
from tagseg.frozen.foreground import fit_foreground
from tagseg.frozen.labels import label_of_planes
from tagseg.frozen.normalised_cut import normalised_cut
from tagseg.frozen.random_walk import random_walk
from tagseg.frozen.whitening import Whitening

from .examples import CLASSES, KINDS, PRECISIONS, SEEDS, assert_finite, examples, sides, tags, values

GRIDS = st.tuples(sides(5), sides(5))
CONSTANT = st.sets(st.integers(0, 3))
"""Photos whose patches are all the same."""


def features_of(count, width, grid, kind, constant, seed, dtype):
    features = values((count, width, *grid), kind, seed, dtype)
    for index in constant:
        if index < count:
            features[index] = features[index, :, :1, :1].clone()
    return features


@examples(12)
@given(st.integers(1, 4), st.integers(1, 6), GRIDS, KINDS, CONSTANT, PRECISIONS, SEEDS)
def test_a_cut_has_mean_0_and_variance_1_or_is_0(count, width, grid, kind, constant, dtype, seed):
    cut = normalised_cut(features_of(count, width, grid, kind, constant, seed, dtype))
    assert cut.dtype == torch.float32
    assert_finite(cut=cut)
    for photo in cut:
        if photo.any():
            torch.testing.assert_close(photo.std(), torch.ones(()), rtol=1e-3, atol=1e-3)
            assert abs(photo.mean()) < 1e-4
    for index in constant:
        assert index >= count or not cut[index].any()


@examples(12)
@given(st.integers(1, 4), st.integers(1, 6), GRIDS, KINDS, KINDS, CONSTANT, PRECISIONS, SEEDS)
def test_a_walk_stays_within_the_scores_of_the_photo(count, width, grid, kind, other, constant, dtype, seed):
    features = features_of(count, width, grid, kind, constant, seed, dtype)
    scores = values((count, *grid), other, seed + 1)
    walked = random_walk(scores, features)
    assert_finite(walked=walked)
    for before, after in zip(scores, walked, strict=True):
        room = 1e-5 * before.abs().max()
        zero = torch.zeros(())  # of a patch whose features are 0
        assert min(before.min(), zero) - room <= after.min()
        assert after.max() <= max(before.max(), zero) + room


@examples(12)
@given(st.integers(1, 4), st.integers(1, 6), GRIDS, KINDS, CONSTANT, PRECISIONS, SEEDS)
def test_whitened_features_are_finite(count, width, grid, kind, constant, dtype, seed):
    features = features_of(count, width, grid, kind, constant, seed, dtype)
    whitening = Whitening.fitted(features)
    assert_finite(matrix=whitening.matrix, white=whitening(features))


@examples(14)
@given(
    st.integers(1, 4), st.integers(1, 6), GRIDS, KINDS, KINDS, CONSTANT, CLASSES, st.sampled_from([0.0, 0.2, 1.0]),
    PRECISIONS, SEEDS,
)  # fmt: skip
def test_labels_of_a_fitted_foreground_are_within_the_tags(
    count, width, grid, kind, other, constant, classes, share, dtype, seed
):
    final = features_of(count, width, grid, kind, constant, seed, dtype)
    auxiliary = features_of(count, width, grid, other, constant, seed + 1, dtype)
    present = tags(count, min(classes, 254), seed)
    fitted = fit_foreground(final, auxiliary, present, share)
    score = fitted.score(final, auxiliary, present)
    assert present.any() or (score == -torch.inf).all(), "without any tag all is background"
    assert not present.any() or torch.isfinite(score).all()
    planes = fitted.planes(final, auxiliary, present).clamp(min=-1e4)
    assert_finite(planes=planes)
    for label, row in zip(label_of_planes(planes, (2 * grid[0], 2 * grid[1])), present, strict=True):
        assert set(label.unique().tolist()) <= {0, *(row.nonzero().flatten() + 1).tolist()}


@examples(5)
@given(st.integers(1, 5), st.integers(1, 8), CLASSES, KINDS, SEEDS)
def test_a_logistic_regression_is_finite(count, width, classes, kind, seed):
    for present in (tags(count, classes, seed), torch.ones(count, classes), torch.zeros(count, classes)):
        assert_finite(weights=logistic_regression(values((count, width), kind, seed), present))


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_single_photo_of_one_patch_is_its_tag_or_background(share):
    features, present = torch.full((1, 3, 1, 1), 0.5), torch.tensor([[0.0, 1.0]])
    fitted = fit_foreground(features, features, present, share)
    assert_finite(score=fitted.score(features, features, present))
    label = label_of_planes(fitted.planes(features, features, present).clamp(min=-1e4), (2, 2))
    assert set(label.unique().tolist()) <= {0, 2}
