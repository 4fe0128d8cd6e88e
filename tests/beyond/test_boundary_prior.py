"""The boundary prior: each part against a plain form, and the whole on features whose objects are known."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.beyond import boundary_prior as prior_file
from tagseg.beyond.boundary_prior import (
    Scale,
    border,
    boundary_contrast,
    fit_boundary_prior,
    mean_by_position,
    pseudo_label,
    ridge,
    top_share_threshold,
)


def plain_contrast(features, nearest):
    """One image, patch by patch."""
    h, w = features.shape[1:]
    edge = [(y, x) for y in range(h) for x in range(w) if y in (0, h - 1) or x in (0, w - 1)]
    contrast = torch.zeros(h, w)
    for y in range(h):
        for x in range(w):
            similar = sorted(
                (torch.cosine_similarity(features[:, y, x], features[:, b, a], dim=0).item() for b, a in edge),
                reverse=True,
            )
            count = max(1, round(nearest * len(edge)))
            contrast[y, x] = -sum(similar[:count]) / count
    return contrast


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6), st.sampled_from([0.01, 0.4, 1.0]), st.integers(0, 99))
def test_the_contrast_is_that_of_the_plain_form(width, h, w, nearest, seed):
    features = torch.randn(2, width, h, w, generator=torch.Generator().manual_seed(seed))
    expected = torch.stack([plain_contrast(image, nearest) for image in features])
    torch.testing.assert_close(boundary_contrast(features, nearest), expected, rtol=1e-4, atol=1e-5)


def test_the_contrast_knows_directions_alone_and_stays_within_its_range():
    features = torch.randn(3, 8, 5, 7)
    contrast = boundary_contrast(features)
    torch.testing.assert_close(boundary_contrast(features * torch.rand(3, 1, 5, 7).add(0.1)), contrast)
    assert contrast.abs().max() <= 1 + 1e-6


@pytest.mark.parametrize(("h", "w", "count"), [(1, 1, 1), (1, 4, 4), (2, 3, 6), (3, 3, 8), (5, 4, 14)])
def test_the_border_is_the_outermost_ring(h, w, count):
    ring = border(h, w)
    assert ring.shape == (h, w)
    assert int(ring.sum()) == count


def test_the_ridge_is_at_the_minimum_of_its_loss(monkeypatch):
    monkeypatch.setattr(prior_file, "AT_ONCE", 2)  # sums over several parts
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(5, 4, 3, 3, generator=generator)
    targets = torch.rand(5, 2, 3, 3, generator=generator)
    weights = torch.rand(5, 3, 3, generator=generator)
    solved = ridge(features, targets, weights).double()
    mean = (weights[:, None] * targets).sum((0, 2, 3)) / weights.sum()
    solved[-1] -= mean
    solved.requires_grad_()
    predicted = torch.einsum("ndhw,dm->nmhw", features.double(), solved[:-1]) + solved[-1][:, None, None]
    error = (weights[:, None] * (predicted - (targets - mean[:, None, None])).square()).sum() / weights.sum()
    (error + prior_file.DECAY * solved.square().sum()).backward()
    assert solved.grad is not None
    assert solved.grad.abs().max() < 1e-5


@given(st.floats(0.01, 0.99), st.integers(1, 200))
def test_the_threshold_leaves_the_share_above_it(share, count):
    values = torch.randperm(count, generator=torch.Generator().manual_seed(count)).float()
    above = int((values > top_share_threshold(values, share)).sum())
    assert abs(above - share * count) <= 1.5


def test_a_scale_has_mean_0_and_deviation_1_also_of_equal_values():
    values = torch.randn(1_000) * 3 + 5
    scaled = Scale.of(values)(values)
    assert abs(scaled.mean()) < 1e-5
    assert abs(scaled.std() - 1) < 1e-5
    assert Scale.of(torch.ones(4))(torch.ones(4)).isfinite().all()


def problem(count=60, side=8, width=24, classes=3, seed=0):
    """Images of one or two objects, each a block of its class's direction, before a ground of their own."""
    generator = torch.Generator().manual_seed(seed)
    words = torch.linalg.qr(torch.randn(width, width, generator=generator)).Q
    features = torch.zeros(count, width, side, side)
    labels = torch.zeros(count, side, side, dtype=torch.long)
    for index in range(count):
        ground = words[classes + 1 + int(torch.randint(4, (), generator=generator))]
        features[index] = ground[:, None, None]
        chosen = torch.randperm(classes, generator=generator)[: 1 + index % 2]
        for place, tag in enumerate(chosen.tolist()):
            top = 1 + int(torch.randint(2, (), generator=generator))
            part = slice(top, top + 4), slice(1 + 3 * place, 4 + 3 * place)
            # What all classes have in common is what a linear model can learn of "foreground".
            features[index][:, part[0], part[1]] = (words[tag] + words[classes])[:, None, None]
            labels[index][part] = tag + 1
    features = 3 * features + 0.3 * torch.randn(features.shape, generator=generator)
    tags = torch.stack([torch.tensor([float((label == k + 1).any()) for k in range(classes)]) for label in labels])
    return features, tags, labels


def share_right(predicted, labels):
    return sum(float((a == b).float().mean()) for a, b in zip(predicted, labels, strict=True)) / len(labels)


def labels_of(model, features, tags):
    return [pseudo_label(model, f, t, tuple(f.shape[1:])) for f, t in zip(features, tags, strict=True)]


def test_objects_are_found_from_tags_alone_also_in_images_that_were_not_fitted():
    features, tags, labels = problem()
    share = float((labels > 0).float().mean())
    model = fit_boundary_prior(features, tags, share)
    assert share_right(labels_of(model, features, tags), labels) > 0.95
    others, their_tags, their_labels = problem(seed=1)
    own = fit_boundary_prior(others[:40], their_tags[:40], share)
    assert share_right(labels_of(own, others[40:], their_tags[40:]), their_labels[40:]) > 0.95


def test_the_mean_at_a_place_is_that_of_ten_average_images_more(monkeypatch):
    monkeypatch.setattr(prior_file, "AT_ONCE", 2)  # sums over several parts
    features = torch.randn(5, 3, 4, 2, generator=torch.Generator().manual_seed(0))
    average = features.mean(dim=(0, 2, 3))[:, None, None].expand(3, 4, 2)
    expected = torch.cat([features, average.expand(10, 3, 4, 2)]).mean(dim=0)
    torch.testing.assert_close(mean_by_position(features), expected)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_objects_are_found_in_a_collection_of_few_images(count):
    features, tags, labels = problem(count)
    model = fit_boundary_prior(features, tags, float((labels > 0).float().mean()))
    foreground = [label > 0 for label in labels_of(model, features, tags)]
    assert share_right(foreground, labels > 0) > 0.9


def test_half_precision_and_parts_change_next_to_nothing(monkeypatch):
    features, tags, _ = problem(20)
    model = fit_boundary_prior(features, tags, 0.25)
    monkeypatch.setattr(prior_file, "AT_ONCE", 7)
    other = fit_boundary_prior(features.half(), tags, 0.25)
    assert share_right(labels_of(other, features.half(), tags), labels_of(model, features, tags)) > 0.99


def test_an_image_has_no_class_but_its_tags_and_without_tags_all_is_background():
    features, tags, _ = problem(20)
    tags[3] = 0
    model = fit_boundary_prior(features, tags, 0.3)
    labels = labels_of(model, features, tags)
    for label, row in zip(labels, tags, strict=True):
        assert set(label.unique().tolist()) <= {0, *(row.nonzero().flatten() + 1).tolist()}
    assert not labels[3].any()


def test_a_label_is_the_argmax_over_all_classes():
    features, tags, _ = problem(12)
    model = fit_boundary_prior(features, tags, 0.3)
    for image, row in zip(features, tags, strict=True):
        planes = model.planes(image[None], row[None]).clamp(min=torch.finfo(torch.float32).min / 4)
        large = torch.nn.functional.interpolate(planes, (21, 17), mode="bilinear", align_corners=False)
        assert torch.equal(pseudo_label(model, image, row, (21, 17)), large.argmax(dim=1)[0])


def test_a_label_has_the_size_that_is_asked_for():
    features, tags, _ = problem(8)
    model = fit_boundary_prior(features, tags, 0.3)
    assert pseudo_label(model, features[0], tags[0], (31, 50)).shape == (31, 50)


def test_images_that_all_have_every_tag_or_none_make_no_trouble():
    features = torch.randn(4, 6, 4, 4)
    every = fit_boundary_prior(features, torch.ones(4, 3), 0.3)
    assert every.score(features).isfinite().all()
    none = fit_boundary_prior(features, torch.zeros(4, 3), 0.3)
    assert not any(label.any() for label in labels_of(none, features, torch.zeros(4, 3)))


def test_a_rare_class_counts_as_much_as_a_common_one():
    features, tags, labels = problem(80)
    rare = (tags[:, 0] == 1) & (tags.sum(1) == 1)
    kept = ~rare
    kept[rare.nonzero()[0]] = True  # one image alone shows class 0 by itself
    model = fit_boundary_prior(features[kept], tags[kept], 0.25)
    both = (tags[:, 0] == 1) & (tags.sum(1) == 2)
    assert both.any()
    assert share_right(labels_of(model, features[both], tags[both]), labels[both]) > 0.9
