"""A data set of the library ``datasets`` in memory: its photos as files, and their tags."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from tagseg.data.file_kinds import EXTENSIONS
from tagseg.data.notes import Note
from tagseg.data.tag_columns import rank
from tagseg.data.tools.hugging_face_ids import OBJECTS, is_unlabelled, named
from tagseg.errors import TagsegError, list_some
from tagseg.files import replacing
from tagseg.progress import progress

_KINDS = ("Dataset", "DatasetDict", "IterableDataset", "IterableDatasetDict")


class TaggedPhoto(NamedTuple):
    """A photo on disk, its tags, and its split; the empty text if the data set has none."""

    path: Path
    tags: tuple[str, ...]
    split: str = ""


def is_dataset(value: object) -> bool:
    """Whether something is a data set of the library ``datasets``, which is not imported for that."""
    kinds = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(value).__mro__}
    return any(("datasets", name) in kinds for name in _KINDS)


def photos_of(dataset: Any, folder: Path, column: str = "auto") -> tuple[list[TaggedPhoto], tuple[Note, ...]]:
    """The photos of a ``Dataset`` or ``DatasetDict``, whose keys are the splits; pixels are not decoded.

    A photo that the data set has as a file stays where it is. The bytes of all others are written to the folder as they
    are, as ``SPLIT/000012.jpg``.

    Args:
        dataset: of the library ``datasets``.
        folder: where the bytes of photos go; it is made if need be.
        column: name of the column of the tags; ``auto`` takes the only one of class labels, else by its name.

    Returns:
        The photos, and what was read other than literally. Rows without a label are left out.

    Raises:
        TagsegError: there is no column of images or of tags, several could be meant, or a photo is nowhere.
    """
    splits: Mapping[str, Any] = dataset if isinstance(dataset, Mapping) else {"": dataset}
    photos: list[TaggedPhoto] = []
    without: list[str] = []
    for split, rows in splits.items():
        found, bare = _photos(rows, str(split), folder, column)
        photos += found
        without += bare
    return photos, Note.of("rows without a label (none, or the class id -1), left out", without)


def _photos(rows: Any, split: str, folder: Path, column: str) -> tuple[list[TaggedPhoto], list[str]]:
    features = getattr(rows, "features", None)
    if not features:
        raise TagsegError("the data set does not say what its columns are (features), expected images and class labels")
    image, label = _image_column(features), _label_column(features, column)
    names = _class_names(features[label])
    stored = rows.cast_column(image, type(features[image])(decode=False)).select_columns([image, label])
    photos: list[TaggedPhoto] = []
    without: list[str] = []
    with progress(getattr(stored, "num_rows", None) or 0, f"writing photos {split}".strip()) as bar:
        for index, row in enumerate(stored.with_format(None) if hasattr(stored, "with_format") else stored):
            where = f"row {index} of the data set{f' ({split})' if split else ''}"
            cell = row[label]
            if cell is None or is_unlabelled(cell):
                without.append(where)
                continue
            tags = _tags(named(cell, names, where), where)
            photos.append(TaggedPhoto(_file(row[image], folder / split, index, where), tags, split))
            bar.update()
    return photos, without


def _tags(cell: Any, where: str) -> tuple[str, ...]:
    tags = cell if isinstance(cell, list) else [cell]
    if not all(isinstance(tag, str) for tag in tags):
        raise TagsegError(f"{where} has {cell!r} for tags, expected a class or a list of classes")
    return tuple(dict.fromkeys(tags))


def _file(stored: Any, folder: Path, index: int, where: str) -> Path:
    """The file of a photo; written, if it has none."""
    path, content = (stored.get("path"), stored.get("bytes")) if isinstance(stored, dict) else (None, None)
    if content is None:
        if path and os.path.isfile(path):  # no error where a name is too long
            return Path(path)
        raise TagsegError(f"{where} has neither a photo nor the path of one that exists ({path}), expected an image")
    extension = Path(path or "").suffix.lower()
    if extension not in EXTENSIONS:
        extension = _extension(content, where)
    written = folder / f"{index:06d}{extension}"
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(written) as temporary:
        temporary.write_bytes(content)
    return written


def _extension(content: bytes, where: str) -> str:
    try:
        with Image.open(io.BytesIO(content)) as image:
            found = (image.format or "png").lower()
    except Exception as error:  # damaged files raise errors of all kinds
        raise TagsegError(f"{where} has bytes that are no image ({type(error).__name__}), expected a photo") from error
    return ".jpg" if found == "jpeg" else f".{found}"


def _image_column(features: Mapping[str, Any]) -> str:
    found = [name for name, feature in features.items() if type(feature).__name__ == "Image"]
    if len(found) == 1:
        return found[0]
    if "image" in found:
        return "image"
    what = f"several columns of images ({list_some(found)})" if found else "no column of images"
    raise TagsegError(
        f"the data set has {what}, its columns are {list_some(list(features), 10)}; expected one: cast it"
    )


def _label_column(features: Mapping[str, Any], column: str) -> str:
    if column != "auto":
        if column not in features:
            columns = list_some(list(features), 10)
            raise TagsegError(f"the column is {column!r}, expected one of the data set: {columns}")
        return column
    found = [name for name, feature in features.items() if _class_names(feature)]
    if not found:
        found = [name for name in features if rank(["image", name]) == 2]
    usual = [name for name in ("labels", "label") if name in found]
    if len(found) == 1 or usual:
        return (usual or found)[0]
    what = f"several columns that may be the tags ({list_some(found)})" if found else "no column of class labels"
    raise TagsegError(
        f"the data set has {what}, its columns are {list_some(list(features), 10)}; expected one: set data.column"
    )


def _class_names(feature: Any) -> tuple[str, ...]:
    """The names of a class label, or of one in a list or in objects."""
    if type(feature).__name__ == "ClassLabel":
        return tuple(map(str, feature.names))
    if isinstance(feature, Mapping):
        return next((names for key in OBJECTS if key in feature and (names := _class_names(feature[key]))), ())
    inner: Iterable[Any] = feature if isinstance(feature, list) else [getattr(feature, "feature", None)]
    return next((names for each in inner if each is not None and (names := _class_names(each))), ())
