"""No label is outside an image's tags, whoever makes it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy import unique

from tagseg.beyond.boundary_prior import fit_boundary_prior
from tagseg.beyond.boundary_prior import pseudo_label as boundary_label
from tagseg.data.dataset import Sample
from tagseg.fast import pseudo_labels as fast
from tagseg.fast.present_classes import present_classes
from tagseg.fsr import pseudo_labels as plain
from tagseg.fsr.cam import all_classes
from tagseg.fsr.config import LabelConfig
from tagseg.labelling.masks import masks_of
from tagseg.labelling.scores import FromFeatures, OwnScores, own_labels
from tagseg.pairwise.config import CrfConfig

from .examples import CLASSES, KINDS, PHOTOS, PRECISIONS, SEEDS, cams, examples, photos, sides, tags, values

FORMS = pytest.mark.parametrize(
    ("form", "classes_of"), [(plain, all_classes), (fast, present_classes)], ids=["plain", "fast"]
)
FEW_CLASSES = st.sampled_from([1, 2, 21, 81])


class DrawnScores(FromFeatures):
    """Scores that come from nowhere."""

    scores: dict[int, OwnScores]

    def __init__(self, scores):
        object.__setattr__(self, "scores", scores)

    def __call__(self, samples, wanted, read):
        return ((index, self.scores[index]) for index in wanted)


def assert_within(label, present):
    """Labels are 0, 255 or those of the tags."""
    assert label.dtype in (torch.int64, torch.uint8)
    for one, row in zip(label, present, strict=True):
        allowed = {0, 255, *(row.nonzero().flatten() + 1).tolist()}
        assert set(one.unique().tolist()) <= allowed


@FORMS
@examples(10)
@given(st.integers(1, 3), FEW_CLASSES, st.tuples(sides(12), sides(12)), KINDS, PHOTOS, st.booleans(), SEEDS)
def test_pseudo_labels_of_a_view(form, classes_of, count, classes, size, kind, photo, refine, seed):
    present, image = tags(count, classes, seed), photos(count, size, photo, seed).float() / 255
    chosen = classes_of(present)
    cam = chosen.gather(cams((count, classes, *size), kind, seed))
    label = form.pseudo_label(image, cam, chosen.tags, LabelConfig(refine=refine, refine_iterations=2))
    assert label.shape == (count, *size)
    assert_within(chosen.class_label(label), present)
    assert not label[present.sum(1) == 0].any(), "without tags all is background"


@FORMS
@examples(10)
@given(st.integers(1, 3), FEW_CLASSES, st.tuples(sides(12), sides(12)), st.tuples(sides(5), sides(5)), KINDS,
       PRECISIONS, SEEDS)  # fmt: skip
def test_labels_of_patches(form, classes_of, count, classes, size, grid, kind, dtype, seed):
    present = tags(count, classes, seed)
    chosen = classes_of(present)
    cam = chosen.gather(cams((count, classes, *size), kind, seed, dtype))
    label = form.patch_label(cam, chosen.tags.to(dtype), grid, LabelConfig())
    assert label.shape == (count, *grid)
    assert_within(chosen.class_label(label), present)


@examples(10)
@given(st.integers(1, 4), CLASSES, st.tuples(sides(5), sides(5)), st.integers(1, 6), KINDS, PRECISIONS, SEEDS)
def test_the_boundary_prior(count, classes, grid, width, kind, dtype, seed):
    features, present = values((count, width, *grid), kind, seed, dtype), tags(count, min(classes, 254), seed)
    prior = fit_boundary_prior(features, present, 0.3)
    label = torch.stack([boundary_label(prior, *pair, (7, 9)) for pair in zip(features, present, strict=True)])
    assert_within(label, present)


@examples(8)
@given(st.integers(1, 3), FEW_CLASSES, st.tuples(sides(20), sides(20)), st.tuples(sides(4), sides(4)), KINDS, PHOTOS,
       st.booleans(), SEEDS)  # fmt: skip
def test_maps_of_tagseg_label(tmp_path_factory, count, classes, size, grid, kind, photo, crf, seed):
    present = tags(count, classes, seed)
    pixels = photos(count, size, photo, seed).permute(0, 2, 3, 1).numpy()
    path = tmp_path_factory.getbasetemp() / "read by no one"
    samples = [Sample(f"{place}", path, tuple(row.nonzero().flatten().tolist())) for place, row in enumerate(present)]

    scores = {}
    for index, sample in enumerate(samples):
        own = own_labels(sample)
        grids = [values((len(own), *grid), kind, seed + index)]
        scores[index] = OwnScores(own, size, grids, pixels[index])
    tagged = [index for index, sample in enumerate(samples) if sample.tags]
    settings = CrfConfig(iterations=2) if crf else None
    made = dict(masks_of(samples, tagged, DrawnScores(scores), settings, max_side=16))
    assert sorted(made) == tagged
    for index, mask in made.items():
        assert not isinstance(mask, str), mask
        assert mask.shape == size
        assert set(unique(mask).tolist()) <= set(own_labels(samples[index]))
