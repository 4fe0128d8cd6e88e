"""Photos by id, with corrected tags."""

import dataclasses
from pathlib import Path

import pytest
import torch

from tagseg.data.dataset import Sample, TaggedImages
from tagseg.serving.catalogue import Catalogue
from tagseg.serving.edits import UNCHANGED, PhotoEdit
from tagseg.serving.photo_row import UnknownPhoto, id_of

from ..conftest import CLASSES, assert_refused
from ..frozen.conftest import cached, objects

NAMES = ("sea/a", "b", "caf\udce9")


@pytest.fixture
def catalogue():
    tags = ((0,), (0, 2), ())
    samples = tuple(Sample(name, Path(f"{name}.jpg"), own) for name, own in zip(NAMES, tags, strict=True))
    return Catalogue(TaggedImages("photos", CLASSES, samples, "tags"))


def test_ids_are_opaque_and_fit_into_an_address(catalogue):
    ids = list(catalogue.samples)
    assert ids == [id_of(name) for name in NAMES]
    assert len(set(ids)) == 3
    assert all(len(id) == 16 and id.isalnum() for id in ids)
    assert [catalogue.index[id] for id in ids] == [0, 1, 2]
    with pytest.raises(UnknownPhoto):
        catalogue.known("b")


def test_labels_of_the_data_and_corrected_ones(catalogue):
    first, second, third = catalogue.samples
    assert catalogue.labels(second, UNCHANGED) == (1, 3)
    assert catalogue.labels(third, UNCHANGED) == ()
    assert catalogue.labels(first, PhotoEdit(("triangle", "square"))) == (2, 3)
    assert catalogue.labels(first, PhotoEdit(("triangle", "a class that was"))) == (3,)
    assert catalogue.names((1, 3)) == ("circle", "triangle")
    assert catalogue.checked([3, 1, 3]) == (1, 3)
    assert_refused(lambda: catalogue.checked([1, 4]), "4", "1 to 3")


def test_which_are_chosen(catalogue):
    first, second, third = catalogue.samples
    edits = {first: PhotoEdit((), "accepted", 1), "gone": PhotoEdit(("circle",))}
    assert catalogue.chosen(edits, None, None) == [first, second, third]
    assert catalogue.chosen(edits, 1, None) == [second]
    assert catalogue.chosen(edits, 0, None) == [first, third]
    assert catalogue.chosen(edits, 0, "accepted") == [first]
    assert catalogue.chosen(edits, None, "open") == [second, third]


def test_images_and_features_are_told(catalogue, tmp_path):
    whole = cached(tmp_path, *objects(classes=3)[:3])
    features = dataclasses.replace(whole, contents=whole.contents[:3], tags=whole.tags[:3])
    first, _, third = catalogue.samples
    images, told = catalogue.told(features, {third: PhotoEdit(("square",)), first: PhotoEdit((), "rejected")})
    assert [sample.tags for sample in images.samples] == [(), (0, 2), (1,)]
    assert torch.equal(told.tags, torch.tensor([[0.0, 0, 0], [1, 0, 1], [0, 1, 0]]))
    assert [sample.tags for sample in catalogue.images.samples] == [(0,), (0, 2), ()], "those of the data stay"
