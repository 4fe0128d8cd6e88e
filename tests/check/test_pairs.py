from pathlib import Path
from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tagseg.check.pairs import pair_findings, together
from tagseg.data.dataset import Sample, TaggedImages

from .samples import images


def found(data):
    return {finding.code: finding.examples for finding in pair_findings(data)}


def test_classes_that_tags_tell_apart_give_no_word():
    assert found(images("ab", *["a", "b", "ab", ""] * 5)) == {}


def test_classes_that_are_always_together_are_named_and_counted():
    data = images("abcd", "abd", "ab", "c", "abc", "cd", "d")
    assert found(data) == {"always_together": ("a and b (3)",)}


def test_of_three_classes_each_pair_is_named():
    assert found(images("abc", *["abc"] * 5, "", ""))["always_together"] == (
        "a and b (5)",
        "a and c (5)",
        "b and c (5)",
    )


def test_together_by_chance_in_two_photos_is_no_word():
    assert found(images("abc", "ab", "ab", "c", "c", "c")) == {}


def test_classes_in_every_photo_or_in_none_are_named_elsewhere():
    assert found(images("abcd", *["ab"] * 5, *["abc"] * 5)) == {}


def test_nearly_always_together():
    data = images("abc", *["ab"] * 11, "a", *["c"] * 12)
    assert found(data) == {"nearly_always_together": ("a and b (11 of 12)",)}


def test_a_class_never_without_another():
    data = images("abc", *["ab"] * 8, *["b"] * 8, *["c"] * 16)
    assert found(data) == {"never_without": ("a without b (8)",)}


def test_a_class_that_chance_alone_puts_with_a_frequent_one_is_no_word():
    data = images("abc", *["ab"] * 3, *["b"] * 20, *["c"] * 3)
    assert found(data) == {}, "b is in 23 of 26 photos"


def test_a_large_list_takes_no_time_and_gives_no_word():
    rng = np.random.default_rng(0)
    tags = [Sample(str(n), Path("p"), tuple(np.flatnonzero(rng.random(80) < 0.04).tolist())) for n in range(12_000)]
    assert found(TaggedImages("photos", tuple(f"c{k}" for k in range(80)), tuple(tags), "labels.csv")) == {}


@given(st.lists(st.sets(st.integers(0, 5)), max_size=20), st.integers(1, 40))
def test_pairs_are_counted_as_by_the_matrix_of_tags(tags, at_a_time):
    samples = tuple(Sample(str(n), Path(str(n)), tuple(sorted(own))) for n, own in enumerate(tags))
    data = TaggedImages("", tuple("abcdef"), samples, "")
    with patch("tagseg.check.pairs._AT_A_TIME", at_a_time):
        counted = together(data)
    matrix = data.tag_matrix()
    np.testing.assert_array_equal(counted, matrix.T @ matrix)
