"""Photos and tags that are in memory, as pairs or a frame of pandas or polars: written as a tag file, data as any."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tagseg.arguments import check_path, refuse
from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.frame_rows import is_frame, rows_of_frame
from tagseg.data.notes import Note
from tagseg.data.tag_columns import FROM_MASKS
from tagseg.data.tools.hugging_face import is_dataset, photos_of
from tagseg.errors import TagsegError, list_some
from tagseg.files import replacing

FILE = "labels.jsonl"
_PAIRS = 'pairs of a path and its tags, e.g. [("a.jpg", ["cat", "dog"]), ("b.jpg", "cat")]'
_EXPECTED = f"{_PAIRS}, or a pandas or polars DataFrame with such columns"

logger = logging.getLogger("tagseg")


class GivenRow(NamedTuple):
    """A photo: its path, its tags (whole, or text to be told apart as a cell of a tag file), and its split, if any."""

    path: str
    tags: str | tuple[str, ...]
    split: str = ""


def data_of(photos: object, folder: Path | str, data: DataConfig | None = None) -> DataConfig:
    """Write photos and tags that are in memory to a folder as a tag file, and give the data settings that read it.

    Paths are relative to the working folder; photos stay where they are and may be in folders that share nothing.

    Args:
        photos: pairs ``(path, tags)`` or ``(path, tags, split)``; or a mapping of paths to tags. Tags are text, which
            is one tag whatever it contains, or several texts; none: ``[]`` or ``None``. Or a pandas or polars
            DataFrame, its columns found as in a tag file, cells told apart likewise; or a data set of the library
            ``datasets``.
        folder: for ``labels.jsonl``; it is made if need be.
        data: further data settings, e.g. the classes; those of where the photos are are replaced.

    Returns:
        The settings, e.g. for ``tagseg.evaluate`` and ``tagseg.label``.

    Raises:
        TagsegError: something else than photos and tags, a photo that does not exist, or one with other tags twice.
    """
    check_path("folder", folder, "a folder for the tag file (str or Path)")
    if data is not None and not isinstance(data, DataConfig):
        raise refuse("data", data, "a DataConfig or None")
    place = Path(os.path.abspath(os.path.expanduser(folder)))
    return _write(photos, place, DataConfig() if data is None else data)[0]


def _write(photos: object, place: Path, data: DataConfig) -> tuple[DataConfig, bool]:
    """The settings that read the file, and whether the rows have splits."""
    rows, column, notes = _rows(photos, data, place)
    if not rows:
        raise refuse("photos", photos, f"at least one photo: {_EXPECTED}")
    absent = list(dict.fromkeys(row.path for row in rows if not os.path.isfile(row.path)))
    if absent and not data.skip_missing:
        raise TagsegError(
            f"{len(absent)} of {len(rows)} photos do not exist: {list_some(absent)}; expected files, relative to "
            f"{os.getcwd()} or absolute: correct them, or leave them out with data.skip_missing"
        )
    for note in notes:
        logger.log(logging.WARNING if note.warning else logging.INFO, "photos: %s", note)
    with replacing(place / FILE) as temporary:
        temporary.write_text("".join(_lines(rows, column)), encoding="utf-8", errors="surrogateescape")
    has_splits = any(row.split for row in rows)
    own = {"source": "folder", "root": str(place), "tags": FILE, "images": "auto", "column": "auto", "outside": "allow"}
    return dataclasses.replace(data, **own), has_splits  # type: ignore[arg-type]


def tagged_images(photos: object, data: DataConfig | None = None) -> TaggedImages:
    """Photos and tags that are in memory as images to train on or to look at, without masks.

    Args:
        photos: as ``data_of`` takes them; of those with splits, the training split.
        data: as ``data_of`` takes it.

    Raises:
        TagsegError: as ``data_of``, or the tags cannot be read.
    """
    from tagseg.data.sources import load  # not above: sources know all layouts

    if is_dataset(photos):
        raise refuse("photos", photos, f"{_EXPECTED}; of a data set tagseg.data_of(photos, folder) writes the photos")
    with TemporaryDirectory() as folder:
        config, has_splits = _write(photos, Path(folder), DataConfig() if data is None else data)
        images = load(config if has_splits else dataclasses.replace(config, val_split=""), config.train_split, False)
    return dataclasses.replace(images, source="photos and tags in memory")


def _rows(photos: object, data: DataConfig, folder: Path) -> tuple[list[GivenRow], str, tuple[Note, ...]]:
    """The rows, absolute; the name of the column of tags; what was noticed."""
    if is_frame(photos):
        entries = rows_of_frame(photos, data)
        return (
            [GivenRow(_absolute(entry.image), _cell(entry.cells, entry.tags), entry.split) for entry in entries.rows],
            FROM_MASKS if entries.column == FROM_MASKS else "labels",
            entries.notes,
        )
    if is_dataset(photos):
        found, notes = photos_of(photos, folder / "photos", data.column)
        return [GivenRow(_absolute(photo.path), photo.tags, photo.split) for photo in found], "labels", notes
    if isinstance(photos, Mapping):
        photos = list(photos.items())
    if isinstance(photos, str | bytes | os.PathLike) or not isinstance(photos, Iterable):
        raise refuse("photos", photos, _EXPECTED)
    rows = [_pair(item, f"photos[{index}]") for index, item in enumerate(photos)]
    _refuse_two_meanings(rows)
    return rows, "labels", ()


def _pair(item: object, where: str) -> GivenRow:
    if not isinstance(item, tuple | list) or len(item) not in (2, 3):
        raise refuse(where, item, _PAIRS)
    path, tags, split = (*item, "")[:3]
    check_path(f"{where}[0]", path, "the path of a photo (str or Path)")
    if not isinstance(split, str):
        raise refuse(f"{where}[2]", split, "the name of a split, e.g. 'train'")
    if tags is None:
        tags = ()
    elif isinstance(tags, str):
        tags = (tags,)
    elif isinstance(tags, Iterable) and not isinstance(tags, bytes | Mapping):
        tags = sorted(tags, key=str) if isinstance(tags, set | frozenset) else tags
    else:
        raise refuse(f"{where}[1]", tags, "a tag or a list of tags (str)")
    texts = tuple(tags)
    for tag in texts:
        if not isinstance(tag, str):
            raise refuse(f"a tag of {where}", tag, "its name (str)")
    return GivenRow(_absolute(path), tuple(map(str, texts)), split)


def _refuse_two_meanings(rows: list[GivenRow]) -> None:
    """A photo that is given twice must mean the same: a union would hide a mistake."""
    first: dict[str, GivenRow] = {}
    for row in rows:
        other = first.setdefault(row.path, row)
        if set(other.tags) != set(row.tags) or other.split != row.split:
            raise TagsegError(
                f"photos names {row.path} twice, with the tags {list_some(list(other.tags)) or 'none'} and "
                f"{list_some(list(row.tags)) or 'none'}{'' if other.split == row.split else ' in two splits'}, "
                "expected one pair a photo: join them"
            )


def _absolute(path: str | os.PathLike[str]) -> str:
    if not os.fspath(path).strip():
        raise TagsegError("a row of photos names no photo, expected its path: fill it in or leave the row out")
    return os.path.abspath(os.path.expanduser(path))


def _cell(cells: tuple[str, ...], tags: tuple[str, ...]) -> str | tuple[str, ...]:
    """The one cell of a row as it is, to be told apart with all others; of several columns their texts."""
    return cells[0] if len(cells) == 1 and not tags else (*filter(str.strip, cells), *tags)


def _lines(rows: Iterable[GivenRow], column: str) -> Iterable[str]:
    rows = list(rows)
    has_splits = any(row.split for row in rows)
    for row in rows:
        content: dict[str, Any] = {"image": row.path, column: row.tags}
        if has_splits:
            content["split"] = row.split
        yield json.dumps(content, ensure_ascii=False) + "\n"
