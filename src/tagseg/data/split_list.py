"""Which image is in which split, as a CSV file: of a user, or what a run keeps of the splits made for it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tagseg.data.names import fold
from tagseg.data.notes import Note
from tagseg.data.resolver import Resolver, without_extension
from tagseg.data.tag_table import parse_table
from tagseg.data.text_file import read_text
from tagseg.errors import TagsegError, list_some
from tagseg.files import replacing

FILE = "split.csv"
"""What the list is called in the folder of a run."""

_EXPECTED = "a CSV file with the columns image and split"
_IMAGE = ("image", "file", "filename", "file_name", "path", "image_path", "photo", "name", "id")


def read_splits(path: Path) -> dict[str, str]:
    """The split of each image, by the image's name as it is written.

    Raises:
        TagsegError: the file is absent, has no such columns, or puts an image in two splits.
    """
    text, _ = read_text(path, _EXPECTED)
    table = parse_table(path, text, lambda header: int(_columns(header) is not None))
    columns = _columns(table.header)
    if columns is None:
        raise TagsegError(f"{path} has the columns {list_some(list(table.header), 6)}, expected {_EXPECTED}")
    splits: dict[str, str] = {}
    for place, cells in table.rows:
        image, split = (str(cells[column]).strip() for column in columns)
        if not image or not split:
            raise TagsegError(f"{table.where(place)} names no {'split' if image else 'image'}, expected {_EXPECTED}")
        if splits.setdefault(image, split) != split:
            raise TagsegError(f"{table.where(place)} has {image!r} in {split}, before in {splits[image]}: choose one")
    if not splits:
        raise TagsegError(f"{path} has no rows, expected {_EXPECTED} and a row for each image")
    return splits


def save_splits(path: Path, splits: Mapping[str, str]) -> None:
    """Write the split of each image.

    Raises:
        TagsegError: the file cannot be written.
    """
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        csv.writer(file).writerows([("image", "split"), *splits.items()])


def matched(splits: Mapping[str, str], names: Sequence[str], path: Path) -> tuple[dict[str, str], tuple[Note, ...]]:
    """The split of each image of some data, as a list has it; images that it lacks are in none.

    Args:
        splits: of ``read_splits``.
        names: of the images.
        path: the list, for messages.

    Returns:
        The split by the image's own name, and what does not fit.

    Raises:
        TagsegError: the list has none of the images, or could mean several by one name, or one by several.
    """
    resolver = Resolver(names, "the data")
    found: dict[str, str] = {}
    absent, loosely = [], []
    for written, split in splits.items():
        match = resolver.find(written) or resolver.find(without_extension(written))
        if match is None:
            absent.append(written)
            continue
        if found.setdefault(match.file, split) != split:
            raise TagsegError(f"{path} has {match.file!r} in {split} and in {found[match.file]}: choose one")
        if match.reasons:
            loosely.append(written)
    if not found:
        raise TagsegError(
            f"{path} lists {len(splits)} images ({list_some(absent, 2)}), and none of them is in the data "
            f"({list_some(list(names), 2)}): give their own list, or the splits of the data: --data.splits none "
            "--data.val_share 0"
        )
    unlisted = [name for name in names if name not in found]
    notes = (
        *Note.of(f"images of {path.name} are not in the data", absent, warning=True),
        *Note.of(f"images are not in {path.name}, so in no split", unlisted, warning=True),
        *Note.of(f"images of {path.name} are not named literally", loosely),
    )
    return found, notes


def counted(splits: Mapping[str, str]) -> str:
    """``train (80), val (20)``, the largest first."""
    return ", ".join(f"{name} ({count})" for name, count in Counter(splits.values()).most_common())


def _columns(header: Sequence[str]) -> tuple[int, int] | None:
    """Which columns are the image and the split."""
    names = [fold(name) for name in header]
    image = next((names.index(name) for name in _IMAGE if name in names), None)
    return None if image is None or "split" not in names else (image, names.index("split"))
