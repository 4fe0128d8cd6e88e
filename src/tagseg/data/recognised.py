"""What a data folder is taken for where ``--data.source`` was left at ``folder``: a table of all layouts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tagseg.data.class_folder_recogniser import class_folders_layout
from tagseg.data.coco_layout import coco_files
from tagseg.data.config import DataConfig
from tagseg.data.tags import TAG_FILES
from tagseg.data.taken_for import TakenFor
from tagseg.data.tools.found import (
    cvat_layout,
    fiftyone_layout,
    hugging_face_layout,
    label_studio_layout,
    labelme_layout,
    named_export,
)
from tagseg.errors import TagsegError, list_some

Recogniser = Callable[[Path, DataConfig], TakenFor | None]
"""From a folder that exists, and the settings, to how the folder can be read; quick, as all of them look."""


def recognise(config: DataConfig, tags: bool = True) -> tuple[DataConfig, str]:
    """Look what layout a folder has.

    Args:
        config: the data settings.
        tags: whether the tags of the images are needed; if not, a folder without any is no error.

    Returns:
        The settings with the source that was found, and what the folder was taken for; as they are, and ``""``, where a
        source is set, or a tag file that is no tool's export, the folder does not exist or nothing says what is in the
        photos.

    Raises:
        TagsegError: the folder can be read in two ways; the message names them and the setting that decides.
    """
    root = Path(config.root).expanduser()
    if config.source != "folder" or not root.is_dir():
        return config, ""
    if config.tags != "auto":
        named = named_export(root, config)
        return (config, "") if named is None else (replace(config, source=named.source), named.what)
    ways = _distinct([way for look in RECOGNISERS if (way := _looked(look, root, config)) is not None])
    sure = [way for way in ways if not way.doubt]
    if len(sure) > 1:
        first, second = sure[:2]
        raise TagsegError(
            f"{root} can be read as {first.what} or as {second.what}, expected one of them: choose with {first.flag} "
            f"or {second.flag}"
        )
    if ways and not sure and tags:
        raise TagsegError(ways[0].doubt)
    if not sure:
        return config, ""
    return replace(config, source=sure[0].source), sure[0].what


def _looked(look: Recogniser, root: Path, config: DataConfig) -> TakenFor | None:
    try:
        return look(root, config)
    except OSError:  # told when the folder is read, if it is
        return None


def _distinct(ways: list[TakenFor]) -> list[TakenFor]:
    """Without those that rest on files of an earlier one, or that another includes."""
    included = {source for way in ways for source in way.includes}
    files: set[Path] = set()
    kept = []
    for way in ways:
        if way.source not in included and not (way.files and files.issuperset(way.files)):
            kept.append(way)
        files.update(way.files)
    return kept


def _coco(root: Path, config: DataConfig) -> TakenFor | None:
    """Files with usual names and the content of MS COCO's JSON."""
    files = coco_files(root)
    if not files:
        return None
    names = list_some([path.relative_to(root).as_posix() for path in files], 2)
    return TakenFor("coco", f"MS COCO's layout ({names})", "--data.source coco", files)


def _tag_file(root: Path, config: DataConfig) -> TakenFor | None:
    """A tag file with a usual name. VOC's own tags come from such a file, too."""
    files = tuple(root / name for name in TAG_FILES if (root / name).is_file())
    if not files:
        return None
    others = f"; not read: {list_some([path.name for path in files[1:]])}" if files[1:] else ""
    what = f"photos with a tag file ({files[0].name}{others})"
    return TakenFor("folder", what, f"--data.tags {files[0].name}", files[:1], includes=("voc",))


def _voc(root: Path, config: DataConfig) -> TakenFor | None:
    """PASCAL VOC's folders."""
    if not ((root / "JPEGImages").is_dir() and (root / "ImageSets" / "Segmentation").is_dir()):
        return None
    return TakenFor("voc", "PASCAL VOC's layout (JPEGImages/, ImageSets/Segmentation/)", "--data.source voc")


RECOGNISERS: tuple[Recogniser, ...] = (
    _coco,
    label_studio_layout,
    cvat_layout,
    fiftyone_layout,
    hugging_face_layout,
    labelme_layout,
    _tag_file,
    _voc,
    class_folders_layout,
)
"""All that look into a folder. A layout whose files have a content of their own stands before ``_tag_file``."""
