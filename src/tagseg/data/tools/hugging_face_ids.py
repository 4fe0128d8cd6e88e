"""Class ids in the cells of a Hugging Face data set, and the names that they stand for."""

from __future__ import annotations

import re
from typing import Any

from tagseg.data.tag_table import ABSENT
from tagseg.errors import TagsegError, list_some

OBJECTS = ("category", "categories", "label", "labels")
"""Keys of the classes in a cell of objects, as ``{"bbox": [...], "category": [...]}``."""
UNLABELLED = -1
"""The class id that stands for no label."""
_ID = re.compile(r"\d{1,9}")


def named(cell: Any, names: tuple[str, ...], where: str) -> Any:
    """The cell with names for class ids, also in lists and in objects; text for other integers.

    Args:
        cell: what the table has.
        names: of the K classes of the column; none if it is no column of class ids.
        where: what has the cell, for messages.

    Raises:
        TagsegError: an id is not one of 0 to K - 1.
    """
    if isinstance(cell, dict):
        cell = next((cell[key] for key in OBJECTS if key in cell), cell)
    if isinstance(cell, list | tuple):
        return [named(each, names, where) for each in cell]
    if cell is ABSENT or cell is None or isinstance(cell, bool | dict):
        return cell
    is_id = isinstance(cell, int) or (isinstance(cell, str) and _ID.fullmatch(cell.strip()) is not None)
    if not names or not is_id:
        return str(cell) if isinstance(cell, int) else cell
    if not 0 <= int(cell) < len(names):
        raise TagsegError(
            f"{where} has the class id {cell}, expected 0 to {len(names) - 1}, as there are {len(names)} classes "
            f"({list_some(list(names))}): correct it"
        )
    return names[int(cell)]


def is_unlabelled(cell: Any) -> bool:
    """Whether a cell holds the class id for no label."""
    return str(cell).strip() == str(UNLABELLED)
