"""How images that are not literally 8-bit colours are read, said at the start of a verb: by a sample."""

from __future__ import annotations

from collections.abc import Sequence

from tagseg.data.dataset import Sample
from tagseg.data.file_kinds import JPEG
from tagseg.data.images import opened, read_picture
from tagseg.data.notes import Note
from tagseg.data.pixels import Stored, is_plain
from tagseg.errors import TagsegError

LOOKED_AT = 200
"""Images whose headers are read, sampled evenly; those of a JPEG file need not be."""
DECODED = 12
"""Of these, images whose pixels are read."""


def image_notes(samples: Sequence[Sample]) -> tuple[Note, ...]:
    """What is not literally in the files of some images: fewer bits, a fourth band, several pages.

    Damaged files are not told here, but where they are read.
    """
    others = [sample for sample in samples if sample.image.suffix.lower() not in JPEG]
    looked_at = others[:: -(-len(others) // LOOKED_AT) or 1]
    found: dict[str, list[str]] = {}
    odd = [sample for sample in looked_at if not _is_plain(sample)]
    decoded = odd[:: -(-len(odd) // DECODED) or 1]
    for sample in decoded:
        try:
            remarks = read_picture(sample.image).remarks
        except (TagsegError, MemoryError):
            continue
        for remark in remarks:
            found.setdefault(remark, []).append(sample.name)
    looked = len(looked_at) - len(odd) + len(decoded)
    share = f" (of {looked} that were looked at)" if looked < len(others) else ""
    return tuple(note for remark, names in sorted(found.items()) for note in Note.of(f"{remark}{share}", names))


def _is_plain(sample: Sample) -> bool:
    """Whether the header tells that an image is read as it is."""
    try:
        with opened(sample.image) as image:
            return is_plain(image, Stored.of(image))
    except (TagsegError, MemoryError):
        return True
