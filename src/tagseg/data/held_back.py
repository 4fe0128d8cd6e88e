"""The fifth of the images that is kept for scoring where nothing else splits them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

SHARE = 0.2
"""Share of the images that is held back."""


def held_back(names: Sequence[str]) -> list[bool]:
    """Whether each image is kept for scoring, at least one; by a hash of its name, so others do not move it.

    The same images are kept each time, on every machine, whatever images are added or removed.
    """
    places = [_place(name) for name in names]
    limit = max(SHARE, min(places, default=0))
    return [place <= limit for place in places]


def _place(name: str) -> float:
    """A number from 0 to 1 that depends on the name alone."""
    return int.from_bytes(hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=4).digest(), "big") / 2**32
