"""Foreground from features and tags: parts against plain forms, the whole on features whose objects are known."""

import pytest
import torch

from tagseg.beyond.boundary_prior import DECAY
from tagseg.frozen import foreground as foreground_file
from tagseg.frozen.foreground import (
    DEFAULT_SHARE,
    Evidence,
    Foreground,
    LinearModel,
    estimated_share,
    fit_foreground,
)

from .conftest import GRID, objects

SHARE = 9 / GRID**2
"""Of the patches of ``objects``."""


def planes_of(final, auxiliary, tags, share=0.0):
    return fit_foreground(final, auxiliary, tags, share).planes(final, auxiliary, tags)


def test_the_linear_model_solves_the_normal_equations(monkeypatch):
    monkeypatch.setattr(foreground_file, "AT_ONCE", 2)  # sums over several parts
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(5, 4, 3, 3, generator=generator) * torch.tensor([1.0, 5, 0.1, 2])[:, None, None] + 3
    targets, weights = torch.rand(5, 2, 3, 3, generator=generator), torch.rand(5, 3, 3, generator=generator)
    model = LinearModel.fitted(features, targets, weights)

    rows, wanted = features.double().transpose(0, 1).flatten(1), targets.double().transpose(0, 1).flatten(1)
    mean, deviation = rows.mean(dim=1, keepdim=True), rows.std(dim=1, keepdim=True, correction=0)
    torch.testing.assert_close(model.mean[:, 0].double(), mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(model.deviation[:, 0].double(), deviation, rtol=1e-4, atol=1e-5)
    standard = torch.cat([(rows - mean) / deviation, torch.ones_like(rows[:1])])
    share = weights.double().flatten() / weights.double().sum()
    centre = (wanted * share).sum(dim=1, keepdim=True)
    left = (standard * share) @ standard.T + DECAY * torch.eye(5).double()
    solved = torch.linalg.solve(left, (standard * share) @ (wanted - centre).T)
    expected = (solved.T @ standard + centre).unflatten(1, (5, 3, 3)).transpose(0, 1)
    torch.testing.assert_close(model(features).double(), expected, rtol=1e-4, atol=1e-4)


def test_the_linear_model_ignores_patches_without_weight():
    features, targets = torch.randn(4, 3, 2, 2), torch.rand(4, 1, 2, 2)
    weights = (torch.arange(4) < 2).float()[:, None, None].expand(-1, 2, 2)
    before = LinearModel.fitted(features, targets, weights)
    targets[2:] = 100
    torch.testing.assert_close(LinearModel.fitted(features, targets, weights).weights, before.weights)


def test_the_evidence_is_highest_on_what_goes_with_a_tag():
    _, auxiliary, tags, mask = objects(count=20)
    scores = Evidence.fitted(auxiliary, tags)(auxiliary, tags)
    assert scores[mask > 0].mean() > scores[:-1][mask[:-1] == 0].mean() + 1
    assert scores[:-1].mean().abs() < 0.1
    assert (scores.std() - 1).abs() < 0.1


def test_the_evidence_of_photos_without_tags_is_one_number():
    _, auxiliary, tags, _ = objects()
    scores = Evidence.fitted(auxiliary, tags)(auxiliary, tags)
    assert (scores[-1] == scores[-1, 0, 0]).all()
    assert scores[-1].isfinite().all()


def test_a_tag_that_every_photo_has_is_no_evidence():
    _, auxiliary, _, _ = objects()
    tags = torch.ones(len(auxiliary), 1)
    scores = Evidence.fitted(auxiliary, tags)(auxiliary, tags)
    assert scores.abs().max() < 1e-3


def plain_share(values):
    """Otsu's threshold by trying each."""
    ordered = sorted(values)
    best, share = -1.0, 0.0
    for cut in range(1, len(ordered)):
        low, high = ordered[:cut], ordered[cut:]
        between = len(low) * len(high) * (sum(low) / len(low) - sum(high) / len(high)) ** 2
        if between > best + 1e-9:
            best, share = between, len(high) / len(ordered)
    return min(0.6, max(0.1, share))


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.6])
def test_the_estimated_share_is_that_of_the_higher_of_two_groups(share):
    high = round(share * 400)
    scores = torch.cat([torch.randn(high) * 0.1 + 3, torch.randn(400 - high) * 0.1]).unflatten(0, (4, 10, 10))
    assert estimated_share(scores) == pytest.approx(share)


@pytest.mark.parametrize("seed", range(5))
def test_the_estimated_share_is_the_plain_form(seed):
    scores = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(seed)) ** 3
    assert estimated_share(scores) == pytest.approx(plain_share(scores.flatten().tolist()))


@pytest.mark.parametrize(("share", "kept"), [(0.02, 0.1), (0.9, 0.6)])
def test_the_estimated_share_stays_within_its_range(share, kept):
    high = round(share * 400)
    scores = torch.cat([torch.ones(high), torch.zeros(400 - high)]).unflatten(0, (4, 10, 10))
    assert estimated_share(scores) == kept


@pytest.mark.parametrize("scores", [torch.zeros(0, 4, 4), torch.full((2, 4, 4), 0.1), torch.ones(1, 1, 1)])
def test_where_nothing_is_to_be_separated_the_share_is_the_default(scores):
    assert estimated_share(scores) == DEFAULT_SHARE


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("share", [0.0, SHARE])
def test_objects_are_found_and_named(dtype, share):
    final, auxiliary, tags, mask = objects(count=30)
    label = planes_of(final.to(dtype), auxiliary.to(dtype), tags, share).argmax(dim=1)
    assert (label == mask).float().mean() > 0.97
    named = (label > 0) & (mask > 0)
    assert torch.equal(label[named], mask[named])


def test_the_tags_of_one_photo_are_told_apart():
    """Two objects in one photo; which is which is known from the photos that show one of them."""
    final, auxiliary, tags, mask = objects(count=30)
    pairs = [final[:28:2].clone(), auxiliary[:28:2].clone()]
    both = mask[:28:2].clone()
    for maps, source in zip(pairs, (final, auxiliary), strict=True):
        maps[:, :, :, 4:] = source[1:28:2, :, :, 4:]  # the right half of a photo of the other class
    both[:, :, 4:] = mask[1:28:2, :, 4:]
    both_tags = torch.stack([(both == k).flatten(1).any(dim=1).float() for k in (1, 2)], dim=1)
    assert (both_tags.sum(dim=1) == 2).sum() >= 3
    all_masks = torch.cat([mask, both])
    label = planes_of(torch.cat([final, pairs[0]]), torch.cat([auxiliary, pairs[1]]), torch.cat([tags, both_tags]))
    label = label.argmax(dim=1)
    named = (label > 0) & (all_masks > 0)
    assert named[len(mask) :].sum() > 50
    assert (label[named] == all_masks[named]).float().mean() > 0.99


def test_each_class_counts_as_much_as_any_other(monkeypatch):
    final, auxiliary, tags, _ = objects(count=30)
    rare = torch.cat([torch.arange(0, 29, 2), torch.tensor([1])])  # one photo of the second class
    weights: list[torch.Tensor] = []
    real = LinearModel.fitted

    def noted(*arguments):
        weights.append(arguments[2])
        return real(*arguments)

    monkeypatch.setattr(LinearModel, "fitted", staticmethod(noted))
    fit_foreground(final[rare], auxiliary[rare], tags[rare], SHARE)
    of_class = tags[rare].T @ weights[-1].sum(dim=(1, 2))
    torch.testing.assert_close(of_class, torch.ones(2))


def test_planes_are_0_for_background_score_for_the_likeliest_tag_and_minus_infinity_without_tag():
    final, auxiliary, tags, _ = objects()
    tags[0] = 1
    fitted = fit_foreground(final, auxiliary, tags, 0.0)
    planes, score = fitted.planes(final, auxiliary, tags), fitted.score(final, auxiliary, tags)
    assert (planes[:, 0] == 0).all()
    torch.testing.assert_close(planes[:-1, 1:].amax(dim=1), score[:-1])
    absent = tags[:, :, None, None].expand(-1, -1, GRID, GRID) == 0
    assert (planes[:, 1:][absent] == -torch.inf).all()
    assert planes[:, 1:][~absent].isfinite().all()


def test_the_share_that_is_asked_for_is_foreground():
    final, auxiliary, tags, _ = objects(count=30)
    for share in (0.1, 0.3):
        label = planes_of(final, auxiliary, tags, share)[:-1].argmax(dim=1)
        assert (label > 0).float().mean() == pytest.approx(share, abs=0.02)


def test_parts_do_not_change_the_result(monkeypatch):
    final, auxiliary, tags, _ = objects()
    whole = planes_of(final, auxiliary, tags)
    monkeypatch.setattr(foreground_file, "AT_ONCE", 5)
    torch.testing.assert_close(planes_of(final, auxiliary, tags), whole, rtol=1e-3, atol=1e-3)


def test_each_step_is_told():
    steps: list[str] = []
    final, auxiliary, tags, _ = objects()
    fit_foreground(final, auxiliary, tags, 0.0, steps.append)
    assert steps == ["boundary prior", "tag evidence", "normalised cut", "classes"]


def test_planes_need_a_fitted_foreground():
    final, auxiliary, tags, _ = objects()
    fitted = fit_foreground(final, auxiliary, tags, 0.0)
    unfinished = Foreground(**{**vars(fitted), "classes": None})
    with pytest.raises(AssertionError):
        unfinished.planes(final, auxiliary, tags)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_photos_without_any_tag_are_background(share):
    final, auxiliary, tags, _ = objects()
    planes = planes_of(final, auxiliary, torch.zeros_like(tags), share)
    assert not planes.isnan().any()
    assert (planes.argmax(dim=1) == 0).all()


def test_a_photo_with_tags_after_a_fit_without_is_background_not_nan():
    final, auxiliary, tags, _ = objects()
    fitted = fit_foreground(final, auxiliary, torch.zeros_like(tags), 0.0)
    planes = fitted.planes(final, auxiliary, tags)
    assert not planes.isnan().any()
    assert (planes.argmax(dim=1) == 0).all()


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_single_photo_is_finite_and_has_its_tag_alone(share):
    final, auxiliary, tags, mask = (one[:1] for one in objects())
    planes = planes_of(final, auxiliary, tags, share)
    assert not planes.isnan().any()
    label = planes[0].argmax(dim=0)
    assert set(label.unique().tolist()) == {0, 1}
    assert (label == 1)[mask[0] > 0].float().mean() > 0.5


@pytest.mark.parametrize("value", [0.0, 0.1, 7.0, 6e4])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("count", [1, 3])
def test_equal_features_everywhere_are_finite(value, dtype, count):
    maps = torch.full((count, 4, 3, 3), value, dtype=dtype)
    tags = torch.eye(3)[:count]
    fitted = fit_foreground(maps, maps, tags, 0.0)
    assert fitted.score(maps, maps, tags).isfinite().all()
    assert not fitted.planes(maps, maps, tags).isnan().any()


def test_a_constant_photo_among_others_is_finite_and_leaves_theirs():
    final, auxiliary, tags, mask = objects(count=30)
    final[0], auxiliary[0] = 0.5, 0.5
    planes = planes_of(final, auxiliary, tags)
    assert not planes.isnan().any()
    assert (planes[1:].argmax(dim=1) == mask[1:]).float().mean() > 0.97


def test_the_smallest_grid():
    maps = torch.randn(2, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    assert not planes_of(maps, maps, torch.eye(2)).isnan().any()
