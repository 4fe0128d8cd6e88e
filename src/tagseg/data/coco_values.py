"""Single values of COCO's JSON, which tools write in many ways: ids, flags, sizes, boxes and outlines."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

from tagseg.data.names import fold
from tagseg.data.outlines import Outline, RunLengths, decode_counts, read_outline

Key: TypeAlias = int | str
"""An id: 3, 3.0, "3" and "003" are one; text that is no number stays text."""

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""

_YES = frozenset({"1", "1.0", "true", "yes", "y"})
_NO = frozenset({"0", "0.0", "false", "no", "n", "none", "null", "nan", ""})
_SHORT = 12
"""Run lengths of an empty mask are one number; text up to this long is decoded to see."""


def read_key(value: Any) -> Key:
    """An id of one type, whatever type it was written in.

    Raises:
        ValueError: it is neither a whole number nor text.
    """
    if isinstance(value, str):
        text = value.strip()
        if not text:
            raise ValueError("an empty id")
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 30 else text
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:  # also NaN
        raise ValueError(f"the id {value!r}")
    return int(value)


def read_flag(value: Any) -> bool:
    """``iscrowd``: 0, 1, true, false, null, or any of them as text.

    Raises:
        ValueError: it is something else.
    """
    text = fold("" if value is None else str(value))
    if text in _YES or text in _NO:
        return text in _YES
    raise ValueError(f"iscrowd = {value!r} (neither 0 nor 1)")


def read_side(value: Any) -> int | None:
    """A width or height in pixels, 1 or more; ``None`` where it is not known (null, 0, empty text).

    Raises:
        ValueError: it is no whole number of pixels.
    """
    if value is None or value == 0 or value == "":
        return None
    try:
        number = float("x" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        number = math.nan
    if not (number >= 0 and number < 1e9 and number == int(number)):
        raise ValueError(f"a width or height of {value!r}")
    return int(number) or None


def read_box(value: Any) -> Box | None:
    """``bbox`` (left, top, width, height) as left, top, right, bottom; ``None`` if it is none, or is empty."""
    try:
        left, top, width, height = (float(number) for number in value)
    except (TypeError, ValueError):
        return None
    if not all(map(math.isfinite, (left, top, width, height))) or width <= 0 or height <= 0:
        return None
    return left, top, left + width, top + height


class Segmentation(NamedTuple):
    """An outline with its extent, both ``None`` if it encloses nothing; and whether it was nested otherwise."""

    outline: Outline | None = None
    extent: Box | None = None
    nested: bool = False


def read_segmentation(value: Any) -> Segmentation:
    """``segmentation``, as tools write it.

    COCO has a list of polygons, each x0, y0, x1, y1, ...; one such polygon alone, and lists of points, are read too.
    Null, an empty list, a polygon of less than three points, one without area and empty run lengths enclose nothing.

    Raises:
        ValueError, TypeError, KeyError, OverflowError: it is neither polygons nor run lengths.
    """
    if value is None or value in ([], {}, ""):
        return Segmentation()
    if isinstance(value, dict):
        runs = read_outline(value)
        assert isinstance(runs, RunLengths)  # a dict gives no polygons
        return (
            Segmentation()
            if _is_empty(runs)
            else Segmentation(runs, (0.0, 0.0, float(runs.size[1]), float(runs.size[0])))
        )
    if not isinstance(value, list):
        raise ValueError(f"a segmentation that is {type(value).__name__}")
    nested = _as_polygons(value)
    polygons = read_outline(nested)
    assert not isinstance(polygons, RunLengths)  # a list gives polygons
    enclosing, extents = [], []
    for polygon in polygons:
        if len(polygon) >= 6:
            numbers = polygon.tolist()  # of a few points faster than the array
            across, down = numbers[::2], numbers[1::2]
            left, top, right, bottom = min(across), min(down), max(across), max(down)
            if left < right and top < bottom:
                enclosing.append(polygon)
                extents.append((left, top, right, bottom))
    if not enclosing:
        return Segmentation(nested=nested is not value)
    lefts, tops, rights, bottoms = zip(*extents, strict=True)
    return Segmentation(tuple(enclosing), (min(lefts), min(tops), max(rights), max(bottoms)), nested is not value)


def may_enclose(value: Any) -> bool:
    """Whether a ``segmentation`` has run lengths or three points, by a look at its shape."""
    if isinstance(value, dict):
        return bool(value)
    if not isinstance(value, list):
        return False
    points = (
        len(part) * (1 if part and isinstance(part[0], list) else 0.5) for part in value if isinstance(part, list)
    )
    return len(value) >= 3 or any(count >= 3 for count in points)


def _as_polygons(value: list[Any]) -> list[Any]:
    """The same list if it is nested as COCO nests it."""
    if not any(isinstance(part, list) for part in value):
        return [value]
    if len(value) >= 3 and all(isinstance(part, list) and len(part) == 2 for part in value) and _flat(value[0]):
        return [[number for point in value for number in point]]
    if any(isinstance(part, list) and part and not _flat(part) for part in value):
        return [[number for point in polygon for number in point] for polygon in value]
    return value


def _flat(part: list[Any]) -> bool:
    return not isinstance(part[0], list)


def _is_empty(runs: RunLengths) -> bool:
    if isinstance(runs.counts, str) and len(runs.counts) > _SHORT:
        return False
    try:
        counts = decode_counts(runs.counts) if isinstance(runs.counts, str) else runs.counts
    except ValueError:  # damaged: named when it is drawn
        return False
    return not counts[1::2].any() and int(counts.sum()) == runs.size[0] * runs.size[1]
