"""Names, tags and texts as people write them, drawn at random."""

from __future__ import annotations

from random import Random

WORDS = ("cat", "dog", "person", "traffic light", "Katze", "vélo", "собака", "猫", "ns-1", "type_2", "x", "A", "7")
STEMS = ("photo", "IMG_", "a b", "été", "фото", "x.y", "Ünïcode", "img-1", "0", "beach (1)", "é", "a'b")
ENDINGS = (".jpg", ".JPG", ".png", ".jpeg", ".tif", "")


def names(rng: Random, most: int = 6, folders: bool = True) -> list[str]:
    """Different file names, also when folded and without extension."""
    found: dict[str, str] = {}
    for number in range(rng.randint(1, most)):
        stem = rng.choice(STEMS) + str(number)
        folder = rng.choice(("", "", "", "sub/", "a/b/")) if folders else ""
        found.setdefault(stem, f"{folder}{stem}{rng.choice(ENDINGS)}")
    return list(found.values())


def words(rng: Random, most: int = 5) -> list[str]:
    """Different class names."""
    return rng.sample(WORDS, rng.randint(1, most))


def some(rng: Random, of: list[str]) -> tuple[str, ...]:
    """None, some or all, in any order."""
    return tuple(rng.sample(of, rng.randint(0, len(of))))
