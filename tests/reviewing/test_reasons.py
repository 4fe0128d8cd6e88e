import math

import numpy as np
import pytest

from tagseg.reviewing.estimate import Estimate
from tagseg.reviewing.measure import NAMES, Measured
from tagseg.reviewing.reasons import reason

CLASSES = ("cat", "dog", "person")


def measured(label=1, tags=None, **signals):
    known = {name: signals.get(name, math.nan) for name in NAMES}
    return Measured(known, np.full((10, 10), label, np.uint8), tags, np.array([0.2, 0.7, 0.1], np.float32))


def told(one, **pulls):
    return reason(one, Estimate(0.5, (), pulls), CLASSES)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ((0, 1, 0), "prediction and tags differ: dog is tagged, not found; cat is found, not tagged"),
        ((1, 1, 1), "prediction and tags differ: dog, person are tagged, not found"),
        ((0, 0, 0), "prediction and tags differ: cat is found, not tagged"),
    ],
)
def test_tags_that_differ_come_first(tags, words):
    assert told(measured(tags=np.array(tags, bool), mirror=0.3), mirror=-0.4) == words


def test_else_what_lowers_the_estimate_most():
    one = measured(tags=np.array([True, False, False]), mirror=0.3, scales=0.5)
    assert told(one, mirror=-0.1, scales=-0.2) == (
        "smaller and larger photo are labelled differently: they agree by 50 %"
    )
    assert told(one, mirror=-0.3, scales=-0.2) == "the mirrored photo is labelled differently: they agree by 30 %"


def test_what_sums_others_up_is_no_reason():
    assert told(measured(expected_iou=0.2), expected_iou=-0.3, mirror=0.1) == "nothing stands out"


def test_nothing_stands_out():
    assert told(measured(), mirror=-0.01) == "nothing stands out"
    assert told(measured()) == "nothing stands out"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("expected_iou", "tags")])
@pytest.mark.parametrize("labels", [0, 1])
def test_each_signal_has_words(name, labels):
    words = told(measured(label=labels, **{name: 0.25}), **{name: -0.2})
    assert words != "nothing stands out"
    assert "nan" not in words
    assert "\n" not in words


def test_where_nothing_is_found_it_says_so():
    assert told(measured(label=0, thinness=1.0), thinness=-0.2) == "nothing was found"
    assert told(measured(label=1, tag_prior=0.2), tag_prior=-0.2) == (
        "cat was found, but is unlikely (20 %) for the photo as a whole"
    )
    assert told(measured(label=0, tag_prior=0.3), tag_prior=-0.2) == (
        "nothing was found, but the photo as a whole looks like dog"
    )
