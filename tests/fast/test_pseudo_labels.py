"""Pseudo-labels of a whole batch at once: those of the plain form, of all classes or of the present ones alone."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.fast.present_classes import present_classes
from tagseg.fast.pseudo_labels import patch_label, pseudo_label
from tagseg.fsr import pseudo_labels as plain
from tagseg.fsr.config import LabelConfig

CASES = {
    "seed": st.integers(0, 1000),
    "tags": st.lists(st.lists(st.integers(0, 1), min_size=4, max_size=4), min_size=1, max_size=3),
    "size": st.tuples(st.integers(1, 40), st.integers(1, 40)),
    "thresholds": st.tuples(st.floats(0, 1), st.floats(0, 1)).filter(lambda pair: abs(pair[0] - pair[1]) > 1e-3),
}


def case_of(seed, tags, size, thresholds, **others):
    """Random maps and tags, and settings with these thresholds."""
    generator = torch.Generator().manual_seed(seed)
    low, high = sorted(thresholds)
    cam = torch.rand(len(tags), 4, *size, generator=generator)
    image = torch.rand(len(tags), 3, *size, generator=generator)
    return image, cam, torch.tensor(tags).float(), LabelConfig(low=low, high=high, **others)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(**CASES, grid=st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_labels_of_patches_equal_the_plain_ones(seed, tags, size, thresholds, grid):
    """Exactly: on the patches' own pixels, whatever their grid."""
    _, cam, tags, config = case_of(seed, tags, size, thresholds)
    label = patch_label(cam, tags, grid, config)
    assert label.shape == (len(tags), *grid)
    assert torch.equal(label, plain.patch_label(cam, tags, grid, config))
    present = present_classes(tags)
    of_present = present.class_label(patch_label(present.gather(cam), present.tags, grid, config))
    assert torch.equal(of_present, label)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(**CASES)
def test_labels_by_thresholds_alone_equal_the_plain_ones(seed, tags, size, thresholds):
    image, cam, tags, config = case_of(seed, tags, size, thresholds, refine=False)
    assert torch.equal(pseudo_label(image, cam, tags, config), plain.pseudo_label(image, cam, tags, config))


@settings(deadline=None, max_examples=30, derandomize=True)
@given(**CASES)
def test_refined_labels_equal_the_plain_ones_but_for_rounding(seed, tags, size, thresholds):
    image, cam, tags, config = case_of(seed, tags, size, thresholds, refine_iterations=2, refine_dilations=(1, 3))
    expected = plain.pseudo_label(image, cam, tags, config)
    present = present_classes(tags)
    for label in (
        pseudo_label(image, cam, tags, config),
        present.class_label(pseudo_label(image, present.gather(cam), present.tags, config)),
    ):
        assert (label != expected).float().mean() <= 5e-3
