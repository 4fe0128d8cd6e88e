"""From tags to classes: the same rules for all readers."""

import unicodedata

import pytest

from tagseg.data.class_index import ClassIndex, one_spelling
from tagseg.errors import TagsegError


def test_unknown_tag_names_the_image_the_classes_and_the_likely_one():
    index = ClassIndex(("cat", "dog", "sheep"))
    assert index(("sheep", "cat"), "a.jpg") == (0, 2)
    with pytest.raises(TagsegError, match=r"'Sheeps' of a\.jpg .*\(cat, dog, sheep\): did you mean 'sheep'"):
        index(("cat", "Sheeps"), "a.jpg")
    with pytest.raises(TagsegError, match="add it to the class list"):
        index(("zebra",), "a.jpg")
    with pytest.raises(TagsegError, match="tags are names, not ids"):
        index(("2",), "a.jpg")


def test_spellings_of_a_class_are_matched_and_counted():
    index = ClassIndex(("Ölkanne", "traffic light"))
    assert index((unicodedata.normalize("NFD", "ölkanne"), " TRAFFIC\u00a0 light"), "a") == (0, 1)
    assert index(("Ölkanne", " traffic light "), "b") == (0, 1)
    (note,) = index.notes
    assert (note.count, note.examples) == (2, ("a", "a"))
    assert "read as it ('ölkanne' as 'Ölkanne', 'TRAFFIC\\xa0 light' as 'traffic light')" in str(
        unicodedata.normalize("NFC", str(note))
    )


def test_what_means_no_tag_is_left_out_and_counted():
    index = ClassIndex(("cat",), no_tag=("No finding",))
    assert index(("background", "", "cat"), "a") == (0,)
    assert not index.notes
    assert index(("_background_", "NaN"), "b") == index(("no  finding", "NaN"), "c") == ()
    assert [str(note) for note in index.notes] == [
        "1 images with the tag '_background_', which is read as no tag: b",
        "2 images with the tag 'NaN', which is read as no tag: b, c",
        "1 images with the tag 'no  finding', which is read as no tag: c",
    ]


def test_a_class_may_have_a_name_that_means_nothing_elsewhere():
    assert ClassIndex(("null", "cat"))(("NULL", "none"), "a") == (0,)


def test_the_most_frequent_spelling_is_the_class():
    name_of, notes = one_spelling([("Dog",), ("dog", "cat"), ("dog",)])
    assert name_of == {"Dog": "dog", "dog": "dog", "cat": "cat"}
    assert [str(note) for note in notes] == ["1 tags 'Dog', read as the class 'dog'"]
