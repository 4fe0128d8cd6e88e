import csv

import pytest

from tagseg.data import sources
from tagseg.data.config import DataConfig
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.errors import NothingToScore
from tagseg.labelling.photos import tagged_photos

from ..conftest import CLASSES, assert_refused, make_folder


@pytest.fixture
def without_splits(tmp_path):
    """Ten photos without masks, of which nothing says which split they are of."""
    root = make_folder(tmp_path / "photos", train=8)
    with (root / "labels.csv").open(newline="") as file:
        rows = [(row["image"], row["labels"]) for row in csv.DictReader(file)]
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "labels"), *rows])
    for mask in (root / "masks").iterdir():
        mask.unlink()
    (root / "masks").rmdir()
    return root


def names(splits):
    return {split: [sample.name for sample in images.samples] for split, images in splits.items()}


def test_splits_of_the_data_are_kept_and_masks_not_read(tagged_folder):
    splits = tagged_photos(DataConfig(root=str(tagged_folder)), None)
    assert names(splits) == {"train": [f"train{n}" for n in range(6)], "val": ["val0", "val1"]}
    assert all(sample.mask is None for images in splits.values() for sample in images.samples)


def test_where_nothing_says_which_are_for_validation_a_fifth_is(without_splits):
    splits = names(tagged_photos(DataConfig(root=str(without_splits)), None))
    assert {split: len(several) for split, several in splits.items()} == {"train": 8, "val": 2}
    assert len({*splits["train"], *splits["val"]}) == 10
    assert names(tagged_photos(DataConfig(root=str(without_splits)), None)) == splits


def test_without_validation_split_all_are_of_one(without_splits):
    splits = tagged_photos(DataConfig(root=str(without_splits), val_split=""), None)
    assert [len(images) for images in splits.values()] == [10]


def source_of(monkeypatch, train, val):
    """A source of samples that are given."""

    def source(config, split, *, masks):
        samples = {"train": train, "val": val}[split]
        if not samples:
            raise NothingToScore("none")
        return TaggedImages(f"a source, split {split}", CLASSES, tuple(samples), "a file")

    monkeypatch.setitem(sources.SOURCES, "given", source)
    return DataConfig(source="given")


def sample(folder, name, tags=(), known=True):
    return Sample(name, folder / "images" / "train0.jpg", tags, tags_known=known)


def test_photos_whose_tags_are_not_known_are_left_out_and_told(monkeypatch, tagged_folder):
    train = [sample(tagged_folder, "a", (0,)), sample(tagged_folder, "b", known=False), sample(tagged_folder, "c")]
    splits = tagged_photos(source_of(monkeypatch, train, [sample(tagged_folder, "d", known=False)]), None)
    assert names(splits) == {"train": ["a", "c"]}
    notes = [note for note in splits["train"].notes if "not known" in note.text]
    assert [(note.count, note.examples, note.warning) for note in notes] == [(1, ("b",), True)]


def test_a_few_photos_are_not_divided(monkeypatch, tagged_folder):
    train = [sample(tagged_folder, str(number), (0,)) for number in range(4)]
    assert names(tagged_photos(source_of(monkeypatch, train, []), None)) == {"train": ["0", "1", "2", "3"]}


def test_where_no_tag_is_known_it_is_one_clear_line(monkeypatch, tagged_folder):
    config = source_of(monkeypatch, [sample(tagged_folder, "a", known=False)], [])
    assert_refused(lambda: tagged_photos(config, None), "no tags for 1 of 1 images")
