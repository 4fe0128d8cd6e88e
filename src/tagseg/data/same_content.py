"""Files that are equal byte by byte, whatever they are called."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from hashlib import blake2b
from pathlib import Path

_CHUNK = 2**18
_PARTS, _PART = 16, 2**12


def same_content(files: Iterable[Path]) -> list[list[int]]:
    """Groups of files with the same bytes. Unreadable ones have no equal.

    Only files of the same size are read, wholly only those of them that are the same in some parts, and one that has
    several names once.

    A file that is given twice, also by a link, equals itself.

    Returns:
        Indices into the files, ascending, two or more a group; the groups in the order of their first index.
    """
    paths = list(files)
    stats = [_stat(path) for path in paths]
    identities = [_identity(path, stat) for path, stat in zip(paths, stats, strict=True)]
    samples: dict[Hashable, bytes | None] = {}
    digests: dict[Hashable, bytes | None] = {}

    def once(known: dict[Hashable, bytes | None], index: int, read: Callable[[Path], bytes | None]) -> bytes | None:
        identity = identities[index]
        if identity not in known:
            known[identity] = read(paths[index])
        return known[identity]

    sizes = _grouped(range(len(paths)), lambda index: None if (stat := stats[index]) is None else stat.st_size)
    alike = [group for same_size in sizes for group in _grouped(same_size, lambda index: once(samples, index, _sample))]
    return sorted(group for same in alike for group in _grouped(same, lambda index: once(digests, index, _digest)))


def first_of_each_file(files: Sequence[Path]) -> list[int]:
    """For each file, the index of the first one that is the same, by another name too (a hard link)."""
    first: dict[Hashable, int] = {}
    return [first.setdefault(_identity(path, _stat(path)), index) for index, path in enumerate(files)]


def _grouped(indices: Iterable[int], key: Callable[[int], Hashable]) -> list[list[int]]:
    """Indices with the same key, where there are two or more; those without a key (``None``) are left out."""
    groups: dict[Hashable, list[int]] = {}
    for index in indices:
        value = key(index)
        if value is not None:
            groups.setdefault(value, []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def _stat(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _identity(path: Path, stat: os.stat_result | None) -> Hashable:
    """What all names of a file share; the path where the file system does not tell."""
    return (stat.st_dev, stat.st_ino) if stat is not None and stat.st_ino else path


def _sample(path: Path) -> bytes | None:
    """Parts of a large file, evenly spread: uncompressed photos all have the same size, and maybe the same edge."""
    digest = blake2b()
    try:
        with path.open("rb", buffering=0) as file:
            digest.update(file.read(_CHUNK))
            size = os.fstat(file.fileno()).st_size
            for part in range(_PARTS if size > _CHUNK else 0):
                file.seek(_CHUNK + max(0, size - _CHUNK - _PART) * part // (_PARTS - 1))
                digest.update(file.read(_PART))
    except OSError:
        return None
    return digest.digest()


def _digest(path: Path) -> bytes | None:
    digest = blake2b()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError:
        return None
    return digest.digest()
