"""Parquet tables, read by whichever library the user has."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from tagseg.data.tag_table import Table
from tagseg.data.tools.hugging_face_names import Names, names_of_schema
from tagseg.errors import TagsegError

MOST_VALUES = 100_000_000
"""Values of the largest table that is read."""
_LIBRARIES = ("pyarrow.parquet", "polars", "pandas")


def read_parquet(path: Path) -> tuple[Table, Names]:
    """The rows of a file, and the names of class ids that its schema gives.

    Raises:
        TagsegError: none of pyarrow, polars and pandas is installed, or the file is damaged.
    """
    for name in _LIBRARIES:
        try:
            library = import_module(name)
        except ImportError:
            continue
        try:
            columns, metadata = _columns(name, library, path)
        except ImportError:  # pandas without an engine
            continue
        except Exception as error:  # each library has errors of its own
            reason = " ".join(str(error).split())[:200]
            raise TagsegError(f"{path} cannot be read ({reason}), expected a Parquet table: replace it") from error
        header = tuple(columns)
        rows = zip(*columns.values(), strict=True)
        return Table(path, header, tuple(enumerate(rows, 1)), "row"), names_of_schema(metadata)
    raise TagsegError(
        f"{path} is a Parquet table, which needs pyarrow, polars or pandas to be read: pip install pyarrow, or save it "
        "as metadata.csv"
    )


def _columns(name: str, library: Any, path: Path) -> tuple[dict[str, list[Any]], Mapping[bytes, bytes] | None]:
    if name == "pyarrow.parquet":
        facts = library.read_metadata(path)  # a few bytes can stand for any number of equal values
        if facts.num_rows * facts.num_columns > MOST_VALUES:
            raise ValueError(f"{facts.num_rows:,} rows of {facts.num_columns} columns, over {MOST_VALUES:,} values")
        table = library.read_table(path)
        return {str(key): table[key].to_pylist() for key in table.column_names}, table.schema.metadata
    if name == "polars":
        frame = library.read_parquet(path)
        return {str(key): frame[key].to_list() for key in frame.columns}, None
    frame = library.read_parquet(path)
    return {str(key): [_plain(value) for value in frame[key]] for key in frame.columns}, None


def _plain(value: Any) -> Any:
    """A value without the array that pandas makes of a list."""
    return value.tolist() if hasattr(value, "tolist") else value
