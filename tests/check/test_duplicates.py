from pathlib import Path

from tagseg.check.duplicates import duplicates
from tagseg.check.photos import Photo
from tagseg.data.dataset import Sample


def seen(name, content, looks=0, split="train", tags=(0,), **more):
    return Photo(split, Sample(name, Path(f"{name}.jpg"), tags), content=content, looks=looks, **more)


def found(*photos):
    return {finding.code: finding.examples for finding in duplicates(photos)}


FAR = 2**64 - 1


def test_different_photos_give_no_word():
    assert found(seen("a", b"1"), seen("b", b"2", FAR), seen("c", b"3", FAR >> 32)) == {}


def test_copies_within_a_split_with_the_same_tags():
    assert found(seen("a", b"1"), seen("b", b"1")) == {"duplicates": ("a = b",)}


def test_copies_with_other_tags_are_named_once():
    photos = seen("a", b"1"), seen("b", b"1", tags=(1,))
    assert found(*photos) == {"duplicates_with_other_tags": ("a = b",)}


def test_tags_that_are_not_known_are_no_other_tags():
    unknown = Photo("val", Sample("b", Path("b.jpg"), (), tags_known=False), content=b"1")
    assert found(seen("a", b"1"), unknown) == {"duplicates_across_splits": ("train: a = val: b",)}


def test_near_copies_within_and_across():
    assert found(seen("a", b"1", 0), seen("b", b"2", 7)) == {"near_duplicates": ("a = b",)}
    across = found(seen("a", b"1", 0), seen("b", b"2", 7, "val"))
    assert across == {"near_duplicates_across_splits": ("train: a = val: b",)}


def test_copies_are_not_named_as_near_copies_again():
    assert set(found(seen("a", b"1"), seen("b", b"1"))) == {"duplicates"}
    both = found(seen("a", b"1"), seen("b", b"1"), seen("c", b"2", 1))
    assert both == {"duplicates": ("a = b",), "near_duplicates": ("b = c",)}


def test_blank_and_unreadable_photos_are_no_near_copies():
    assert found(seen("a", b"1", blank=True), seen("b", b"2", blank=True)) == {}
    assert found(seen("a", b"", error="no photo"), seen("b", b"", error="no photo")) == {}


def test_of_many_copies_the_first_and_the_last_are_named():
    assert found(*(seen(name, b"1") for name in "abcde")) == {"duplicates": ("a = … (5) = e",)}
