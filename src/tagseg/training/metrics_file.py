"""``metrics.csv`` of a part of a training: each row is in the file as soon as it is logged, and whole.

Lightning's own file is written anew, in place, whenever a column is added; a kill in that moment would lose all of it.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tagseg.files import replacing
from tagseg.training.progress_file import remove_torn_line

NAME = "metrics.csv"
Row = Mapping[str, Any]


class MetricsFile:
    """Appends rows to a new file; columns are sorted by name, cells of what a row does not have are empty.

    Args:
        folder: of the part; made with the first row. A file that is there is begun anew.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.columns: list[str] = []

    def append(self, row: Row) -> None:
        """Write a row.

        Raises:
            OSError: it cannot be written; the rows before are as they were.
            TagsegError: the same, where the row has a new column.
        """
        new = sorted({*self.columns, *row})
        if new != self.columns:
            before = read_rows(self.path) if self.columns else []
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_rows(self.path, [*before, row], new)
            self.columns = new
            return
        content = _text([row], self.columns).encode()
        number = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            size = os.fstat(number).st_size
            if os.write(number, content) < len(content):  # a full disk takes a part
                os.ftruncate(number, size)
                raise OSError("no space left")
        finally:
            os.close(number)


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a file; what a crash has left of a last one is cut off first."""
    remove_torn_line(path)
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Write a file anew; until it is whole, the former one is there.

    Raises:
        TagsegError: it cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(_text([dict(zip(columns, columns, strict=True)), *rows], columns), "utf-8", newline="")


def _text(rows: Sequence[Row], columns: Sequence[str]) -> str:
    text = io.StringIO(newline="")
    csv.DictWriter(text, columns, restval="").writerows(rows)
    return text.getvalue()


def drop_rows(logs: Path, step: int) -> None:
    """Leave out what a training has logged of a step or later ones, which it is about to do again.

    Args:
        logs: the folder of all parts of a run.
        step: the first step that is done again; 0: all of them. Logged steps are counted from 0.
    """
    for path in sorted(logs.glob(f"part_*/{NAME}")):
        rows = read_rows(path)
        kept = [row for row in rows if not (row.get("step") or "").isdigit() or int(row["step"]) < step]
        if not kept:
            path.unlink()
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
        elif len(kept) < len(rows):
            write_rows(path, kept, list(rows[0]))


def next_part(logs: Path) -> str:
    """The name of the next part of a run."""
    numbers = [path.name.removeprefix("part_") for path in logs.glob("part_*")]
    return f"part_{1 + max((int(number) for number in numbers if number.isdigit()), default=-1)}"
