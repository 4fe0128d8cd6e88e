"""A photo of a collection as the page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from tagseg.errors import TagsegError
from tagseg.serving.edits import State


@dataclass(frozen=True)
class PhotoRow:
    """A photo of a collection.

    Attributes:
        id: names it in the collection, 16 hexadecimal digits.
        name: its name in the data, for people.
        width: of the photo as displayed, in pixels.
        height: in pixels.
        tags: its labels, ascending: k+1 for class k; corrected ones where they were.
        state: ``open``, ``accepted`` or ``rejected``: what the user said of its mask.
        iou: estimated IoU, 0 to 1, of what the network finds in it without being told its tags.
        why: what lowers the estimate most, in a few words.
        version: another number whenever its mask may have changed.
    """

    id: str
    name: str
    width: int
    height: int
    tags: tuple[int, ...]
    state: State
    iou: float
    why: str
    version: int


class UnknownPhoto(TagsegError):
    """There is no photo of that id."""


class OutOfDate(TagsegError):
    """A mask was judged that is not the current one any more."""


def id_of(name: str) -> str:
    """The id of a photo by its name in the data."""
    return blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
