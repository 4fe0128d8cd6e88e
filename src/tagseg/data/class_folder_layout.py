"""Which folders of a data folder are classes: ``PHOTOS/CLASS/photo.jpg``, maybe with ``train/`` and ``val/`` above."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tagseg.data.class_list import class_list
from tagseg.data.coco_layout import usual_name
from tagseg.data.config import DataConfig
from tagseg.data.file_kinds import Kind
from tagseg.data.inside import Inside
from tagseg.data.listing import list_photos
from tagseg.data.mask_files import possible_folders
from tagseg.data.names import fold, is_nothing_folder, is_untagged, names_of
from tagseg.data.resolver import without_extension
from tagseg.errors import list_some

CONTAINERS = ("images", "Images", "imgs", "img", "photos", "data", "dataset")
"""Folders that may hold the class folders, or within a class folder its photos; never a class."""
_OTHER = ("jpegimages", "imagesets", "segmentationobject", "segmentationclassaug", "__macosx")
_RESULTS = ("data.json", "config.yaml")
"""What a folder that tagseg wrote holds."""
_SPLITS = ("train", "val", "test")
_MASK_BESIDE = re.compile(r"[ _.\-]+(?:masks?|seg|segmentation|labels?|gt|annotations?)(?:[ _.\-]*\d+)?$", re.I)

Meaning = Literal["class", "nothing", "untagged"]


@dataclass
class ClassFolders:
    """Photos by the folders of their classes.

    Attributes:
        base: the folder of the class folders, or of the splits above them.
        folder_of: photo, relative to the base → its split's folder (``""``: none) and its class folder.
        apart: folders that are no classes: of masks, results and the like.
        mask_folders: folders of masks within class folders, relative to the base.
        beside: files that are named like a photo and a mask, and lie beside it.
        loose: photos in no class folder.
        empty: class folders without a photo.
        left_out: other files of the class folders, by their kind.
        within: class folder → folders directly in it.
        own_photos: class folders that hold photos themselves.
        inside: the folders that links may lead into; ``None``: anywhere.
    """

    base: Path
    folder_of: dict[str, tuple[str, str]] = field(default_factory=dict)
    apart: list[str] = field(default_factory=list)
    mask_folders: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    left_out: dict[Kind, list[str]] = field(default_factory=dict)
    within: dict[str, set[str]] = field(default_factory=dict)
    own_photos: set[str] = field(default_factory=set)
    inside: Inside | None = None

    @property
    def splits(self) -> list[str]:
        """The folders of splits; none if there are none."""
        return sorted({split for split, _ in self.folder_of.values() if split}, key=_split_order)

    @property
    def folders(self) -> list[str]:
        """Names of the class folders, each once, sorted."""
        return sorted({name for _, name in self.folder_of.values()})


@dataclass(frozen=True)
class FolderNames:
    """What the names of class folders mean: a class, or that its photos show none.

    Attributes:
        known: the class list, if there is one; its names are classes whatever they are.
        no_tag: further names that mean no class.
    """

    known: tuple[str, ...] = ()
    no_tag: tuple[str, ...] = ()

    @staticmethod
    def of(config: DataConfig, root: Path) -> FolderNames:
        """As the settings have it; raises ``TagsegError`` as ``class_list`` does."""
        return FolderNames(class_list(config.classes, root).names, names_of(config.no_tag))

    def meaning(self, folder: str) -> Meaning:
        """What a folder is: a class, images of nothing, or images that nobody tagged."""
        if fold(folder) in map(fold, self.known):
            return "class"
        if fold(folder) in map(fold, self.no_tag) or is_nothing_folder(folder):
            return "nothing"
        return "untagged" if is_untagged(folder) else "class"


def find_class_folders(root: Path, config: DataConfig) -> ClassFolders:
    """Look for class folders in a folder, or in the folder of its images; it may have none.

    Folders of masks, of results and hidden ones are no classes, nor are those of splits that hold folders themselves.

    Args:
        root: the data's folder.
        config: ``images``, ``masks``, ``train_split`` and ``val_split`` apply.

    Raises:
        TagsegError: a folder cannot be read.
    """
    base, folders, apart = places(root, config)
    found = ClassFolders(base, apart=apart, inside=Inside.of(config, root))
    splits = [name for name in folders if is_split(name, config)]
    above = {name: _candidates(base / name, config)[0] for name in splits}
    if any(above.values()):
        for split in splits:
            found.loose += [f"{split}/{name}" for name in _photos_in(base / split)]
            for name in above[split]:
                _add(found, split, name)
        folders = [name for name in folders if name not in splits]
    for name in folders:
        _add(found, "", name)
    found.loose = [*_photos_in(base), *found.loose]
    _take_masks_out(found)
    return found


def places(root: Path, config: DataConfig) -> tuple[Path, list[str], list[str]]:
    """The base of class folders, names of folders in it that may be classes or splits, and of those that are neither.

    No folder is looked into but the root and one of images.
    """
    base = root if config.images == "auto" else root / config.images
    folders, apart = _candidates(base, config)
    if config.images == "auto" and not folders:
        base = next((root / name for name in CONTAINERS if _candidates(root / name, config)[0]), root)
        folders, apart = _candidates(base, config)
    return base, folders, apart


def class_folder_names(base: Path, folders: list[str], config: DataConfig) -> list[str]:
    """All names that class folders may have, whether they hold photos or not."""
    splits = (name for name in folders if is_split(name, config))
    return [*folders, *(name for split in splits for name in _candidates(base / split, config)[0])]


def is_split(folder: str, config: DataConfig) -> bool:
    """Whether a folder has the name of a split, the usual ones or those of the settings."""
    return usual_name(folder) in _SPLITS or folder in (config.train_split, config.val_split)


def _split_order(name: str) -> tuple[int, str]:
    usual = usual_name(name)
    return (_SPLITS.index(usual) if usual in _SPLITS else len(_SPLITS)), name


def _candidates(folder: Path, config: DataConfig) -> tuple[list[str], list[str]]:
    """Names of the sub-folders that may be classes or splits, and of those that are not."""
    if not folder.is_dir():
        return [], []
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    masks = set() if config.masks == "none" else {path.name for path in possible_folders(folder)}
    masks |= {config.masks.strip("/").split("/")[0]} - {"auto", "none"}
    containers = {name.lower() for name in CONTAINERS}
    inside = [name for name in names if name.lower() not in containers | set(_OTHER)]
    apart = [name for name in inside if name in masks or _is_result(folder / name)]
    return [name for name in inside if name not in apart], apart


def _is_result(folder: Path) -> bool:
    """Whether tagseg wrote a folder, or those in it."""
    try:
        with os.scandir(folder) as entries:  # no stat of each photo
            inside = [str(folder), *(entry.path for entry in entries if entry.is_dir())]
    except PermissionError:  # told when it is read
        return False
    return any(os.path.isfile(os.path.join(place, name)) for place in inside for name in _RESULTS)


def _photos_in(folder: Path) -> Iterator[str]:
    """Names of the photos directly in a folder, by their endings."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if without_extension(entry.name) != entry.name)
    return (name for name in names if not name.startswith("."))


def _add(found: ClassFolders, split: str, name: str) -> None:
    """Add the photos of one class folder and of all folders in it."""
    place = f"{split}/{name}" if split else name
    photos = list_photos(found.base / place, found.inside)
    for kind, files in photos.left_out.items():
        found.left_out.setdefault(kind, []).extend(f"{place}/{file}" for file in files)
    files = [f"{place}/{file}" for file in photos.names]
    found.folder_of.update(dict.fromkeys(files, (split, name)))
    if not files:
        found.empty.append(f"{place}/")


def _take_masks_out(found: ClassFolders) -> None:
    """Find the masks in class folders: in folders of their own, or beside the photos."""
    stems = {without_extension(file) for file in found.folder_of}
    mask_folders: dict[str, bool] = {}
    for file, (split, name) in list(found.folder_of.items()):
        place = f"{split}/{name}" if split else name
        first, slash, _ = file[len(place) + 1 :].partition("/")
        inner = f"{place}/{first}"
        if not slash:
            found.own_photos.add(place)
        elif inner not in mask_folders:
            found.within.setdefault(place, set()).add(first)
            mask_folders[inner] = found.base / inner in possible_folders(found.base / place)
        core = _MASK_BESIDE.sub("", without_extension(file))
        if slash and mask_folders[inner]:
            del found.folder_of[file]
        elif core != without_extension(file) and core in stems:
            found.beside.append(file)
            del found.folder_of[file]
    found.mask_folders = [inner for inner, is_mask in mask_folders.items() if is_mask]


def described(found: ClassFolders, names: FolderNames) -> str:
    """What was found, in words: ``a folder per class (2 classes in 3 folders, good/ holds images of nothing)``."""
    folders = [name for name in found.folders if names.meaning(name) != "untagged"]
    classes = {fold(name) for name in folders if names.meaning(name) == "class"}
    nothing = [f"{name}/" for name in folders if names.meaning(name) == "nothing"]
    parts = [f"{_count(len(classes), 'class', 'classes')} in {_count(len(folders), 'folder', 'folders')}"]
    if nothing:
        parts.append(f"{list_some(nothing)} {'holds' if len(nothing) == 1 else 'hold'} images of nothing")
    splits = [f"{name}/" for name in found.splits]
    split_by = f", split by {' and '.join([', '.join(splits[:-1]), splits[-1]] if splits[1:] else splits)}"
    return f"a folder per class ({', '.join(parts)}){split_by if splits else ''}"


def _count(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"
