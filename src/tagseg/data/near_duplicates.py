"""Copies of a photo that are not equal byte by byte: saved again, resized, cropped a little, made brighter or grey."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8, UInt64
from numpy import ndarray
from PIL import Image

from tagseg.data.images import image_size, read_image
from tagseg.data.same_content import first_of_each_file
from tagseg.errors import TagsegError
from tagseg.progress import in_threads

DISTANCE = 6
"""Hashes of copies differ in at most so many of 64 bits.

Of 5,116 photos all 86 pairs within it are copies, and the first pair of different photos is at 9. Of 400 photos all
copies that were saved again, resized or made grey are within it, and 98 % of those cut by up to 4 % (docs/data.md).
"""

_SIDE = 32
_FREQUENCIES = 11
_FLAT = 2.0
"""Standard deviation in grey levels below which a picture shows nothing: the blankest of 5,116 photos has 15."""
_ROUNDING = 1e-6
"""A frequency that a picture lacks is 0 but for rounding, which each processor does in its own way."""
_BLOCK = 2**22
"""Pairs that are compared at a time, which bounds the memory."""


def image_hash(image: UInt8[ndarray, "H W 3"] | UInt8[ndarray, "H W"] | Path | str) -> np.uint64:
    """64 bits that copies of a photo share but for a few, and different photos do not.

    The signs of the 64 lowest frequencies (of the cosine transform, without the mean) of its grey 32 × 32 thumbnail.
    A picture that shows nothing, such as a blank page, has no such frequencies: its hash is a digest of the thumbnail,
    so that only blank pictures which are equal there are near-duplicates.

    Args:
        image: RGB or grey pixels, 0 to 255, as displayed, or a file. A file is decoded at a fraction of its size, where
            its format can, so its hash may differ from that of its pixels in a bit or two.

    Raises:
        TagsegError: the file is absent, is no image or is damaged.
    """
    pixels = image if isinstance(image, ndarray) else _small(Path(image))
    grey = Image.fromarray(pixels).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    thumbnail = np.asarray(grey, np.float64)
    if thumbnail.std() < _FLAT:
        return np.uint64(int.from_bytes(blake2b(grey.tobytes(), digest_size=8).digest(), "big"))
    coefficients = _COSINES @ thumbnail @ _COSINES.T
    bits = coefficients.ravel()[_LOWEST] > _ROUNDING
    return np.uint64(int.from_bytes(np.packbits(bits).tobytes(), "big"))


def image_hashes(
    files: Sequence[Path], threads: int = 0, quiet: bool = False
) -> tuple[UInt64[ndarray, " n"], Bool[ndarray, " n"]]:
    """The hashes of image files, with a progress bar, and whether each file could be read (if not, its hash is 0).

    A file that has several names is read once.

    Args:
        files: the images.
        threads: how many decode at a time; 0: as many as there are cores, at most 16.
        quiet: no progress bar.
    """
    first = np.array(first_of_each_file(files), np.int64)
    each = np.unique(first)
    hashes, readable = np.zeros(len(files), np.uint64), np.zeros(len(files), bool)
    work = in_threads([files[index] for index in each], _hash_or_none, "comparing photos", threads, quiet)
    for place, value in zip(each, work, strict=True):
        if value is not None:
            hashes[place], readable[place] = value, True
    return hashes[first], readable[first]


def near_duplicates(hashes: UInt64[ndarray, " n"], distance: int = DISTANCE) -> list[list[int]]:
    """Groups of images whose hashes are near, also by way of others: a near b, b near c → a, b and c.

    Args:
        hashes: of ``image_hash``.
        distance: most bits, 0 to 64, in which two differ that are near.

    Returns:
        Indices into the hashes, ascending, two or more a group; the groups in the order of their first index.

    Raises:
        TagsegError: a distance out of range.
    """
    if not 0 <= distance <= 64:
        raise TagsegError(f"the distance of near-duplicates is {distance}, expected 0 to 64 bits")
    distinct, member = np.unique(hashes, return_inverse=True)
    group = np.arange(len(distinct))
    for some in _with_a_part_in_common(distinct, distance):
        _join_near(group, distinct, some, distance)
    groups: dict[int, list[int]] = {}
    for index, name in enumerate(group[member.ravel()].tolist()):
        groups.setdefault(name, []).append(index)
    return [indices for indices in groups.values() if len(indices) > 1]


def hamming(a: UInt64[ndarray, "*#n"], b: UInt64[ndarray, "*#n"]) -> Int64[ndarray, "*n"]:
    """In how many of 64 bits numbers differ, 0 to 64; the shapes broadcast, and one has a dimension."""
    x = np.bitwise_xor(a, b)  # bits are summed in pairs, fours and bytes, all 64 at once: NumPy 1 has no bitwise_count
    x = x - ((x >> np.uint64(1)) & _ODD)
    x = (x & _PAIRS) + ((x >> np.uint64(2)) & _PAIRS)
    x = (x + (x >> np.uint64(4))) & _FOURS
    with np.errstate(over="ignore"):  # the sum of the bytes is in the highest
        return ((x * _BYTES) >> np.uint64(56)).astype(np.int64)


def _with_a_part_in_common(distinct: UInt64[ndarray, " n"], distance: int) -> Iterator[Int64[ndarray, " m"]]:
    """Sets of indices such that any two hashes within the distance are in one of them.

    Of distance + 1 parts of the bits, two that differ in at most ``distance`` bits have one part the same (the
    pigeonhole principle), so only hashes with a part in common need be compared.
    """
    bits = 64 // (distance + 1)
    if bits < 5:  # so short a part has hardly any values, and looking at each costs more than it saves
        yield np.arange(len(distinct))
        return
    for part in range(distance + 1):
        keys = (distinct >> np.uint64(part * bits)) & np.uint64(2**bits - 1)
        order = np.argsort(keys, kind="stable")
        yield from np.split(order, np.flatnonzero(np.diff(keys[order])) + 1)


def _join_near(
    group: Int64[ndarray, " n"], distinct: UInt64[ndarray, " n"], some: Int64[ndarray, " m"], distance: int
) -> None:
    """Give those of some hashes that are near the same group, the lowest; compares some rows at a time."""
    rows = max(1, _BLOCK // max(1, len(some)))
    for start in range(0, len(some) - 1, rows):
        left, right = some[start : start + rows], some[start:]
        if np.all(group[right] == group[right[0]]):
            return  # they are one group already
        pairs = np.argwhere(hamming(distinct[left][:, None], distinct[right][None]) <= distance)
        ends = group[np.stack([left[pairs[:, 0]], right[pairs[:, 1]]])]
        while np.any(apart := ends[0] != ends[1]):
            ends = ends[:, apart]
            np.minimum.at(group, ends.max(axis=0), ends.min(axis=0))
            while np.any(group != group[group]):  # each names one that names the lowest, until it does so itself
                group[:] = group[group]
            ends = group[ends]


def _small(path: Path) -> UInt8[ndarray, "H W 3"]:
    """The image, decoded no larger than the thumbnail needs."""
    side = min(image_size(path))
    return read_image(path, next((by for by in (8, 4, 2) if side >= 2 * _SIDE * by), 1))


def _hash_or_none(path: Path) -> np.uint64 | None:
    try:
        return image_hash(path)
    except TagsegError:
        return None


def _cosines() -> Float[ndarray, "frequencies side"]:
    """The lowest rows of the discrete cosine transform, without its scale, which changes no sign."""
    frequency, place = np.arange(_FREQUENCIES)[:, None], np.arange(_SIDE)[None]
    return np.cos(np.pi * (2 * place + 1) * frequency / (2 * _SIDE))


def _lowest() -> Int64[ndarray, " 64"]:
    """Where the 64 lowest frequencies are in the flat square of coefficients, but for the mean."""
    down, right = np.divmod(np.arange(_FREQUENCIES**2), _FREQUENCIES)
    return np.argsort(down**2 + right**2, kind="stable")[1:65]


def _repeated(byte: int) -> np.uint64:
    return np.uint64(int.from_bytes(bytes([byte]) * 8, "big"))


_COSINES, _LOWEST = _cosines(), _lowest()
_ODD, _PAIRS, _FOURS, _BYTES = _repeated(0x55), _repeated(0x33), _repeated(0x0F), _repeated(0x01)
