"""Tags of a collection as a matrix and as counts: as read image by image."""

import pickle
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tagseg.data.dataset import Sample, TaggedImages

TAGS = st.lists(st.sets(st.integers(0, 6)), max_size=12)


def collection(tags, classes: int = 7) -> TaggedImages:
    samples = tuple(Sample(str(n), Path(f"{n}.jpg"), tuple(sorted(own))) for n, own in enumerate(tags))
    return TaggedImages("made here", tuple(f"class{k}" for k in range(classes)), samples, "the test")


@given(TAGS)
def test_matrix_and_counts_are_those_of_each_image_by_itself(tags):
    images = collection(tags)
    plain = np.zeros((len(tags), 7))
    for row, own in zip(plain, tags, strict=True):
        row[list(own)] = 1
    assert images.tag_matrix().dtype == np.float32
    np.testing.assert_array_equal(images.tag_matrix(), plain)
    np.testing.assert_array_equal(images.tagged(), plain > 0)
    np.testing.assert_array_equal(images.tag_counts(), plain.sum(axis=0))


def test_a_tag_that_an_image_has_twice_counts_once():
    images = TaggedImages("", ("cat", "dog"), (Sample("a", Path("a.jpg"), (1, 1)),), "")
    assert images.tag_counts().tolist() == [0, 1]
    assert images.tag_matrix().tolist() == [[0, 1]]


def test_a_sample_reaches_another_process_as_it_is():
    sample = Sample("a", Path("a.jpg"), (0, 3), tags_known=False)
    assert pickle.loads(pickle.dumps(sample)) == sample
