"""Annotation tools as data sources: an export is found or named, read, and its images are found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tagseg.data.class_list import class_list
from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.folder import IMAGES, images_of_table
from tagseg.data.inside import Inside
from tagseg.data.layout import choose_file, choose_folder, data_root
from tagseg.data.names import names_of
from tagseg.data.tag_columns import Entries
from tagseg.data.tag_table import Table
from tagseg.data.tags import tag_table
from tagseg.data.tools import cvat as cvat_file
from tagseg.data.tools import fiftyone as fiftyone_file
from tagseg.data.tools import label_studio as label_studio_file
from tagseg.data.tools.export import Export, entries_of
from tagseg.data.tools.found import cvat_files, label_studio_files
from tagseg.data.tools.hugging_face_folder import EXPECTED as METADATA
from tagseg.data.tools.hugging_face_folder import metadata_files, read_hugging_face
from tagseg.data.tools.labelme import read_labelme
from tagseg.errors import TagsegError, list_some


def label_studio(config: DataConfig, split: str, *, masks: bool) -> TaggedImages:
    """Images tagged in Label Studio: its JSON or JSON-MIN export in the root, or the file of ``config.tags``.

    Args:
        config: the data settings.
        split: name of the split.
        masks: whether samples can read their masks.

    Raises:
        TagsegError: as ``folder.folder`` and ``label_studio.read_label_studio``.
    """
    path = _one(config, label_studio_files, label_studio_file.EXPECTED)
    return _load(config, split, masks, *_of_export(label_studio_file.read_label_studio(path), config))


def cvat(config: DataConfig, split: str, *, masks: bool) -> TaggedImages:
    """Images tagged in CVAT: ``annotations.xml`` of "CVAT for images 1.1"; arguments and errors as ``label_studio``."""
    path = _one(config, cvat_files, cvat_file.EXPECTED)
    return _load(config, split, masks, *_of_export(cvat_file.read_cvat(path), config))


def labelme(config: DataConfig, split: str, *, masks: bool) -> TaggedImages:
    """Images of LabelMe or X-AnyLabeling: JSON files anywhere below the root, or the folder of ``config.tags``."""
    root = data_root(config.root)
    folder = choose_folder(root, config.tags, (), "--data.tags") or root
    return _load(config, split, masks, *_of_export(read_labelme(root, folder, Inside.of(config, root)), config))


def fiftyone(config: DataConfig, split: str, *, masks: bool) -> TaggedImages:
    """FiftyOne's classification export: ``labels.json`` and ``data/`` in the root, or in a folder a split."""
    root = data_root(config.root)
    files = (_named(config),) if config.tags != "auto" else fiftyone_file.label_files(root)
    if not files:
        raise _absent(root, fiftyone_file.EXPECTED)
    export = fiftyone_file.read_fiftyone(root, files)
    places = (fiftyone_file.DATA, *IMAGES) if files[0].parent == root else ()
    return _load(config, split, masks, *_of_export(export, config), places)


def hugging_face(config: DataConfig, split: str, *, masks: bool) -> TaggedImages:
    """A Hugging Face image folder: ``metadata.csv``, ``.jsonl`` or ``.parquet`` in the root, or in a folder a split."""
    root = data_root(config.root)
    files = (_named(config),) if config.tags != "auto" else metadata_files(root)
    if not files:
        raise _absent(root, METADATA)
    known = class_list(config.classes, root).names
    return _load(config, split, masks, *read_hugging_face(root, files, known, config.column), ())


def _load(
    config: DataConfig, split: str, masks: bool, table: Table, entries: Entries, places: tuple[str, ...] = IMAGES
) -> TaggedImages:
    listed = class_list(config.classes, data_root(config.root))
    tags = tag_table(table, entries, listed.names, config.separator, names_of(config.no_tag))
    return images_of_table(config, split, tags, listed, masks=masks, places=places)


def _of_export(export: Export, config: DataConfig) -> tuple[Table, Entries]:
    return Table(export.path, (), (), export.unit, export.notes), entries_of(export, config.column)


def _one(config: DataConfig, find: Callable[[Path], tuple[Path, ...]], expected: str) -> Path:
    """The file of the setting, or the only one that is found in the root."""
    root = data_root(config.root)
    if config.tags != "auto":
        return _named(config)
    files = find(root)
    if not files:
        raise _absent(root, expected)
    if len(files) > 1:
        names = list_some([path.name for path in files])
        raise TagsegError(f"{root} has several exports, {names}, expected one: choose with --data.tags {files[0].name}")
    return files[0]


def _named(config: DataConfig) -> Path:
    return choose_file(data_root(config.root), config.tags, "--data.tags")


def _absent(root: Path, expected: str) -> TagsegError:
    return TagsegError(f"{root} has no such file, expected {expected}: put it there, or name it with --data.tags")
