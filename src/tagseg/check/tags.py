"""Tags that are no class, or may be another class misspelt."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from tagseg.check.finding import Finding, found
from tagseg.data.names import fold
from tagseg.data.notes import RESPELLED, Note

RARE = 0.05
"""A class may be another one misspelt if it has at most this share of its photos, or ``FEW``."""
FEW = 2
_JOINTS = re.compile(r"[\s_\-.]+")


def unknown_tags(tags: Mapping[str, int], classes: tuple[str, ...]) -> tuple[Finding, ...]:
    """Tags that the class list does not have, each with the nearest class.

    Args:
        tags: tag → number of photos.
        classes: the class list.
    """
    folded = {fold(name): name for name in classes}
    named = []
    for tag in sorted(tags, key=lambda tag: -tags[tag]):
        near = difflib.get_close_matches(fold(tag), folded, n=1)
        named.append(f"{tag!r} ({tags[tag]}{f', like {folded[near[0]]!r}' if near else ''})")
    return found(
        "unknown_tags", "error", named, "tags that are not in the class list",
        "correct them, or add them to the class list",
    )  # fmt: skip


def respelled_tags(notes: Iterable[Note]) -> tuple[Finding, ...]:
    """Tags that are spelled unlike their class, in case or white space, and were read as it."""
    some = list(dict.fromkeys(note for note in notes if note.kind == RESPELLED))
    return found(
        "respelled_tags", "warning", [note.text for note in some],
        "tags differ from their class in case, Unicode form or white space alone, and are read as it",
        "nothing, if that is right; otherwise correct them",
        sum(note.count for note in some),
    )  # fmt: skip


def similar_classes(classes: Sequence[str], counts: Sequence[int]) -> tuple[Finding, ...]:
    """Classes that may be the same, by their names.

    Two are if they differ by ``_``, ``-``, spaces or a plural ``s`` alone, whatever their numbers; or by a letter, two
    in a long name, where one is rare beside the other.

    Args:
        classes: the K class names.
        counts: photos of each.
    """
    plain = [_JOINTS.sub("", fold(name)) for name in classes]
    pairs = []
    for i, j in combinations(range(len(plain)), 2):
        rare, other = sorted((i, j), key=lambda k: counts[k])
        few = 0 < counts[rare] <= max(FEW, RARE * counts[other]) and counts[rare] < counts[other]
        if _same_word(plain[i], plain[j]) or (few and _misspelt(plain[i], plain[j])):
            pairs.append(f"{classes[rare]!r} ({counts[rare]}) and {classes[other]!r} ({counts[other]})")
    return found(
        "similar_classes", "warning", pairs, "classes whose names are nearly the same: one may be the other misspelt",
        "write them alike if they are one class",
    )  # fmt: skip


def _same_word(a: str, b: str) -> bool:
    return a == b or a + "s" == b or b + "s" == a


def _misspelt(a: str, b: str) -> bool:
    """One letter more, less, other or two swapped; two such edits in names of eight letters or more."""
    shorter = min(len(a), len(b))
    if shorter < 3 or abs(len(a) - len(b)) > 2:
        return False
    edits = _edits(a, b)
    swapped = shorter == 3 and edits == 1 and sorted(a) == sorted(b)  # of three letters, ``cat`` and ``car`` are two
    return swapped or (shorter >= 4 and edits <= 1 + (shorter >= 8))


def _edits(a: str, b: str) -> int:
    """Fewest letters to insert, delete, replace or swap with their neighbour (optimal string alignment distance)."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        before, last, row = row, before, [i]
        for j, other in enumerate(b, 1):
            cost = min(row[j - 1] + 1, before[j] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and other == a[i - 2]:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
