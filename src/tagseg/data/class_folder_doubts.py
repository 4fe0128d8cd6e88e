"""Why folders of photos may not be meant as classes: each doubt is one line with both readings and what decides."""

from __future__ import annotations

from pathlib import Path

from tagseg.data.class_folder_layout import ClassFolders, FolderNames, is_split
from tagseg.data.config import DataConfig
from tagseg.data.names import fold
from tagseg.errors import list_some

FLAG = "--data.source class_folders"
_ADD = "add a tag file (labels.csv with the columns image,labels)"


def doubt(found: ClassFolders, names: FolderNames, config: DataConfig) -> str:
    """The first reason to doubt that a folder per class is meant; empty if there is none.

    Args:
        found: the folders, with photos in at least one.
        names: what their names mean.
        config: the data settings.
    """
    looks = (
        _data_sets(found, config),
        _one_folder_around(found),
        _loose_photos(found),
        _flat_splits(found, config),
        _one_class(found),
        _nothing_alone(found, names),
        _not_in_class_list(found, names),
        _beside_splits(found, config),
    )
    return next(filter(None, looks), "")


def _data_sets(found: ClassFolders, config: DataConfig) -> str:
    """Folders that are data sets of their own, as those of MVTec, or that hold splits: photos are in splits alone."""
    places = [
        place
        for place, inner in found.within.items()
        if place not in found.own_photos and any(is_split(name, config) for name in inner)
    ]
    if not places:
        return ""
    count = f"{len(places)} of the folders" if len(places) > 1 else "one of the folders"
    return (
        f"{found.base} has {count} with {_shown(found.within[places[0]])} in it ({list_some(places)}), expected a "
        f"folder per class: train on one of them, e.g. {found.base / places[0]}, or put the splits above the classes"
    )


def _one_folder_around(found: ClassFolders) -> str:
    if len(found.folders) != 1 or found.splits or found.own_photos or not found.within:
        return ""
    (inside,) = found.folders
    return (
        f"{found.base} holds one folder, {inside}/, with {_shown(found.within[inside])} in it, expected a folder per "
        f"class: give {found.base / inside}, or read all its photos as one class with {FLAG}"
    )


def _loose_photos(found: ClassFolders) -> str:
    if not found.loose:
        return ""
    return (
        f"{found.base} has {len(found.folder_of)} photos in {_shown(found.folders)}, maybe a folder per class, "
        f"and {len(found.loose)} in none ({list_some(found.loose)}), expected one or the other: {FLAG} leaves these "
        f"out; if the folders are no classes, {_ADD}"
    )


def _flat_splits(found: ClassFolders, config: DataConfig) -> str:
    folders = found.folders
    if found.splits or not all(is_split(name, config) for name in folders):
        return ""
    return (
        f"{found.base} has photos in {_shown(folders)} and nothing that says what they show, expected class folders in "
        f"them, e.g. {Path(folders[0]) / 'cat' / '1.jpg'}: make some, or {_ADD}"
    )


def _one_class(found: ClassFolders) -> str:
    if len(found.folders) != 1:
        return ""
    (only,) = found.folders
    return (
        f"{found.base} has photos in one folder alone, {only}/, which could be a class or photos without tags, "
        f"expected a folder for each class: {FLAG} reads it as the class {only!r}; else {_ADD}"
    )


def _nothing_alone(found: ClassFolders, names: FolderNames) -> str:
    if any(names.meaning(name) == "class" for name in found.folders):
        return ""
    return (
        f"{found.base} has the folders {_shown(found.folders)}, by their names of images of nothing, expected a folder "
        "for each class: add them, or name those that are classes with --data.classes"
    )


def _not_in_class_list(found: ClassFolders, names: FolderNames) -> str:
    known = {fold(name) for name in names.known}
    if not known or any(fold(name) in known for name in found.folders):
        return ""
    return (
        f"{found.base} has the folders {_shown(found.folders)}, none of which is in the class list "
        f"({list_some(list(names.known), 10)}), expected a folder for each class: correct the list, or {_ADD}"
    )


def _beside_splits(found: ClassFolders, config: DataConfig) -> str:
    """Class folders beside splits, or photos in a folder ``test`` beside class folders; ``train`` may be a class."""
    plain = sorted({name for split, name in found.folder_of.values() if not split})
    odd = plain if found.splits else [name for name in plain if is_split(name, config) and fold(name) != "train"]
    if not odd:
        return ""
    others = found.splits or [name for name in plain if name not in odd]
    return (
        f"{found.base} has {_shown(odd)} beside {_shown(others)}, which could be classes or splits, expected class "
        f"folders alone or in the folders of splits: move {odd[0]}/, or read it as a class with {FLAG}"
    )


def _shown(folders: list[str] | set[str]) -> str:
    return list_some([f"{name}/" for name in sorted(folders)])
