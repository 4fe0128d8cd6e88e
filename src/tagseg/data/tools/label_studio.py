"""Label Studio's JSON export: choices and taxonomies of tasks, by one annotator or several."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tagseg.data.notes import Note
from tagseg.data.tools.export import Export
from tagseg.data.tools.json_file import beginning, read_json
from tagseg.data.tools.label_studio_agreement import joined
from tagseg.data.tools.label_studio_images import image_of_tasks
from tagseg.data.tools.label_studio_min import is_minimal, read_minimal
from tagseg.data.tools.label_studio_values import REGIONS, Labels, values_of
from tagseg.errors import TagsegError

EXPECTED = "an export of Label Studio (JSON or JSON-MIN)"


def is_label_studio(path: Path) -> bool:
    """Whether a file begins like a JSON or JSON-MIN export."""
    start = beginning(path)
    if not start.startswith(b"["):
        return False
    whole = b'"data"' in start and (b'"annotations"' in start or b'"completions"' in start or b'"predictions"' in start)
    return whole or (b'"annotation_id"' in start and b'"annotator"' in start)


def read_label_studio(path: Path) -> Export:
    """Read an export; predictions are no annotations.

    - *Skipped and cancelled annotations* do not count. A task without any other is left out.
    - *Several annotations of one task:* those marked as ground truth count, if there are some. A label counts if at
      least half of the annotations have it.
    - *A taxonomy's* class is its leaf; if two leaves have one name, the whole path, joined by ``/``.

    Raises:
        TagsegError: it is no such export, or a task is malformed.
    """
    content, notes = read_json(path, EXPECTED)
    tasks = content if isinstance(content, list) else [content]
    for number, task in enumerate(tasks, 1):
        if not isinstance(task, dict):
            raise TagsegError(f"{path} entry {number} is no JSON object, expected a task of {EXPECTED}")
    minimal = bool(tasks) and all(is_minimal(task) for task in tasks)
    export = read_minimal(path, tasks) if minimal else _read_tasks(path, tasks)
    return replace(export, notes=(*notes, *export.notes))


def _read_tasks(path: Path, tasks: list[dict[str, Any]]) -> Export:
    for number, task in enumerate(tasks, 1):
        if not isinstance(task.get("data"), dict):
            raise TagsegError(f"{path} entry {number} has no 'data', expected a task of {EXPECTED}: export it again")
    regions: set[str] = set()
    left_out: defaultdict[str, list[str]] = defaultdict(list)
    found: list[tuple[str, int, list[Labels]]] = []
    for number, (task, image) in enumerate(
        zip(tasks, image_of_tasks(path, [task["data"] for task in tasks]), strict=True), 1
    ):
        annotations, why = _annotations(path, task, number)
        if why:
            left_out[why].append(image)
            continue
        place = task["id"] if isinstance(task.get("id"), int) else number
        found.append((image, place, [_labels(path, each, place, regions) for each in annotations]))
    notes = [note for why, names in left_out.items() for note in Note.of(f"tasks {why}, left out", names)]
    return joined(path, found, regions, notes)


def _annotations(path: Path, task: Mapping[str, Any], number: int) -> tuple[list[Mapping[str, Any]], str]:
    """The annotations of a task that count; or why there are none."""
    found = task.get("annotations", task.get("completions"))
    if not isinstance(found, list):
        found = []
    for each in found:
        if not isinstance(each, dict) or not isinstance(each.get("result"), list):
            raise TagsegError(
                f"{path} entry {number} has an annotation without 'result', expected the whole export of Label Studio, "
                "not the list of tasks: export it as JSON"
            )
    valid = [each for each in found if not (each.get("was_cancelled") or each.get("skipped"))]
    if not valid:
        predicted = "with predictions alone, which are no annotations"
        return [], "that were skipped" if found else predicted if task.get("predictions") else "that nobody annotated"
    return [each for each in valid if each.get("ground_truth")] or valid, ""


def _labels(path: Path, annotation: Mapping[str, Any], place: int, regions: set[str]) -> Labels:
    """Field → labels of one annotation; adds to the fields of regions."""
    labels: Labels = {}
    for result in _results(path, annotation["result"], place):
        kind, values = values_of(result["value"])
        if kind:
            name = str(result.get("from_name") or kind)
            labels.setdefault(name, []).extend(values)
            if kind in REGIONS:
                regions.add(name)
    return labels


def _results(path: Path, results: Iterable[Any], place: int) -> list[dict[str, Any]]:
    """The results with a value; others are relations between regions."""
    for each in results:
        if not isinstance(each, dict):
            raise TagsegError(f"{path} task {place} has a result that is no object, expected {EXPECTED}")
    return [each for each in results if isinstance(each.get("value"), dict)]
