"""Several tags in one cell: which character separates them is found from the whole column, never from one cell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import NamedTuple, NoReturn

from tagseg.data.json_text import parse_json
from tagseg.data.names import fold, is_background, is_nothing
from tagseg.data.notes import Note
from tagseg.errors import TagsegError, list_some

HARD = (";", "|", "\n", "\t", "；", "、")
"""Characters that hardly any class name holds: where they occur, they separate."""
COMMAS = (",", "，")
"""They separate where each cell has a part that occurs elsewhere too; a pair that never does can be read two ways."""
SIGNS = ("/", "#", "&", "+", ":")
"""They separate where every part of every cell occurs elsewhere too; if some do, the cell can be read two ways."""
JOINTS = (" ", "_", "-")
"""Usual in names: they separate only where every part of every cell that has them is also a tag by itself."""
NAMED = {"space": " ", "tab": "\t", "newline": "\n", "comma": ",", "semicolon": ";", "pipe": "|"}
"""Words for separators that are awkward to write."""
WHOLE = "none"
"""The setting that takes every cell for one tag."""

_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""")


class Splitter(NamedTuple):
    """Splits cells into tags; ``notes`` say how."""

    split: Callable[[str], list[str]]
    notes: tuple[Note, ...]


def find_splitter(cells: Iterable[tuple[str, str]], known: tuple[str, ...], setting: str, named_in: str) -> Splitter:
    """How the cells of a column are split into tags.

    A cell that is a list as Python or JSON writes it, ``['cat', 'dog']`` or ``[cat, dog]``, is read as that list.

    Args:
        cells: text and place of each cell that is not a list already.
        known: class names, if there is a list: its names are never split, and say what else is a tag.
        setting: ``auto``, ``none`` or the separator itself.
        named_in: the file, for messages.

    Raises:
        TagsegError: a cell that could be read two ways (the message gives both), or an empty setting.
    """
    places: dict[str, str] = {}
    for text, place in cells:
        places.setdefault(text.strip(), place)
    places = {text: place for text, place in places.items() if not (is_nothing(text) or is_background(text))}
    whole = {fold(name) for name in known}
    if not setting:
        raise TagsegError("--data.separator is empty, expected auto, none, or the character between tags: set it")
    if setting == WHOLE:
        return Splitter(lambda text: [text], ())
    if setting != "auto":
        separator = NAMED.get(setting, setting)
        unused = bool(places) and not any(separator in text for text in places)
        text = f"--data.separator {setting!r} occurs in no cell of {named_in}: each cell is one tag"
        return Splitter(lambda text: _split(text, separator, set()), (Note(text, warning=True),) if unused else ())
    lists = [text for text in places if fold(text) not in whole and _as_list(text) is not None]
    column = _Column({text: place for text, place in places.items() if text not in set(lists)}, whole, named_in)
    separator = column.separator()
    notes = Note.of("cells are written as lists, and read as such", [places[text] for text in lists])
    if separator and separator != ";":
        notes = (*notes, Note(f"tags in {named_in} are separated by {_shown(separator)}"))
    return Splitter(lambda text: _split(text, separator, whole), (*notes, *column.kept(separator)))


def _split(text: str, separator: str, whole: set[str]) -> list[str]:
    if fold(text) in whole or is_nothing(text):
        return [text]
    listed = _as_list(text.strip())
    if listed is not None:
        return listed
    if not separator:
        return [text]
    return text.split(separator) if separator != " " else text.split()


def _as_list(text: str) -> list[str] | None:
    """The elements of a list that was written into a cell; ``None`` if it is none."""
    if text.startswith('{"'):
        return _choices(text)
    if text[:1] + text[-1:] not in ("[]", "{}", "()") or len(text) < 2:
        return None
    written = _json_list(text) if text.startswith('["') else None
    if written is not None:
        return written
    inner = text[1:-1].strip()
    quoted = _QUOTED.findall(inner)
    if quoted:
        rest = _QUOTED.sub("", inner)
        return [each[1:-1].replace("\\'", "'").replace('\\"', '"') for each in quoted] if not rest.strip(", ") else None
    if text[0] == "(":  # a class may be called "(other)"
        return None
    return [each.strip() for each in re.split(r"[,;]", inner)] if inner else []


def _json_list(text: str) -> list[str] | None:
    """A list as JSON writes it, which may spell letters by their numbers; ``None`` if it is another one."""
    try:
        content = parse_json(text)
    except ValueError:
        return None
    return content if isinstance(content, list) and all(isinstance(each, str) for each in content) else None


def _choices(text: str) -> list[str] | None:
    """``{"choices": ["cat", "dog"]}``, as Label Studio writes several."""
    try:
        values = list(parse_json(text).values())
    except (ValueError, AttributeError):
        return None
    if len(values) != 1 or not isinstance(values[0], list):
        return None
    return [str(each) for each in values[0]]


class _Evidence(IntEnum):
    """How well the rest of the column shows that a cell holds several tags."""

    NONE = 0
    SOME = 1  # a part occurs elsewhere
    PARTS = 2  # each part does
    ALONE = 3  # each part is a tag by itself somewhere, or a class of the list


class _Column:
    """The distinct cells of a column, and the evidence for each separator."""

    def __init__(self, places: dict[str, str], whole: set[str], named_in: str) -> None:
        self.places = places
        self.whole = whole
        self.named_in = named_in

    def separator(self) -> str:
        """The separator, empty if each cell is one tag; stops where that cannot be told."""
        chosen = ""
        texts = list(self.places)
        for each in (*HARD, *COMMAS, *SIGNS, *JOINTS):
            if not any(each in text for text in texts):
                continue
            parts = self._parts(each, texts)
            evidence = self._evidence(texts, parts)
            doubtful = _doubtful(each, evidence, second=bool(chosen))
            if doubtful is not None:
                self._stop(doubtful, each, parts[doubtful], chosen)
            if evidence and not chosen and _separates(each, evidence):
                chosen = each
                texts = list(
                    dict.fromkeys(p.strip() for t in texts for p in _split(t, chosen, self.whole) if p.strip())
                )
        return chosen

    def kept(self, separator: str) -> tuple[Note, ...]:
        """A note on cells that were kept whole because the class list has them so."""
        cells = [text for text in self.places if separator and separator in text and fold(text) in self.whole]
        return Note.of(f"cells with {_shown(separator)} are one tag each, by the class list", cells)

    def _parts(self, separator: str, texts: list[str]) -> dict[str, list[str]]:
        """The texts that a separator splits, with their parts.

        A class of the list is whole; but if its parts are classes too, it can be read two ways.
        """
        parts: dict[str, list[str]] = {}
        for text in texts:
            if separator not in text:
                continue
            split = [part.strip() for part in text.split(separator)]
            if separator in (*HARD, *COMMAS, " "):
                split = [part for part in split if part]
            if not split or not all(split):
                continue
            if fold(text) not in self.whole:
                parts[text] = split
            elif separator in (*HARD, *COMMAS) and len(split) > 1 and all(fold(part) in self.whole for part in split):
                self._stop(text, separator, split, "")
        return parts

    def _evidence(self, texts: list[str], parts: dict[str, list[str]]) -> dict[str, _Evidence]:
        alone = {fold(text) for text in texts if text not in parts} | self.whole
        folded = {text: {fold(part) for part in split} for text, split in parts.items()}
        # with a class list, a part that it lacks is no tag, however often it occurs
        cells = Counter(part for split in folded.values() for part in split) if not self.whole else Counter[str]()
        evidence = {}
        for text, split in folded.items():
            occurs = [part in alone or cells[part] > 1 for part in split]
            level = _Evidence.PARTS if all(occurs) else _Evidence.SOME if any(occurs) else _Evidence.NONE
            evidence[text] = _Evidence.ALONE if split <= alone else level
        return evidence

    def _stop(self, text: str, separator: str, parts: list[str], chosen: str) -> NoReturn:
        place = next((place for cell, place in self.places.items() if text in cell), "")
        words = {character: word for word, character in NAMED.items() if character.isspace()}
        several, one = (words.get(each, each if each == WHOLE else repr(each)) for each in (separator, chosen or WHOLE))
        raise TagsegError(
            f"{self.named_in} {place} has {text!r}, which can be read as one tag or, separated by {_shown(separator)}, "
            f"as {list_some([repr(part) for part in parts], 4)}: set --data.separator {several} for several tags, or "
            f"--data.separator {one} for one"
        )


def _separates(separator: str, evidence: dict[str, _Evidence]) -> bool:
    if separator in HARD:
        return True
    least = _Evidence.SOME if separator in COMMAS else _Evidence.PARTS if separator in SIGNS else _Evidence.ALONE
    return min(evidence.values()) >= least


def _doubtful(separator: str, evidence: dict[str, _Evidence], second: bool) -> str | None:
    """A cell that could be read two ways, if there is one; ``second``: another separator was found before."""
    if not evidence:
        return None
    if second:
        least = _Evidence.NONE if separator in HARD else _Evidence.ALONE
        return next((text for text, level in evidence.items() if level >= least), None)
    if _separates(separator, evidence):
        return None
    if separator in COMMAS:
        return min(evidence, key=lambda text: evidence[text])
    least = _Evidence.SOME if separator in SIGNS else _Evidence.ALONE
    if separator == " " and len(evidence) > 1 and min(evidence.values()) >= _Evidence.PARTS:
        least = _Evidence.PARTS  # "left hand", "right hand", "left foot", "right foot": four classes, or four tags
    return next((text for text, level in evidence.items() if level >= least), None)


def _shown(separator: str) -> str:
    words = {" ": "spaces", "\t": "tabs", "\n": "line ends"}
    return words.get(separator, repr(separator))
