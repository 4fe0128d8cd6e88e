"""Images divided into splits that each have every tag in about the same proportion, copies of a photo on one side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped
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
    units = _units(names, tags, seed, groups)
    places = _stratified(units, share, tags.shape[1])
    _fill_empty(units, places, len(share), tags.shape[1])
    labels, of_index = list(shares), {}
    for unit, place in zip(units, places, strict=True):
        of_index.update(dict.fromkeys(unit.members, labels[place]))
    return {name: of_index[index] for index, name in enumerate(names)}


class _Unit(NamedTuple):
    """Images that stay together: their indices, the tags that some have, and how many have each of these."""

    members: tuple[int, ...]
    tags: Int[ndarray, " m"]
    counts: Float[ndarray, " m"]


def _units(
    names: Sequence[str], tags: Shaped[ndarray, "n K"], seed: int, groups: Iterable[Sequence[int]]
) -> list[_Unit]:
    """The units, the largest first, as they are the hardest to place; those of one size in an order by the seed."""
    first = list(range(len(names)))

    def first_of(index: int) -> int:
        while first[index] != index:
            first[index] = index = first[first[index]]
        return index

    for group in groups:
        together = [first_of(index) for index in group]
        least = min(together, default=0)
        for index in together:
            first[index] = least
    members: dict[int, list[int]] = {}
    for index in range(len(names)):
        members.setdefault(first_of(index), []).append(index)
    place = [_place(name, seed) for name in names]
    order = sorted(members.values(), key=lambda several: (-len(several), min(place[index] for index in several)))
    rows, columns = np.nonzero(tags)
    values = tags[rows, columns].astype(float)
    bounds = np.searchsorted(rows, np.arange(len(names) + 1)).tolist()
    units = []
    for several in order:
        own = [slice(bounds[index], bounds[index + 1]) for index in several]
        shown, counts = columns[own[0]], values[own[0]]
        if len(several) > 1:
            shown, place_of = np.unique(np.concatenate([columns[each] for each in own]), return_inverse=True)
            weights = np.concatenate([values[each] for each in own])
            counts = np.bincount(place_of.ravel(), weights, minlength=len(shown))
        units.append(_Unit(tuple(several), shown, counts))
    return units


def _place(name: str, seed: int) -> bytes:
    """What images are ordered by: depends on the name and the seed alone."""
    return blake2b(f"{seed}/{name}".encode(errors="surrogateescape"), digest_size=8).digest()


def _stratified(units: list[_Unit], share: Float[ndarray, " S"], tags: int) -> list[int]:
    """The split of each unit, by its number."""
    left = _counted(units, tags)
    lacking = share[:, None] * left  # of each split, how many images with each tag are still to come
    room = share * sum(len(unit.members) for unit in units)
    places = [-1] * len(units)
    having: list[list[int]] = [[] for _ in left]
    for number, unit in enumerate(units):
        for shown in unit.tags.tolist():
            having[shown].append(number)

    def put(number: int, wanted: Float[ndarray, " S"]) -> None:
        place = max(range(len(share)), key=lambda split: (round(float(wanted[split]), 9), round(float(room[split]), 9)))
        places[number] = place
        members, shown, counts = units[number]
        lacking[place, shown] -= counts
        room[place] -= len(members)
        left[shown] -= counts

    while np.any(left > 0):
        tag = int(np.argmin(np.where(left > 0, left, np.inf)))
        for number in having[tag]:
            if places[number] < 0:
                put(number, lacking[:, tag])
    for number, place in enumerate(places):
        if place < 0:
            put(number, room)
    return places


def _counted(units: list[_Unit], tags: int) -> Float[ndarray, " K"]:
    """How many images of some units have each tag."""
    if not units:
        return np.zeros(tags)
    shown, counts = (np.concatenate(several) for several in zip(*(unit[1:] for unit in units), strict=True))
    return np.bincount(shown, counts, minlength=tags).astype(float)  # of nothing: whole numbers


def _fill_empty(units: list[_Unit], places: list[int], splits: int, tags: int) -> None:
    """Give a split without images the unit that is missed least elsewhere, as long as there are units enough."""
    for empty in range(splits):
        if empty in places:
            continue
        sizes = Counter(places)
        spare = [number for number, place in enumerate(places) if sizes[place] > 1]
        if not spare:
            return
        staying = [
            _counted([unit for unit, place in zip(units, places, strict=True) if place == split], tags)
            for split in range(splits)
        ]

        def lost(number: int, staying: list[ndarray] = staying) -> tuple[int, int]:
            members, shown, counts = units[number]
            return int(np.sum(staying[places[number]][shown] == counts)), len(members)

        places[min(spare, key=lost)] = empty
