"""Several annotations of one task of Label Studio: which labels count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tagseg.data.notes import Note
from tagseg.data.tools.export import Export, Labelled
from tagseg.data.tools.label_studio_values import Labels, leaves


def joined(
    path: Path, tasks: Iterable[tuple[str, int, list[Labels]]], regions: set[str], notes: Iterable[Note]
) -> Export:
    """The export of tasks, each with its image, its number and the labels of its annotations that count.

    A label of a task counts if at least half of its annotations have it. A task of which no label does is left out,
    unless half say that there is none.

    Args:
        path: the file.
        tasks: with at least one annotation each.
        regions: the fields of regions.
        notes: what was noticed so far.
    """
    tasks = list(tasks)
    paths = leaves(each for _, _, several in tasks for each in several)
    images: list[Labelled] = []
    unequal: list[str] = []
    undecided: list[str] = []
    for image, place, several in tasks:
        labels, same = _agreed([paths.named(each) for each in several])
        if labels is None:
            undecided.append(image)
            continue
        images.append(Labelled(image, place, labels))
        if not same:
            unequal.append(image)
    text = "images whose annotators disagree: a label counts if at least half of them gave it"
    found = (
        *paths.notes,
        *Note.of(text, unequal, warning=True),
        *Note.of("images whose annotators agree on no label, left out", undecided, warning=True),
    )
    return Export(path, tuple(images), "task", frozenset(regions), (*notes, *found))


def _agreed(several: list[dict[str, tuple[str, ...]]]) -> tuple[dict[str, tuple[str, ...]] | None, bool]:
    """The labels of each field that at least half of the annotations have, and whether all have the same.

    ``None`` where less than half gave no label, but no label is given by half.
    """
    labels = {}
    same = True
    for name in dict.fromkeys(name for each in several for name in each):
        counts = Counter(label for each in several for label in each.get(name, ()))
        labels[name] = tuple(label for label, count in counts.items() if 2 * count >= len(several))
        without = sum(not each.get(name) for each in several)
        if not labels[name] and 2 * without < len(several):
            return None, False
        same &= all(count == len(several) for count in counts.values())
    return labels, same
