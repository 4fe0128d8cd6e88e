"""Images divided into splits that each have every tag in about the same proportion, copies of a photo on one side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray

from tagseg.errors import TagsegError


def split(
    names: Sequence[str],
    tags: Shaped[ndarray, "n K"],
    shares: Mapping[str, float],
    seed: int = 0,
    groups: Iterable[Sequence[int]] = (),
) -> dict[str, str]:
    """Divide images by iterative stratification for multi-label data (Sechidis et al., 2011).

    The rarest tag is dealt out first, each of its images to the split that lacks it most, then the rarest of what is
    left; images without tags fill up. The same images, shares and seed give the same splits, in whatever order the
    images come. Every split gets an image at least, where there are enough.

    Args:
        names: of the n images, unique.
        tags: their tags, 0 and 1 (or false and true), (n, K).
        shares: of the splits, by name, all above 0; they are divided by their sum.
        seed: chooses among splits that are equally good.
        groups: indices of images that must stay together, e.g. near-duplicates.

    Returns:
        The split of each image, by name, in the order of the images.

    Raises:
        TagsegError: no share, a share that is not above 0, or a name twice.
    """
    if not shares or min(shares.values()) <= 0:
        raise TagsegError(f"the shares of the splits are {dict(shares)}, expected one or more, all above 0")
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise TagsegError(f"the image {twice!r} is there twice, expected each once to divide them into splits")
    share = np.array(list(shares.values()), float) / sum(shares.values())
    units = _units(names, np.asarray(tags, float), seed, groups)
    places = _stratified(units, share)
    _fill_empty(units, places, len(share))
    labels, of_index = list(shares), {}
    for unit, place in zip(units, places, strict=True):
        of_index.update(dict.fromkeys(unit.members, labels[place]))
    return {name: of_index[index] for index, name in enumerate(names)}


class _Unit(NamedTuple):
    """Images that stay together: their indices, and how many have each tag, (K,)."""

    members: tuple[int, ...]
    tags: Float[ndarray, " K"]


def _units(
    names: Sequence[str], tags: Float[ndarray, "n K"], seed: int, groups: Iterable[Sequence[int]]
) -> list[_Unit]:
    """The units, the largest first, as they are the hardest to place; those of one size in an order by the seed."""
    first = list(range(len(names)))

    def first_of(index: int) -> int:
        while first[index] != index:
            first[index] = index = first[first[index]]
        return index

    for group in groups:
        together = [first_of(index) for index in group]
        for index in together:
            first[index] = min(together)
    members: dict[int, list[int]] = {}
    for index in range(len(names)):
        members.setdefault(first_of(index), []).append(index)
    place = [_place(name, seed) for name in names]
    order = sorted(members.values(), key=lambda several: (-len(several), min(place[index] for index in several)))
    return [_Unit(tuple(several), tags[several].sum(axis=0)) for several in order]


def _place(name: str, seed: int) -> bytes:
    """What images are ordered by: depends on the name and the seed alone."""
    return blake2b(f"{seed}/{name}".encode(errors="surrogateescape"), digest_size=8).digest()


def _stratified(units: list[_Unit], share: Float[ndarray, " S"]) -> list[int]:
    """The split of each unit, by its number."""
    left = np.sum([unit.tags for unit in units], axis=0) if units else np.zeros(0)
    lacking = share[:, None] * left  # of each split, how many images with each tag are still to come
    room = share * sum(len(unit.members) for unit in units)
    places = [-1] * len(units)
    having: list[list[int]] = [[] for _ in left]
    for number, unit in enumerate(units):
        for shown in np.flatnonzero(unit.tags):
            having[shown].append(number)

    def put(number: int, wanted: Float[ndarray, " S"]) -> None:
        place = max(range(len(share)), key=lambda split: (round(float(wanted[split]), 9), round(float(room[split]), 9)))
        places[number] = place
        lacking[place] -= units[number].tags
        room[place] -= len(units[number].members)
        left[:] -= units[number].tags

    while np.any(left > 0):
        tag = int(np.argmin(np.where(left > 0, left, np.inf)))
        for number in having[tag]:
            if places[number] < 0:
                put(number, lacking[:, tag])
    for number, place in enumerate(places):
        if place < 0:
            put(number, room)
    return places


def _fill_empty(units: list[_Unit], places: list[int], splits: int) -> None:
    """Give a split without images the unit that is missed least elsewhere, as long as there are units enough."""
    for empty in range(splits):
        if empty in places:
            continue
        spare = [number for number, place in enumerate(places) if places.count(place) > 1]
        if not spare:
            return
        tags, of = np.array([unit.tags for unit in units]), np.array(places)
        staying = np.array([tags[of == split].sum(axis=0) for split in range(splits)])

        def lost(number: int, staying: ndarray = staying) -> tuple[int, int]:
            tags = units[number].tags
            return int(np.sum((tags > 0) & (staying[places[number]] == tags))), len(units[number].members)

        places[min(spare, key=lost)] = empty
