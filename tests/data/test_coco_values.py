"""Values of COCO's JSON in the spellings that tools give them, and any other value as one line."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagseg.data.coco_values import read_box, read_flag, read_key, read_segmentation, read_side
from tagseg.data.outlines import RunLengths

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)


@given(st.integers(0, 10**12))
def test_an_id_is_one_however_it_is_written(number):
    assert {read_key(w) for w in (number, str(number), f" {number:015d} ", float(number))} == {number}


@given(st.text(min_size=1).filter(lambda text: text.strip() and not text.strip().isdecimal()))
def test_other_text_stays_text(text):
    assert read_key(text) == text.strip()


@pytest.mark.parametrize("value", [None, "", "  ", True, 1.5, math.nan, math.inf, [1], {}])
def test_what_is_no_id(value):
    with pytest.raises(ValueError, match="id"):
        read_key(value)


def test_flags_in_all_spellings():
    assert [read_flag(v) for v in (1, True, "1", "true", " True ", "TRUE", 1.0, "yes")] == [True] * 8
    assert [read_flag(v) for v in (0, False, None, "0", "false", "False", "", "null", "None", 0.0, "no")] == [
        False
    ] * 11
    for value in (2, "maybe", [0], -1):
        with pytest.raises(ValueError, match="iscrowd"):
            read_flag(value)


def test_sides_in_pixels():
    assert [read_side(v) for v in (640, "640", 640.0, " 640 ", "640.0")] == [640] * 5
    assert [read_side(v) for v in (None, 0, "", "0")] == [None] * 4
    for value in (-1, 640.5, "wide", True, [640], math.nan, math.inf):
        with pytest.raises(ValueError, match="width or height"):
            read_side(value)


def test_boxes():
    assert read_box([1, "2", 3.0, 4]) == (1, 2, 4, 6)
    for value in (None, [], [1, 2, 3], [1, 2, 0, 4], [1, 2, 3, -4], [1, 2, math.nan, 4], "1234", 5, ["a", 1, 1, 1]):
        assert read_box(value) is None or value == "1234"


SQUARE = [1.0, 1.0, 5.0, 1.0, 5.0, 3.0, 1.0, 3.0]
POINTS = [[1, 1], [5, 1], [5, 3], [1, 3]]


@pytest.mark.parametrize(("value", "nested"), [([SQUARE], False), (SQUARE, True), (POINTS, True), ([POINTS], True)])
def test_polygons_in_all_nestings(value, nested):
    found = read_segmentation(value)
    assert found.outline is not None
    assert not isinstance(found.outline, RunLengths)
    assert [p.tolist() for p in found.outline] == [SQUARE]
    assert (found.extent, found.nested) == ((1, 1, 5, 3), nested)


@pytest.mark.parametrize(
    "value",
    [
        *(None, [], {}, "", [[]], [[1, 1, 5, 5]], [[1, 1, 5, 1, 9, 1]], [[2] * 8], {"size": [2, 2], "counts": [4]}),
        *({"size": [2, 2], "counts": "4"}, {"size": ["2", "2"], "counts": [4, 0]}),
    ],
)
def test_what_encloses_nothing(value):
    assert read_segmentation(value)[:2] == (None, None)


def test_of_several_polygons_those_that_enclose_something():
    found = read_segmentation([[1, 1, 5, 5], SQUARE, [7, 0, 9, 0, 9, 9]])
    assert found.outline is not None
    assert (len(found.outline), found.extent) == (2, (1, 0, 9, 9))


def test_run_lengths_have_the_extent_of_their_size():
    found = read_segmentation({"size": [2, 3], "counts": [1, 5]})
    assert isinstance(found.outline, RunLengths)
    assert found.extent == (0, 0, 3, 2)
    damaged = read_segmentation({"size": [2, 3], "counts": [5]})
    assert damaged.outline is not None  # said where it is drawn


@pytest.mark.parametrize(
    "value", [[[1, 2, 3]], [["x"] * 6], [[1, 2, math.nan, 4, 5, 6]], "[[1, 2]]", 5, [{"x": 1}], [[{}]]]
)
def test_what_is_no_outline(value):
    with pytest.raises((ValueError, TypeError, KeyError)):
        read_segmentation(value)


@given(ANYTHING)
def test_whatever_a_file_holds_is_read_or_refused(value):
    for read in (read_key, read_flag, read_side, read_box, read_segmentation):
        try:
            read(value)
        except (ValueError, TypeError, KeyError, OverflowError):
            continue


@given(
    st.lists(
        st.lists(st.floats(-1e4, 1e4, width=32), min_size=6, max_size=12).filter(lambda p: len(p) % 2 == 0), min_size=1
    )
)
def test_the_extent_is_that_of_all_points(polygons):
    found = read_segmentation(polygons)
    kept = [p for p in polygons if np.ptp(p[0::2]) > 0 and np.ptp(p[1::2]) > 0]
    xs, ys = [x for p in kept for x in p[0::2]], [y for p in kept for y in p[1::2]]
    assert found.extent == ((min(xs), min(ys), max(xs), max(ys)) if kept else None)
