"""Photos whose size or shape serves a network badly: too small, far from square, slow to read."""

from __future__ import annotations

from collections.abc import Sequence

from tagseg.check.finding import Finding, found
from tagseg.check.photos import Photo
from tagseg.data.file_kinds import JPEG

PATCH = 16
"""Side in pixels of the patches that most encoders see."""
SMALLEST = 4 * PATCH
"""A shorter side with fewer pixels has fewer than four patches, unless it is blown up to a blur."""
LONGEST = 4.0
"""A side that is longer by more than this factor is squeezed to a square, in which shapes are lost."""
SLOW = 12_000_000
"""Pixels of a photo that takes about a second to decode, each time, where its format has no smaller form inside."""
SLOW_JPEG = 48_000_000
"""The same of a JPEG, which can be decoded at 1/8 of its size."""


def size_findings(photos: Sequence[Photo]) -> tuple[Finding, ...]:
    """Photos that are small, long or slow."""
    sized = [photo for photo in photos if min(photo.size) > 0]
    return (
        *found(
            "small_images", "warning", [_shown(photo) for photo in sized if min(photo.size) < SMALLEST],
            f"photos with fewer than {SMALLEST} pixels on a side, four patches of an encoder's grid",
            "use larger originals, or leave them out",
        ),
        *found(
            "extreme_shapes", "warning",
            [_shown(photo) for photo in sized if max(photo.size) > LONGEST * min(photo.size)],
            f"photos more than {LONGEST:.0f} times as long as wide, which are squeezed to a square",
            "cut them into squarer pieces, each with its own tags",
        ),
        *found(
            "slow_images", "warning", [_shown(photo) for photo in sized if _is_slow(photo)],
            "photos so large that reading them takes most of the time",
            "save them at 2,000 pixels on the longer side: a network sees a few hundred",
        ),
    )  # fmt: skip


def _is_slow(photo: Photo) -> bool:
    is_jpeg = photo.sample.image.suffix.lower() in JPEG
    return photo.size[0] * photo.size[1] > (SLOW_JPEG if is_jpeg else SLOW)


def _shown(photo: Photo) -> str:
    return f"{photo.sample.image.name} ({photo.size[1]} × {photo.size[0]})"
