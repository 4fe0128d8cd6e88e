"""Label Studio's JSON-MIN export: a flat object for each annotation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tagseg.data.notes import Note
from tagseg.data.tools.export import Export
from tagseg.data.tools.label_studio_agreement import joined
from tagseg.data.tools.label_studio_images import image_of_tasks, is_image
from tagseg.data.tools.label_studio_values import REGIONS, Choice, Labels, values_of

_OWN = ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement")
"""Keys that Label Studio adds: ``id`` after the data of the task, the others after the answers."""


def is_minimal(task: Mapping[str, Any]) -> bool:
    """Whether an object is an annotation of JSON-MIN."""
    return "annotation_id" in task and "annotator" in task and "annotations" not in task


def read_minimal(path: Path, records: Sequence[Mapping[str, Any]]) -> Export:
    """Read the objects of an export; those of one task are joined as ``label_studio.read_label_studio`` says.

    A choice is text, several are ``{"choices": [...]}``, a taxonomy or regions are lists of objects. What was skipped,
    or was ground truth, is not in this format.

    Raises:
        TagsegError: the image of an object is not to be found.
    """
    images = image_of_tasks(path, [_data(record) for record in records])
    tasks: dict[Any, list[tuple[str, int, Mapping[str, Any]]]] = {}
    for number, (image, record) in enumerate(zip(images, records, strict=True), 1):
        identity = record.get("id", image)
        place = identity if isinstance(identity, int) else number
        tasks.setdefault(str(identity), []).append((image, place, record))
    regions: set[str] = set()
    found: list[tuple[str, int, list[Labels]]] = []
    nobody: list[str] = []
    for task in tasks.values():
        image, place, _ = task[0]
        labels = [_labels(record, regions) for _, _, record in task if record.get("annotation_id") is not None]
        if labels:
            found.append((image, place, labels))
        else:
            nobody.append(image)
    return joined(path, found, regions, Note.of("tasks that nobody annotated, left out", nobody))


def _data(record: Mapping[str, Any]) -> dict[str, Any]:
    """The data of the task: what comes before ``id``; all, if there is none."""
    keys = list(record)
    own = keys[: keys.index("id")] if "id" in record else [key for key in keys if key not in _OWN]
    return {key: record[key] for key in own}


def _labels(record: Mapping[str, Any], regions: set[str]) -> Labels:
    data = _data(record) if "id" in record else {}
    labels: Labels = {}
    for name, value in record.items():
        if name in data or name in _OWN or is_image(value):
            continue
        for each in value if isinstance(value, list) else [value]:
            kind, values = _values(each)
            if kind:
                labels.setdefault(name, []).extend(values)
            if kind in REGIONS:
                regions.add(name)
    return labels


def _values(value: Any) -> tuple[str, list[Choice]]:
    if isinstance(value, str):
        return "choices", [(value,)] if value else []
    return values_of(value) if isinstance(value, dict) else ("", [])
