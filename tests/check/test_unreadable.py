from pathlib import Path

import pytest

from tagseg.check.photos import Photo
from tagseg.check.unreadable import unreadable
from tagseg.data.dataset import Sample


def found(error="", blank=False):
    photo = Photo("train", Sample("a", Path("photos/a.jpg"), ()), error, blank=blank)
    return {finding.code: finding.examples for finding in unreadable([photo])}


@pytest.mark.parametrize(
    ("reason", "code", "example"),
    [
        (" (image file is truncated (7 bytes not processed)), expected", "truncated_images", "a.jpg"),
        (": it is an empty file (0 bytes), expected", "truncated_images", "a.jpg"),
        (" (broken data stream), expected", "unreadable_images", "a.jpg (broken data stream)"),
        (": it is a HEIC photo, expected", "unreadable_images", "a.jpg (a HEIC photo)"),
    ],
)
def test_a_reason_tells_what_is_cut_off_from_what_is_no_photo(reason, code, example):
    assert found(f"photos/a.jpg cannot be read as an image{reason} a photo: replace it") == {code: (example,)}


def test_other_reasons_are_said_as_they_are():
    assert found("photos/a.jpg has 9 pixels")["unreadable_images"] == ("a.jpg (a.jpg has 9 pixels)",)


def test_blank_photos_are_a_warning_and_whole_ones_no_word():
    assert found(blank=True) == {"blank_images": ("a.jpg",)}
    assert found() == {}
