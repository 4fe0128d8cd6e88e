"""A frame of pandas or polars as rows of a tag file. Neither library is imported: whoever has a frame has it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tagseg.data.class_list import class_list
from tagseg.data.config import DataConfig
from tagseg.data.tag_columns import Entries, read_entries
from tagseg.data.tag_table import Table


def is_frame(value: object) -> bool:
    """Whether something is a DataFrame of pandas or polars, or of what is built on them."""
    kinds = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(value).__mro__}
    return bool(kinds & {("pandas", "DataFrame"), ("polars", "DataFrame")})


def rows_of_frame(frame: Any, config: DataConfig) -> Entries:
    """The rows of a frame, its columns found as in a tag file: the image, tags or a column a class, the split.

    Args:
        frame: of pandas or polars; an index of pandas that has a name is a column.
        config: ``classes`` and ``column`` apply.

    Raises:
        TagsegError: there is no such column, two could be meant, or a cell is malformed.
    """
    if getattr(getattr(frame, "index", None), "name", None) is not None:
        frame = frame.reset_index()
    library = type(frame).__module__.partition(".")[0]
    columns = [_listed(frame[name]) for name in frame.columns]
    rows = tuple((place, tuple(map(_plain, cells))) for place, cells in enumerate(zip(*columns, strict=True)))
    header = tuple(str(name) for name in frame.columns)
    known = class_list(config.classes, Path()).names if config.classes else ()
    return read_entries(Table(Path(f"the {library} DataFrame"), header, rows, "row"), known, config.column)


def _listed(column: Any) -> list[Any]:
    """The cells of a column: pandas and polars spell it differently."""
    cells: list[Any] = column.to_list()
    return cells


def _plain(cell: Any) -> Any:
    """A cell as a tag file would have it: text, a list of texts, or ``None`` for what the libraries call missing."""
    if isinstance(cell, str) or cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return cell if isinstance(cell, str) else None
    if isinstance(cell, set | frozenset):
        return sorted(map(str, cell))
    if isinstance(cell, Iterable):
        return list(map(str, cell))
    if isinstance(cell, float):
        return None if math.isnan(cell) else str(int(cell) if cell.is_integer() else cell)
    return str(cell)
