"""What an export says of each image, and which of its labels are tags: those of the image, or those of its regions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tagseg.data.names import fold, names_of
from tagseg.data.notes import Note
from tagseg.data.tag_columns import Entries, Entry
from tagseg.errors import TagsegError, list_some

AUTO = "auto"
"""The setting ``--data.column`` that lets the labels decide."""


@dataclass(frozen=True)
class Labelled:
    """One image that somebody annotated.

    Attributes:
        image: its name as the export has it.
        place: its number or line there, for messages.
        labels: name of a field (a question, or the kind of a label) → labels; without the fields that were not
            answered. Empty: the annotation was submitted without any label.
        split: its split, empty if the export has none.
    """

    image: str
    place: int
    labels: Mapping[str, tuple[str, ...]]
    split: str = ""


@dataclass(frozen=True)
class Export:
    """An export, read but not yet decided on.

    Attributes:
        path: the file, or the folder of the files.
        images: the annotated images, in its order.
        unit: what ``Labelled.place`` counts: ``task``, ``image``, ``line``.
        regions: the fields whose labels are of boxes, polygons or masks; all others are of whole images.
        notes: what was read other than literally.
    """

    path: Path
    images: tuple[Labelled, ...]
    unit: str
    regions: frozenset[str] = frozenset()
    notes: tuple[Note, ...] = ()


def entries_of(export: Export, column: str = AUTO) -> Entries:
    """The tags of each image.

    - Labels of whole images are its tags, if nothing else is there; several questions stop, as one alone can name the
      classes.
    - Labels of regions (boxes, polygons, masks) are tags where there are no others. Where there are both, both count
      if they have a name in common; otherwise they say different things, and it stops.
    - An image that was annotated, but has none of the labels that count, is left out; one that was annotated without
      any label has no class.

    Args:
        export: what was read.
        column: the setting ``--data.column``: ``auto``, or the fields that count, separated by commas.

    Raises:
        TagsegError: no image is annotated, or it is not clear what the tags are; the message names the setting.
    """
    if not export.images:
        what = "; ".join(str(note) for note in export.notes)
        raise TagsegError(
            f"{export.path} has no annotated image{f' ({what})' if what else ''}, expected labels: annotate some"
        )
    fields = _fields(export)
    counted, notes = _chosen(export, fields, column) if column != AUTO else _counted(export, fields)
    rows: list[Entry] = []
    bare: list[str] = []
    without: list[str] = []
    for each in export.images:
        answered = [name for name in counted if name in each.labels]
        if each.labels and not answered:
            without.append(each.image)
            continue
        if not each.labels:
            bare.append(each.image)
        tags = dict.fromkeys(label for name in answered for label in each.labels[name])
        rows.append(Entry(each.image, (), tuple(tags), each.split, each.place))
    named = " and ".join(map(repr, counted))
    notes = (
        *notes,
        *Note.of("images are annotated without any label: they have no class", bare),
        *Note.of(f"images have labels, but none of {named}, which are the tags: left out", without, warning=True),
    )
    return Entries(tuple(rows), ", ".join(counted), any(row.split for row in rows), notes)


def _fields(export: Export) -> dict[str, Counter[str]]:
    """The fields, with their labels and how often they occur."""
    fields: dict[str, Counter[str]] = {}
    for each in export.images:
        for name, labels in each.labels.items():
            fields.setdefault(name, Counter()).update(labels)
    return fields


def _chosen(export: Export, fields: dict[str, Counter[str]], column: str) -> tuple[tuple[str, ...], tuple[Note, ...]]:
    chosen = names_of(column)
    absent = [name for name in chosen if name not in fields]
    if absent or not chosen:
        raise TagsegError(
            f"--data.column is {column!r}, expected labels that {export.path.name} has: {list_some(list(fields), 10)}"
        )
    return chosen, (Note(f"tags of {export.path.name} are the labels of {_shown(list(chosen), fields)}"),)


def _counted(export: Export, fields: dict[str, Counter[str]]) -> tuple[tuple[str, ...], tuple[Note, ...]]:
    """The fields that count, where no setting says so."""
    whole = [name for name in fields if name not in export.regions]
    used = [name for name in whole if fields[name]]
    regions = [name for name in fields if name in export.regions and fields[name]]
    name = export.path.name
    if len(used) > 1:
        raise TagsegError(
            f"{name} has labels of several questions, {_shown(used, fields)}, expected one that holds the classes: "
            f"set --data.column {used[0]} or --data.column {used[1]}"
        )
    if not regions:
        return tuple(whole), ()
    if not used:
        text = f"{name} has no labels of whole images: those of its regions are the tags, {_shown(regions, fields)}"
        return (*whole, *regions), (Note(text),)
    names = {fold(label) for label in fields[used[0]]}
    common = [label for each in regions for label in fields[each] if fold(label) in names]
    if not common:
        objects = ",".join(regions)
        raise TagsegError(
            f"{name} has labels of whole images, {_shown(used, fields)}, and others of regions, "
            f"{_shown(regions, fields)}, expected to know which are the classes: set --data.column {used[0]} or "
            f"--data.column {objects}"
        )
    text = f"labels of regions of {name} count as tags too, as labels of whole images share their names"
    return (*whole, *regions), Note.of(text, list(dict.fromkeys(common)))


def _shown(names: list[str], fields: dict[str, Counter[str]]) -> str:
    """``species (cat, dog)``: fields with their most frequent labels."""
    parts = [f"{name} ({list_some([label for label, _ in fields[name].most_common()], 3)})" for name in names]
    return list_some(parts, 4)
