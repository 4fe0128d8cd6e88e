"""Where a data set in COCO's format has its files: as COCO, Roboflow, CVAT, Label Studio and FiftyOne lay them out."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from tagseg.data.config import DataConfig
from tagseg.data.file_size import read_whole
from tagseg.data.layout import choose_file, choose_folder
from tagseg.errors import TagsegError, list_some

_SINGLE = (
    "_annotations.coco",
    "annotations",
    "_annotations",
    "instances",
    "instances_default",
    "result",
    "labels",
    "coco",
)
"""Names, without ``.json``, of files that hold all that is beside or below them."""

_OTHER_KINDS = ("captions", "person_keypoints", "panoptic", "stuff", "image_info", "sentences")
"""Beginnings of the names of COCO's other files."""

_AFFIXES = re.compile(
    r"^(?:instances|annotations?|coco|labels)[_\-.]+|[_\-.]+(?:instances|annotations?|coco|labels)$", re.I
)
_YEAR = re.compile(r"[_\-]?(?:19|20)\d\d$")
_ALIASES = {
    "training": "train",
    "trainset": "train",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "testing": "test",
}
_IMAGE_FOLDERS = ("images", "Images", "data", "JPEGImages", "imgs", "img")
_KEYS = (b'"images"', b'"annotations"', b'"categories"')


class Annotations(NamedTuple):
    """The file for a split; ``whole`` if it holds the images of all splits."""

    path: Path
    whole: bool = False


class Layout(NamedTuple):
    """What a folder holds: the file of each split, and files that hold all."""

    splits: dict[str, Path]
    whole: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys((*self.splits.values(), *self.whole)))


def find_layout(root: Path) -> Layout:
    """Look for files of annotations, by name, in the root, in ``annotations/`` and in one folder a split."""
    splits: dict[str, Path] = {}
    whole: list[Path] = []
    for path in [*sorted((root / "annotations").glob("*.json")), *sorted(root.glob("*.json"))]:
        if path.stem.startswith(_OTHER_KINDS):
            continue
        if path.stem in _SINGLE:
            whole.append(path)
        elif path.parent != root or _AFFIXES.search(path.stem) or usual_name(path.stem) in ("train", "val", "test"):
            splits.setdefault(_split_name(path, root), path)
    for folder in _folders(root):
        beside = [folder / f"{name}.json" for name in _SINGLE]
        beside += [folder / "annotations" / f"{name}.json" for name in _SINGLE]
        found = [path for path in beside if path.is_file()]
        if found and folder.name not in _IMAGE_FOLDERS:
            splits.setdefault(folder.name, found[0])
        elif found and not whole:
            whole.append(found[0])
    return Layout(splits, tuple(whole))


def coco_files(root: Path) -> tuple[Path, ...]:
    """The files of annotations that a folder holds, by name and content."""
    return tuple(path for path in find_layout(root).files if _has_keys(path))


def find_annotations(config: DataConfig, root: Path, split: str) -> Annotations:
    """The file of a split.

    ``--data.tags`` may name it. If there is none of that very name, one by another usual name is taken (``valid``,
    ``validation`` or ``val2017`` for ``val``), or the only file there is, which then holds all splits.

    Raises:
        TagsegError: there is none, or several could be meant.
    """
    layout = find_layout(root)
    if config.tags != "auto":
        named = choose_file(root, config.tags, "--data.tags")
        own = usual_name(_split_name(named, root))
        meant = [each for each in (config.train_split, config.val_split) if each and usual_name(each) == own]
        if not meant:
            return Annotations(named, whole=True)
        if split in meant:
            return Annotations(named)
        layout = Layout({name: path for name, path in layout.splits.items() if path != named}, ())
    if split in layout.splits:
        return Annotations(layout.splits[split])
    similar = [name for name in layout.splits if usual_name(name) == usual_name(split)]
    if len(similar) == 1 and not _YEAR.search(split):  # who names a year means it
        return Annotations(layout.splits[similar[0]])
    if not layout.splits and len(layout.whole) == 1:
        if split not in (config.train_split, config.val_split) and split not in _whole_names(layout.whole[0]):
            raise TagsegError(
                f"{layout.whole[0]} has no splits and --split is {split!r}, expected {config.train_split!r} or "
                f"{config.val_split!r}, which divide its images: choose one, or set --data.train_split or .val_split"
            )
        return Annotations(layout.whole[0], whole=True)
    raise TagsegError(_absent(root, split, layout))


def _absent(root: Path, split: str, layout: Layout) -> str:
    usual = root / "annotations" / f"instances_{split}.json"
    if layout.splits:
        present = list_some(list(layout.splits), most=10)
        return (
            f"{usual} does not exist, splits present: {present}; set --data.train_split or .val_split "
            "(the empty text scores nothing), or name the file with --data.tags"
        )
    if layout.whole:
        several = list_some([str(path.relative_to(root)) for path in layout.whole])
        return f"{root} has several files of annotations, {several}, expected one: name it with --data.tags"
    others = list_some(sorted(str(path.relative_to(root)) for path in root.glob("*.json")))
    beside = f" (it has {others})" if others else ""
    return (
        f"{usual} does not exist, splits present: none; expected COCO's layout, or a file such as result.json, "
        f"labels.json or train/_annotations.coco.json{beside}: set --data.root, or name the file with --data.tags"
    )


def choose_images(config: DataConfig, root: Path, annotations: Path, split: str, names: list[str]) -> Path:
    """The folder of the images: of the usual ones, the first that has the first few of these names.

    Raises:
        TagsegError: the folder that is set does not exist, or there is none.
    """
    beside = annotations.parent
    own = _split_name(annotations, root) or split
    folders = [root / name for each in dict.fromkeys((split, own)) for name in (each, f"images/{each}", f"data/{each}")]
    folders += [place / name for place in dict.fromkeys((beside, root)) for name in _IMAGE_FOLDERS]
    folders += [beside, beside.parent if beside.name == "annotations" else beside, root]
    if config.images != "auto":
        chosen = choose_folder(root, config.images, (split, f"images/{split}", "images"), "--data.images")
        assert chosen is not None  # it is set
        return chosen
    present = [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
    for folder in present:
        for name in (each.lstrip("/") for each in names[:20]):  # a path of another machine is no path here
            parts = (name, name.removeprefix(f"{folder.name}/"), name.rpartition("/")[2])
            if any(os.path.isfile(folder / part) for part in parts):  # no error where a name is too long
                return folder
    likely = [folder for folder in present if folder not in (beside, root, root / "annotations")]
    if not likely:
        raise TagsegError(
            f"{root} has no folder {split}, expected COCO's layout, images in {split}/ (or images/, data/, or beside "
            f"{annotations.name}): set --data.images"
        )
    return likely[0]


def usual_name(split: str) -> str:
    """``train``, ``val`` or ``test`` for the names that tools give them, years left out; others as they are."""
    name = _YEAR.sub("", split.casefold())
    return _ALIASES.get(name, name)


def _split_name(path: Path, root: Path) -> str:
    """The split that a file's name tells, or that of its folder below the root; empty for a file of all splits."""
    if path.stem not in _SINGLE:
        return _AFFIXES.sub("", path.stem)
    folder = path.parent.parent if path.parent.name == "annotations" else path.parent
    return "" if folder == root or folder.name in _IMAGE_FOLDERS else folder.name


def _folders(root: Path) -> list[Path]:
    with os.scandir(root) as entries:  # no stat of each of a hundred thousand photos
        names = sorted(e.name for e in entries if e.is_dir() and e.name != "annotations" and not e.name.startswith("."))
    return [root / name for name in names]


def _whole_names(path: Path) -> tuple[str, ...]:
    return ("default",) if path.stem == "instances_default" else ()


def _has_keys(path: Path) -> bool:
    content = read_whole(path, "COCO's instances")
    return content.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{") and all(key in content for key in _KEYS)
