import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tagseg.data.dataset import IGNORE, Sample, TaggedImages
from tagseg.data.relabel import ids_in_files, in_classes_of
from tagseg.errors import TagsegError

from .conftest import true_mask


@dataclass(frozen=True)
class Mask:
    def __call__(self) -> np.ndarray:
        return np.array([[0, 1, 2, IGNORE]], np.uint8)


def data(*classes: str) -> TaggedImages:
    samples = (
        Sample("a", Path("a.jpg"), (0, 1), Mask()),
        Sample("b", Path("b.jpg"), (1,)),
        Sample("c", Path("c.jpg"), (), tags_known=False),
    )
    return TaggedImages("photos", classes, samples, "labels.csv")


def test_the_same_classes_change_nothing():
    images = data("cat", "dog")
    assert in_classes_of(images, ("cat", "dog")) is images


@pytest.mark.parametrize(
    ("own", "network", "tags", "ids"),
    [
        (("cat", "dog"), ("dog", "cat"), ((0, 1), (0,)), (2, 1)),
        (("cat", "dog"), ("ant", "dog", "bee", "cat"), ((1, 3), (1,)), (4, 2)),
        (("cat", "dog"), ("cat", "dog", "elk"), ((0, 1), (1,)), (1, 2)),
        (("Cat ", "dog"), ("dog", "cat"), ((0, 1), (0,)), (2, 1)),
    ],
)
def test_tags_and_masks_follow_the_names(own, network, tags, ids):
    images = in_classes_of(data(*own), network)
    assert images.classes == network
    assert [sample.tags for sample in images.samples] == [*tags, ()]
    assert [sample.tags_known for sample in images.samples] == [True, True, False]
    mask = true_mask(pickle.loads(pickle.dumps(images.samples[0])))  # loader workers are given it
    np.testing.assert_array_equal(mask, [[0, *ids, IGNORE]])
    assert images.samples[1].mask is None
    written = ids_in_files(images)
    assert [written[i] for i in (0, *ids, IGNORE)] == [0, 1, 2, IGNORE]
    (note,) = images.notes
    assert not note.warning


def test_ids_of_masks_that_are_as_written():
    assert ids_in_files(data("cat", "dog")) == tuple(range(256))


def test_a_class_that_the_network_does_not_know_is_one_line():
    with pytest.raises(TagsegError) as error:
        in_classes_of(data("cat", "cow"), ("cat", "dog", "elk"))
    text = str(error.value)
    assert "the model has 3 classes and photos has 2; only the model has dog, elk and only the data have cow" in text
    assert "\n" not in text
