"""Masks of photos in class folders: in one folder for all, in a folder in each class folder, or beside the photos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tagseg.data.class_folder_layout import CONTAINERS, ClassFolders
from tagseg.data.listing import Photos
from tagseg.data.mask_files import FoundMasks, find_masks, masks_in
from tagseg.data.notes import Note


def find_class_folder_masks(root: Path, setting: str, found: ClassFolders, photos: Photos) -> FoundMasks:
    """The masks of photos in class folders.

    Args:
        root: the data's folder.
        setting: ``--data.masks``, as ``mask_files.find_masks`` takes it.
        found: the class folders.
        photos: all photos, relative to the base of the class folders.

    Raises:
        TagsegError: as ``mask_files.find_masks``.
    """
    masks = find_masks(root, setting, photos)
    if setting != "auto" or masks.of:
        return masks
    if found.beside:
        beside = masks_in(found.base, photos)
        return replace(beside, folder=found.base)
    return _in_each(found, photos) if found.mask_folders else masks


def _in_each(found: ClassFolders, photos: Photos) -> FoundMasks:
    """From the folders of masks in class folders."""
    of: dict[str, Path] = {}
    notes: dict[str, Note] = {}
    why_none = ""
    for folder in found.mask_folders:
        place = f"{folder.rpartition('/')[0]}/"
        names = [name.removeprefix(place) for name in photos.names if name.startswith(place)]
        inner = next((f"{each}/" for each in CONTAINERS if all(name.startswith(f"{each}/") for name in names)), "")
        within = Photos(
            found.base / place / inner, tuple(name.removeprefix(inner) for name in names), inside=photos.inside
        )
        masks = masks_in(found.base / folder, within)
        of.update({f"{place}{inner}{name}": path for name, path in masks.of.items()})
        notes.update({note.text: note for note in masks.notes})
        why_none = masks.why_none
    return FoundMasks(found.base, of, tuple(notes.values()), "" if of else why_none)
