"""Names of classes as people write them: one spelling for all readers, of the background, and of "no tag"."""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u2060"))
"""Byte order mark, zero-width space and word joiner: nobody can see that two names differ by them."""

_BACKGROUND = frozenset(
    {
        *("background", "backgrounds", "backgnd", "bg", "bkg", "hintergrund", "achtergrond", "bakgrund", "bakgrunn"),
        *("baggrund", "arrièreplan", "sfondo", "фон", "背景", "배경"),
    }
)
_NOTHING = frozenset(
    {
        *("", "nan", "none", "null", "nil", "na", "n/a", "n.a.", "<na>", "#n/a", "<none>", "<null>"),
        *("[]", "{}", "()", '""', "''", "-", "--", "---", "–", "—", ".", "..."),
        *("no tag", "no tags", "no label", "no labels", "no class", "no classes"),
    }
)
_IGNORED = frozenset({"ignore", "ignored", "void"})
_DOUBTFUL = _IGNORED | {
    *("no finding", "no findings", "no object", "no objects", "nothing", "empty", "blank", "normal", "negative"),
    *("healthy", "ok", "other", "others", "unknown", "undefined", "misc", "uncertain", "?"),
    *("unlabeled", "unlabelled", "unannotated", "untagged"),
}
_NOTHING_FOLDERS = frozenset(
    {
        *("good", "ok", "normal", "normals", "healthy", "negative", "negatives", "empty", "nothing", "blank"),
        *("no finding", "no findings", "no object", "no objects", "no defect", "no defects", "defect free"),
    }
)
_UNTAGGED = frozenset({"unlabeled", "unlabelled", "unannotated", "untagged", "unsorted", "unsup"})
_JOINTS = re.compile(r"[\s_\-]+")
_NUMBERS = re.compile(r"([0-9]+)")


def fold(name: str) -> str:
    """The name without differences that do not count: case, Unicode normalisation, white space.

    ``" Traffic  LIGHT"`` → ``"traffic light"``. Two names are the same class exactly if this is the same.
    """
    if name.isascii():  # the same, faster: names by the hundred thousand are folded
        return " ".join(name.lower().split())
    visible = name.translate(_INVISIBLE)
    # folding case can take a name out of NFC, so it comes before
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", visible).casefold())
    return " ".join(folded.split())


def is_background(name: str) -> bool:
    """Whether the name is a spelling of the background, which is label 0 and never a tag: ``_background_``, ``BG``."""
    return "".join(filter(str.isalnum, fold(name))) in _BACKGROUND


def is_nothing(name: str) -> bool:
    """Whether the name stands for "no tag" in tables: ``nan``, ``None``, ``[]``, ``n/a``, ``-``, an empty cell."""
    return fold(name) in _NOTHING or _words(name) in _NOTHING


def is_doubtful(name: str) -> bool:
    """Whether the name may mean "no tag" or may be a class, which only the user knows: ``no finding``, ``other``."""
    return _words(name) in _DOUBTFUL or fold(name) in _DOUBTFUL


def is_nothing_folder(name: str) -> bool:
    """Whether a folder among class folders holds, by its name, images of no class: ``good``, ``negative``, ``none``."""
    return _words(name) in _NOTHING_FOLDERS or is_nothing(name) or is_background(name)


def is_untagged(name: str) -> bool:
    """Whether a folder among class folders holds, by its name, images that nobody tagged: ``unlabeled``."""
    return _words(name) in _UNTAGGED


def is_ignored(name: str) -> bool:
    """Whether the name is one for the pixels that are left out, label 255: ``__ignore__``, ``void``."""
    return _words(name) in _IGNORED


def names_of(setting: str | tuple[str, ...]) -> tuple[str, ...]:
    """The names of a setting: a list, or text such as ``cat,dog``, ``cat;dog`` or ``[cat, dog]``; ``""`` has none."""
    if isinstance(setting, tuple):
        return setting
    text = setting.strip()
    if text[:1] + text[-1:] == "[]":
        text = text[1:-1]
    separator = ";" if ";" in text else ","
    return tuple(name.strip().strip("'\"").strip() for name in text.split(separator)) if text.strip() else ()


def natural_order(name: str) -> tuple[list[tuple[int, str]], str]:
    """A key to sort names by, with numbers by their value: ``class2`` before ``class10``."""
    parts = enumerate(_NUMBERS.split(name))
    # not int(), which refuses thousands of digits
    digits = (part.lstrip("0") if index % 2 else part for index, part in parts)
    return [(len(part), part) if index % 2 else (0, part) for index, part in enumerate(digits)], name


def _words(name: str) -> str:
    """The folded name with spaces for ``_`` and ``-``."""
    return _JOINTS.sub(" ", fold(name)).strip()
