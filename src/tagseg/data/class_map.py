"""A class map: which classes of the data become which of the network, in what order and colour; from YAML."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import ImageColor

from tagseg.data.names import fold, is_background
from tagseg.data.palette import Colour, colour
from tagseg.data.text_file import read_text
from tagseg.data.yaml_text import parse_yaml
from tagseg.errors import TagsegError, list_some

USUAL = ("class_map.yaml", "class_map.yml")
"""What a class map is called where it lies in the folder of the data."""

_KEYS = ("classes", "drop", "ignore", "others")
_OF_CLASS = ("from", "colour", "color")
_OTHERS = ("error", "keep", "drop")


@dataclass(frozen=True)
class ClassMap:
    """A class map, read and checked for itself.

    Attributes:
        sources: for each class of the network, in the order of their labels, the names in the data that it takes in.
        colours: RGB of the classes that were given one.
        drop: names in the data that become background.
        ignore: names in the data that are neither learnt nor scored.
        others: what becomes of names that the map does not have: ``error``, ``keep`` or ``drop``.
        where: the file, for messages.
    """

    sources: Mapping[str, tuple[str, ...]]
    colours: Mapping[str, Colour] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    others: str = "error"
    where: str = "the class map"

    def as_settings(self) -> dict[str, Any]:
        """The map as ``data.class_map`` takes it in a configuration, so that a run needs no other file."""
        classes = {
            name: {"from": [each for each in names if fold(each) != fold(name)]}
            | ({"colour": _hex(self.colours[name])} if name in self.colours else {})
            for name, names in self.sources.items()
        }
        return {"classes": classes, "drop": list(self.drop), "ignore": list(self.ignore), "others": self.others}


def find_class_map(setting: str | dict[str, Any], root: Path) -> ClassMap | None:
    """The class map that ``data.class_map`` means: a file, the map itself, or ``auto``: one in the root, if any.

    Raises:
        TagsegError: the file is absent, or the map is malformed or contradicts itself.
    """
    if isinstance(setting, dict):
        return class_map(setting, "data.class_map")
    if setting in ("", "none"):
        return None
    if setting == "auto":
        found = next((root / name for name in USUAL if (root / name).is_file()), None)
        return None if found is None else read_class_map(found)
    near = Path(setting).expanduser()
    path = near if near.is_file() else root / setting
    if not path.is_file():
        raise TagsegError(
            f"--data.class_map {setting} does not exist, expected a YAML file with classes: (docs/class_map.md)"
        )
    return read_class_map(path)


def read_class_map(path: Path) -> ClassMap:
    """Read a class map from YAML.

    Raises:
        TagsegError: no such file, no YAML, or a map that is malformed or contradicts itself.
    """
    text, _ = read_text(path, "a class map (YAML)")
    return class_map(parse_yaml(path, text), str(path))


def class_map(content: object, where: str) -> ClassMap:
    """Check a class map.

    Args:
        content: what the YAML file holds: ``classes``, ``drop``, ``ignore``, ``others``.
        where: the file, for messages.

    Raises:
        TagsegError: an unknown key or colour, a name in two places, a class taken into another, a colour twice.
    """
    if not isinstance(content, dict) or not content:
        raise TagsegError(f"{where} has no {' or '.join(_KEYS)}, expected a class map (docs/class_map.md)")
    _check_keys(content, _KEYS, where)
    classes = content.get("classes") or {}
    if isinstance(classes, list):
        nested = [entry for entry in classes if isinstance(entry, dict | list)]
        if nested:
            raise TagsegError(f"{where} has {nested[0]!r} in its list of classes, expected names: leave the dashes out")
        classes = dict.fromkeys(map(str, classes)) if len(set(classes)) == len(classes) else _twice(classes, where)
    if not isinstance(classes, dict):
        raise TagsegError(f"{where} has classes: {classes!r}, expected a name a line, e.g. 'cat: [cat, kitten]'")
    sources, colours = {}, {}
    for name, entry in classes.items():
        if not isinstance(name, str):
            raise TagsegError(f"{where} has the class {name!r}, expected a name: write it in quotes")
        sources[name], given = _entry(name, entry, where)
        if given is not None:
            colours[name] = given
    drop, ignore = (_names(content.get(key), f"{where} {key}:") for key in ("drop", "ignore"))
    others = content.get("others") or ("error" if classes else "keep")
    if others not in _OTHERS:
        raise TagsegError(f"{where} has others: {others!r}, expected one of: {', '.join(_OTHERS)}")
    read = ClassMap(sources, colours, drop, ignore, others, where)
    _check_names(read)
    _check_colours(read)
    return read


def _entry(name: str, entry: object, where: str) -> tuple[tuple[str, ...], Colour | None]:
    """The names that a class takes in, its own among them, and its colour."""
    given = None
    if isinstance(entry, dict):
        _check_keys(entry, _OF_CLASS, f"{where} class {name!r}")
        written = entry.get("colour", entry.get("color"))
        given = None if written is None else _colour(written, f"{where} class {name!r}")
        entry = entry.get("from")
    names = _names(entry, f"{where} class {name!r}")
    own = () if any(fold(each) == fold(name) for each in names) else (name,)
    return (*own, *names), given


def _names(value: object, where: str) -> tuple[str, ...]:
    """Nothing, one name or a list of names."""
    names = [value] if isinstance(value, str) and value.strip() else value or []
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name.strip() for name in names):
        raise TagsegError(
            f"{where} has {value!r}, expected names: [cat, kitten]; in quotes where YAML takes them for else"
        )
    return tuple(name.strip() for name in names)


def _colour(value: object, where: str) -> Colour:
    """``#ff0000``, a name such as ``red``, or red, green and blue from 0 to 255."""
    try:
        if isinstance(value, str):
            return _rgb(ImageColor.getrgb(value.strip())[:3])
        if isinstance(value, list | tuple) and len(value) == 3 and all(0 <= int(each) <= 255 for each in value):
            return _rgb(value)
    except ValueError:
        pass
    raise TagsegError(f'{where} has the colour {value!r}, expected "#ff0000" in quotes, red, or [255, 0, 0]')


def _rgb(values: Any) -> Colour:
    red, green, blue = (int(value) for value in values)
    return red, green, blue


def _hex(rgb: Colour) -> str:
    return "#" + "".join(f"{value:02x}" for value in rgb)


def _check_keys(content: dict[Any, Any], known: tuple[str, ...], where: str) -> None:
    for key in content:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]}?" if near else "classes are listed below classes:"
            raise TagsegError(f"{where} has {str(key)!r}, expected {', '.join(known)}: {hint}")


def _twice(classes: list[Any], where: str) -> Any:
    name = next(name for place, name in enumerate(classes) if name in classes[:place])
    raise TagsegError(f"{where} has the class {name!r} twice, expected each once: remove one")


def _check_names(read: ClassMap) -> None:
    """Each name of the data goes to one place, and no class into another."""
    where = read.where
    own: dict[str, str] = {}
    for name in read.sources:
        if is_background(name):
            raise TagsegError(
                f"{where} has the class {name!r}, which is label 0: to make classes background, drop them"
            )
        if own.setdefault(fold(name), name) is not name:
            raise TagsegError(f"{where} has the class {name!r} twice, but for case: join them")
    taken: dict[str, str] = {}
    for name, target in _places(read):
        other = own.get(fold(name))
        if other is not None and target != f"the class {other!r}":
            raise TagsegError(
                f"{where} has {name!r} as a class and in {target}, expected one of the two: give the class another name"
            )
        if taken.setdefault(fold(name), target) != target:
            raise TagsegError(f"{where} has {name!r} in {taken[fold(name)]} and in {target}: choose one")


def _places(read: ClassMap) -> Iterator[tuple[str, str]]:
    for target, names in read.sources.items():
        yield from ((name, f"the class {target!r}") for name in names)
    yield from ((name, "drop") for name in read.drop)
    yield from ((name, "ignore") for name in read.ignore)


def _check_colours(read: ClassMap) -> None:
    of: dict[Colour, str] = {colour(0): "the background", colour(255): "ignored pixels"}
    for name, rgb in read.colours.items():
        if rgb in of:
            shown = _hex(rgb)
            raise TagsegError(
                f"{read.where} gives {name!r} the colour {shown}, which is that of {of[rgb]}: choose another"
            )
        of[rgb] = repr(name)


def unknown_names(read: ClassMap, classes: tuple[str, ...]) -> str:
    """The error that a map has names which the data lack, with the nearest one; empty if it has none."""
    known = {fold(name): name for name in classes}
    missing = [name for name, _ in _places(read) if fold(name) not in known and not _is_new_name(read, name, known)]
    if not missing:
        return ""
    near = difflib.get_close_matches(fold(missing[0]), list(known), n=1)
    hint = f"did you mean {known[near[0]]!r}?" if near else f"the data have {list_some(list(classes), 10)}"
    return f"{read.where} has {missing[0]!r}, which is no class of the data: {hint}"


def _is_new_name(read: ClassMap, name: str, known: Mapping[str, str]) -> bool:
    """Whether the name is the new one of a class that takes in classes of the data."""
    return any(each != name and fold(each) in known for each in read.sources.get(name, ()))
