"""Reading the logged losses and scores of a run from its CSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from tagseg.data.names import natural_order
from tagseg.errors import TagsegError


def read_logs(run: Path) -> list[dict[str, float]]:
    """One record for each logged step, sorted; the parts of a resumed run are merged.

    Args:
        run: a run folder with ``logs/part_*/metrics.csv``.

    Raises:
        TagsegError: there is no log, or it is damaged.
    """
    files = sorted(run.glob("logs/part_*/metrics.csv"), key=lambda path: natural_order(path.parent.name))
    if not files:
        raise TagsegError(f"{run}: no logs/part_*/metrics.csv, expected the folder of a training")
    by_step: dict[int, dict[str, float]] = {}
    for path in files:
        try:
            for step, values in _rows(path):
                by_step.setdefault(step, {}).update(values)
        except (OSError, ValueError, TypeError, KeyError, OverflowError, csv.Error) as error:
            raise TagsegError(
                f"{path} is damaged ({error}), expected the numbers that a training logged: delete it to go on without"
            ) from error
    return [by_step[step] for step in sorted(by_step)]


def _rows(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """Step and values of each row."""
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            values = {name: float(value) for name, value in row.items() if value and name != "epoch"}
            yield int(values["step"]), values
