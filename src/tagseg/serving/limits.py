"""How much the server takes at a time, so that its memory and its disk stay bounded whatever is sent."""

from __future__ import annotations

from dataclasses import dataclass, fields

from tagseg.errors import TagsegError

LONGEST_SIDE = 65_000
"""Pixels; a JPEG, which the page shows photos as, has at most 65,535."""


@dataclass(frozen=True)
class Limits:
    """Limits of the server.

    Attributes:
        bytes: most bytes of one request, the photo included.
        pixels: most pixels of a photo.
        store: most bytes of all results that are kept; the oldest leave.
        waiting: most photos that are uploaded or wait for the network at a time.
        requests: most requests of all kinds at a time.
        ids: most results in one zip.
        zip: most bytes of the files of one zip, before they are compressed.
        values: most probabilities of one photo that are computed at a time: classes times pixels.
        seconds: longest time without a byte from, or to, a client within a request.

    Raises:
        TagsegError: one is not positive.
    """

    bytes: int = 64 << 20
    pixels: int = 50_000_000
    store: int = 512 << 20
    waiting: int = 64
    requests: int = 256
    ids: int = 500
    zip: int = 2 << 30
    values: int = 1 << 27
    seconds: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise TagsegError(f"the limit {field.name} is {value}, expected a positive number")


def in_megabytes(count: int) -> str:
    """Bytes for people: ``64 MB``."""
    return f"{count / (1 << 20):,.0f} MB" if count >= 1 << 20 else f"{count:,} bytes"
