"""Whether a data folder is a folder per class, could be one, or contradicts its tag file."""

from __future__ import annotations

import os
from pathlib import Path

from tagseg.data.class_folder_doubts import FLAG, doubt
from tagseg.data.class_folder_layout import (
    ClassFolders,
    FolderNames,
    class_folder_names,
    described,
    find_class_folders,
    places,
)
from tagseg.data.coco_layout import coco_files
from tagseg.data.config import DataConfig
from tagseg.data.file_kinds import EXTENSIONS
from tagseg.data.names import fold
from tagseg.data.resolver import Resolver
from tagseg.data.tags import TagTable, read_tags, usual_tag_file
from tagseg.data.taken_for import TakenFor
from tagseg.errors import TagsegError, list_some

LOOKED_AT = 100
"""Files, or folders, that are looked at in each folder that could be a class."""
_TEXTS = (".json", ".xml", ".txt", ".csv", ".yaml", ".yml", ".md", ".db", ".ini", "")


def class_folders_layout(root: Path, config: DataConfig) -> TakenFor | None:
    """A folder per class, where ``--data.images`` is not set; with a tag file only if the two contradict each other.

    Raises:
        TagsegError: a folder or the class list cannot be read.
    """
    if config.images != "auto":
        return None
    base, folders, _ = places(root, config)
    tag_file = usual_tag_file(root)
    if tag_file is not None and not _names_tags(base, folders, config, tag_file, FolderNames.of(config, root)):
        return None  # and no photo is looked at
    found = find_class_folders(root, config) if _mostly_photos([base / name for name in folders]) else None
    if found is None or not found.folder_of:
        return None
    names = FolderNames.of(config, root)
    what = described(found, names)
    if tag_file is None:
        return TakenFor("class_folders", what, FLAG, doubt=doubt(found, names, config))
    against = _against(found, names, config, tag_file)
    return TakenFor("class_folders", f"{what}, {against}", FLAG) if against else None


def _names_tags(base: Path, folders: list[str], config: DataConfig, tag_file: Path, names: FolderNames) -> bool:
    """Whether a folder that could be one of a class is called like a tag of the file."""
    if not folders or (tag_file.suffix == ".json" and tag_file in coco_files(tag_file.parent)):
        return False
    try:
        table = read_tags(tag_file, names.known, config.separator, names.no_tag)
    except TagsegError:  # told when it is read
        return False
    tags = _tags(table)
    return any(fold(name) in tags for name in class_folder_names(base, folders, config))


def _tags(table: TagTable) -> set[str]:
    return {fold(tag) for tag in {tag for row in table.rows for tag in row.labels}}


def _mostly_photos(folders: list[Path]) -> bool:
    """Whether the folders hold photos rather than someone's documents or programs; a few files of each tell.

    Text that may belong to photos says nothing. Not all is listed: that could be a whole disk.
    """
    counts = {True: 0, False: 0}
    for folder in folders:
        seen = 0
        for visited, (_, below, files) in enumerate(os.walk(folder)):
            below[:] = sorted(name for name in below if not name.startswith("."))
            for name in files[:LOOKED_AT]:
                ending = os.path.splitext(name)[1].lower()
                if ending in EXTENSIONS or not (ending in _TEXTS or name.startswith(".")):
                    counts[ending in EXTENSIONS] += 1
            seen += len(files)
            if seen >= LOOKED_AT or visited >= LOOKED_AT:
                break
    return counts[True] > counts[False] or (bool(folders) and not any(counts.values()))


def _against(found: ClassFolders, names: FolderNames, config: DataConfig, tag_file: Path) -> str:
    """What a tag file says otherwise than the folders; empty where it agrees or does not know their names as tags."""
    try:
        table = read_tags(tag_file, names.known, config.separator, names.no_tag)
        tags = _tags(table)
        if not any(fold(name) in tags for name in found.folders if names.meaning(name) == "class"):
            return ""
        differing = _differing(found, names, table)
    except TagsegError:  # of the tag file, or of names that fit several photos: told when it is read
        return ""
    if not differing:
        return ""
    return f"which {tag_file.name} contradicts for {len(differing)} of {len(found.folder_of)} ({list_some(differing)})"


def _differing(found: ClassFolders, names: FolderNames, table: TagTable) -> list[str]:
    """Photos that the table does not name, or without the tag of their folder."""
    resolver = Resolver(found.folder_of, str(found.base), found.base.name)
    tags_of: dict[str, set[str]] = {}
    for row in table.rows:
        match = resolver.find(row.image)
        if match is not None:
            tags_of[match.file] = {fold(tag) for tag in row.labels}
    differing = []
    meanings = {name: names.meaning(name) for name in found.folders}
    for file, (_, name) in found.folder_of.items():
        meaning, tags = meanings[name], tags_of.get(file)
        agrees = tags is not None and (not tags if meaning == "nothing" else fold(name) in tags)
        if not agrees and meaning != "untagged":
            differing.append(file)
    return differing
