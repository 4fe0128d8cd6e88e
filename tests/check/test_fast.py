"""What a training says of its tags, and what it stops on."""

import pytest

from tagseg.check.fast import fast_findings, warnings_before_training
from tagseg.errors import TagsegError

from .samples import images


def test_warnings_name_what_they_are_about_and_the_way_out():
    notes = warnings_before_training(images("abc", *["ab"] * 12, *["c"] * 12), supervised=False)
    assert [str(note) for note in notes] == [
        "classes are always in the same images: tags alone cannot tell them apart, and masks may be mixed up "
        "(a and b (12)): add images with one of them alone, or join the two to one class"
    ]
    assert all(note.warning for note in notes)


def test_notes_alone_are_no_warning():
    data = images("ab", *["a"] * 12, *["b"] * 8)
    assert [finding.severity for finding in fast_findings(data)] == ["note"]
    assert warnings_before_training(data, supervised=False) == ()


def test_a_training_stops_where_no_photo_has_a_tag():
    with pytest.raises(
        TagsegError, match="photos: no photo is tagged with any class, so nothing can be learnt: add tags"
    ):
        warnings_before_training(images("ab", "", ""), supervised=False)
    warnings_before_training(images("ab", "", ""), supervised=True)


def test_masks_tell_apart_what_tags_do_not():
    assert fast_findings(images("abc", *["abc"] * 12), supervised=True) == ()
