"""Exports of annotation tools in a folder, found by their content, for ``data.recognised``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from tagseg.data.config import DataConfig
from tagseg.data.taken_for import TakenFor
from tagseg.data.tools.cvat import is_cvat
from tagseg.data.tools.fiftyone import is_fiftyone, label_files
from tagseg.data.tools.folders import entries_of_folder, folders_in
from tagseg.data.tools.hugging_face_folder import is_metadata, metadata_files
from tagseg.data.tools.label_studio import is_label_studio
from tagseg.data.tools.labelme import is_labelme
from tagseg.errors import list_some

_SHARD = re.compile(r"(?:-of-\d+\.(?:parquet|arrow)|^data(?:-\d+)?\.arrow)$")
"""Names of tables that hold photos."""
LOOKED_AT = 20
"""JSON files that are looked into for LabelMe; half of them must be of it."""

_TOOLS: dict[str, tuple[str, Callable[[Path], bool]]] = {
    "label_studio": ("an export of Label Studio", is_label_studio),
    "cvat": ("an export of CVAT", is_cvat),
    "fiftyone": ("a classification export of FiftyOne", is_fiftyone),
}
"""Tools whose export is one file of any name."""


def label_studio_files(root: Path) -> tuple[Path, ...]:
    """JSON files directly in a folder that begin like an export of Label Studio."""
    return _files(root, ".json", is_label_studio)


def cvat_files(root: Path) -> tuple[Path, ...]:
    """XML files directly in a folder that begin like CVAT's."""
    return _files(root, ".xml", is_cvat)


def label_studio_layout(root: Path, config: DataConfig) -> TakenFor | None:
    """An export of Label Studio in the root."""
    return _taken_for("label_studio", _TOOLS["label_studio"][0], root, label_studio_files(root))


def cvat_layout(root: Path, config: DataConfig) -> TakenFor | None:
    """CVAT's ``annotations.xml`` in the root."""
    return _taken_for("cvat", _TOOLS["cvat"][0], root, cvat_files(root))


def fiftyone_layout(root: Path, config: DataConfig) -> TakenFor | None:
    """FiftyOne's ``labels.json`` in the root or in folders of it."""
    return _taken_for("fiftyone", _TOOLS["fiftyone"][0], root, label_files(root))


def hugging_face_layout(root: Path, config: DataConfig) -> TakenFor | None:
    """Files ``metadata.csv`` and the like with a column ``file_name``."""
    files = tuple(path for path in metadata_files(root) if is_metadata(path))
    return _taken_for("hugging_face", "a Hugging Face image folder", root, files) or _within_tables(root)


def _within_tables(root: Path) -> TakenFor | None:
    """A data set whose photos are within its tables, as the hub and ``save_to_disk`` store it; Python can load it."""
    folders = [root, *folders_in(root)]
    found = (each for folder in folders for each in entries_of_folder(folder) if _SHARD.search(each.name))
    shard = next(found, None)
    if shard is None:
        return None
    doubt = (
        f"{root} has photos within {os.path.relpath(shard.path, root)}, expected photos as files: load it with the "
        "library datasets, and give it to tagseg.train(config, photos=...) in Python"
    )
    return TakenFor("hugging_face", "a stored Hugging Face data set", "--data.source hugging_face", doubt=doubt)


def labelme_layout(root: Path, config: DataConfig) -> TakenFor | None:
    """JSON files beside the images, in the root or in folders of it."""
    paths = _some_json(root)
    of_it = tuple(path for path in paths if is_labelme(path))
    if not of_it or 2 * len(of_it) < len(paths):
        return None
    what = f"annotations of LabelMe or X-AnyLabeling (such as {of_it[0].relative_to(root).as_posix()})"
    return TakenFor("labelme", what, "--data.source labelme", of_it)


def named_export(root: Path, config: DataConfig) -> TakenFor | None:
    """The tool whose export the file of ``config.tags`` is, by its content."""
    path = next((each for each in (root / config.tags, Path(config.tags).expanduser()) if each.is_file()), None)
    if path is None:
        return None
    for source, (what, fits) in _TOOLS.items():
        if fits(path):
            return TakenFor(source, f"{what} ({config.tags})", f"--data.source {source}", (path,))
    return None


def _taken_for(source: str, what: str, root: Path, files: Sequence[Path]) -> TakenFor | None:
    if not files:
        return None
    names = list_some([path.relative_to(root).as_posix() for path in files], 2)
    return TakenFor(source, f"{what} ({names})", f"--data.source {source}", tuple(files))


def _files(root: Path, extension: str, fits: Callable[[Path], bool]) -> tuple[Path, ...]:
    found = (each for each in entries_of_folder(root) if each.name.lower().endswith(extension) and each.is_file())
    return tuple(path for each in found if fits(path := root / each.name))


def _some_json(root: Path) -> list[Path]:
    """A few JSON files of the root, of its folders and of theirs."""
    found: list[Path] = []
    folders = [root]
    for _ in range(3):
        inner: list[Path] = []
        for folder in folders:
            for entry in entries_of_folder(folder):
                if entry.name.lower().endswith(".json"):
                    found.append(Path(entry.path))
                elif entry.is_dir():
                    inner.append(Path(entry.path))
                if len(found) == LOOKED_AT:
                    return found
        folders = inner
    return found
