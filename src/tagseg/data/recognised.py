"""Folders that are unmistakably in COCO's or VOC's layout, where ``--data.source`` was left at ``folder``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tagseg.data.coco_layout import looks_like_coco
from tagseg.data.config import DataConfig
from tagseg.data.notes import Note
from tagseg.data.tags import usual_tag_file


def recognise(config: DataConfig) -> tuple[DataConfig, tuple[Note, ...]]:
    """The settings with the source that the folder is laid out for, and a note if it is not the one that is set.

    Only a folder without a tag file, which ``folder`` cannot read, is taken for another: for ``coco`` if a file with a
    usual name has its content, for ``voc`` if it has ``JPEGImages`` and ``ImageSets/Segmentation``.
    """
    root = Path(config.root).expanduser()
    if config.source != "folder" or config.tags != "auto" or not root.is_dir():
        return config, ()
    tag_file = usual_tag_file(root)
    if tag_file is not None and tag_file.suffix.lower() != ".json":
        return config, ()
    if looks_like_coco(root):
        return _as(config, "coco")
    if tag_file is None and (root / "JPEGImages").is_dir() and (root / "ImageSets" / "Segmentation").is_dir():
        return _as(config, "voc")
    return config, ()


def _as(config: DataConfig, source: str) -> tuple[DataConfig, tuple[Note, ...]]:
    note = Note(f"the folder has no tag file and {source.upper()}'s layout: read as with --data.source {source}")
    return replace(config, source=source), (note,)
