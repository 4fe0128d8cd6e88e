"""Photos that cannot be decoded: damaged, cut off, too large, no photo at all; and photos that show nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tagseg.check.finding import Finding, found
from tagseg.check.photos import Photo

_CUT_OFF = re.compile(r"truncat|unexpected end|premature|incomplete|empty file|too short", re.I)
"""How Pillow and its decoders call a file that ends too early."""


def unreadable(photos: Sequence[Photo]) -> tuple[Finding, ...]:
    """Photos on which a training would stop, and blank ones."""
    broken = [photo for photo in photos if photo.error]
    cut = [photo for photo in broken if _CUT_OFF.search(photo.error)]
    others = [photo for photo in broken if photo not in cut]
    return (
        *found(
            "truncated_images", "error", [photo.sample.image.name for photo in cut],
            "photos end too early: they were copied or downloaded in part",
            "copy them again, or remove them and their rows",
        ),
        *found(
            "unreadable_images", "error", [f"{photo.sample.image.name} ({_reason(photo)})" for photo in others],
            "photos cannot be read", "replace them, or remove them and their rows",
        ),
        *found(
            "blank_images", "warning", [photo.sample.image.name for photo in photos if photo.blank],
            "photos show one colour alone", "remove them, or replace them by what they should show",
        ),
    )  # fmt: skip


def _reason(photo: Photo) -> str:
    """The error without the path, which is named already, and the usual expectation."""
    reason = photo.error.replace(str(photo.sample.image), photo.sample.image.name)
    inner = re.search(r"cannot be read as an image(?: \((.+)\)|: it is (.+)), expected", reason)
    return next(filter(None, inner.groups()), reason) if inner else reason
