"""Reading the logged losses and scores of a run from its CSV files."""

from __future__ import annotations

import csv
from pathlib import Path

from tagseg.errors import TagsegError


def read_logs(run: Path) -> list[dict[str, float]]:
    """One record for each logged step, sorted; the parts of a resumed run are merged.

    Args:
        run: a run folder with ``logs/part_*/metrics.csv``.

    Raises:
        TagsegError: there is no log.
    """
    files = sorted(run.glob("logs/part_*/metrics.csv"), key=lambda path: int(path.parent.name.removeprefix("part_")))
    if not files:
        raise TagsegError(f"{run}: no logs/part_*/metrics.csv, expected the folder of a training")
    by_step: dict[int, dict[str, float]] = {}
    for path in files:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                values = {name: float(value) for name, value in row.items() if value and name != "epoch"}
                by_step.setdefault(int(values["step"]), {}).update(values)
    return [by_step[step] for step in sorted(by_step)]
