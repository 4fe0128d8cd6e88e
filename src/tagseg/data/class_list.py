"""The class list: from the settings or a file, without the background, which is label 0 by whatever name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tagseg.data.class_file import read_class_file
from tagseg.data.dataset import IGNORE
from tagseg.data.layout import choose_file
from tagseg.data.names import fold, is_background, is_doubtful, is_ignored, is_nothing, names_of
from tagseg.data.notes import Note
from tagseg.errors import TagsegError, list_some

_USUAL = ("classes.txt", "classes.yaml", "classes.yml", "classes.json")


@dataclass(frozen=True)
class ClassList:
    """The K foreground class names, label k+1 of a mask is ``names[k]``; none if the data are to tell.

    Attributes:
        names: the names.
        notes: what was read other than literally.
    """

    names: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


def class_list(setting: str | tuple[str, ...], root: Path) -> ClassList:
    """The class list of the settings, else of ``classes.txt`` (or ``.yaml``, ``.json``) in the root, else an empty one.

    The setting is a list of names, a file (``class_file.read_class_file``), or names separated by commas, where no file
    has that name. The background, if named, comes first, in any spelling, and is dropped: it always is label 0. So is
    labelme's ``__ignore__`` before it.

    Raises:
        TagsegError: an absent or malformed file, a background elsewhere, names that are the same but for case, Unicode
            normalisation or white space, or more of them than a mask has labels.
    """
    if isinstance(setting, tuple) and setting:
        return _without_background(setting, "--data.classes")
    if isinstance(setting, str) and setting:
        names = None if _is_file(root, setting) else _written_out(setting)
        if names is not None:
            return _without_background(names, "--data.classes")
        path = choose_file(root, setting, "--data.classes")
    else:
        usual = next((root / name for name in _USUAL if (root / name).is_file()), None)
        if usual is None:
            return ClassList()
        path = usual
    names, notes = read_class_file(path)
    read = _without_background(names, str(path))
    return ClassList(read.names, (*notes, *read.notes))


def _is_file(root: Path, setting: str) -> bool:
    try:
        return (root / setting).is_file() or Path(setting).expanduser().is_file()
    except (OSError, RuntimeError, ValueError):  # too long for a file name, or "~..." that is no user
        return False


def _written_out(setting: str) -> tuple[str, ...] | None:
    """``cat,dog`` as names; ``None`` if it looks like a file."""
    names = names_of(setting)
    is_path = len(names) == 1 and setting.strip()[:1] != "[" and any(each in setting for each in "./\\~")
    return None if is_path else names


def _without_background(names: tuple[str, ...], named_in: str) -> ClassList:
    notes: list[Note] = []
    if len(names) > 1 and is_ignored(names[0]) and is_background(names[1]):
        notes.append(Note(f"{named_in} begins with {names[0]!r}, which is label 255 and no class"))
        names = names[1:]
    places = [place for place, name in enumerate(names) if is_background(name)]
    if len(places) > 1:
        both = list_some([repr(names[place]) for place in places])
        raise TagsegError(f"{named_in} names the background twice, {both}, expected it once, in the first place")
    if places and places[0] > 0:
        raise TagsegError(
            f"{named_in} has {names[places[0]]!r} in place {places[0] + 1}, expected the background in the first, as "
            "it is label 0 of masks: move it there, or remove it if the masks have it as 0 anyway"
        )
    if places:
        if names[0] != "background":
            notes.append(Note(f"{named_in} calls label 0, the background, {names[0]!r}"))
        names = names[1:]
    elif names and is_ignored(names[0]):
        raise TagsegError(
            f"{named_in} begins with {names[0]!r}, but label 0 of masks is the background and 255 is ignored, expected "
            "'background' or the first class there: correct it"
        )
    elif names and (is_nothing(names[0]) or is_doubtful(names[0])) and names[0].strip():
        text = f"{named_in} begins with {names[0]!r}, which is label 1 and a class: if it is the background, call it so"
        notes.append(Note(text, warning=True))
    for label, name in enumerate(names, 1):
        if is_ignored(name):
            text = f"{named_in} has the class {name!r}, label {label}: if it means pixels that are left out, remove it"
            notes.append(Note(f"{text}, and give them 255 in masks", warning=True))
    check_classes(names, named_in)
    return ClassList(names, tuple(notes))


def check_labels_suffice(classes: tuple[str, ...], named_in: str) -> None:
    """Raise ``TagsegError`` unless there are 1 to 254 classes: a label is a byte, 0 is background and 255 ignored."""
    if not 1 <= len(classes) < IGNORE:
        raise TagsegError(f"{named_in} gives {len(classes)} classes, expected 1 to {IGNORE - 1}: set --data.classes")


def check_classes(classes: tuple[str, ...], named_in: str) -> None:
    """Raise ``TagsegError`` unless there are 1 to 254 classes, no two of them the same under ``names.fold``."""
    check_labels_suffice(classes, named_in)
    if not all(fold(name) for name in classes):
        raise TagsegError(f"{named_in} has an empty class name, expected a name: remove it")
    spellings = Counter(fold(name) for name in classes)
    twice = [name for name in classes if spellings[fold(name)] > 1]
    if twice:
        raise TagsegError(f"{named_in} has classes twice, but for case: {list_some(twice)}; keep one spelling")
