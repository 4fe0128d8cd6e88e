"""From tags as they are written to classes: one set of rules for tag files, XML, one-hot arrays and JSON."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterable

from tagseg.data.names import fold, is_background, is_doubtful, is_nothing, natural_order
from tagseg.data.notes import RESPELLED, Note
from tagseg.errors import UnknownTag, list_some


class TagNames:
    """Leaves out what means "no tag", and gives tags the spelling of their class; counts both.

    A name of the class list is that class, whatever else it could mean (``null`` may be one). Otherwise spellings of
    background and of "no tag" (``names.is_nothing``) are left out.
    """

    def __init__(self, known: tuple[str, ...] = (), no_tag: tuple[str, ...] = ()) -> None:
        self._known = {fold(name): name for name in known}
        self._no_tag = {fold(name) for name in no_tag}
        self._cache: dict[str, str] = {}
        self._left_out: defaultdict[str, list[str]] = defaultdict(list)
        self._respelled: defaultdict[str, list[str]] = defaultdict(list)

    def __call__(self, tags: Iterable[str], where: str) -> tuple[str, ...]:
        """The classes of one image, each once; ``where`` names it in notes."""
        names = []
        for tag in tags:
            if tag not in self._cache:
                self._cache[tag] = self._name(tag)
            name, plain = self._cache[tag], tag.strip()
            names.append(name)
            if name != plain:
                (self._respelled[f"{plain!r} as {name!r}"] if name else self._left_out[plain]).append(where)
        return tuple(dict.fromkeys(name for name in names if name))

    @property
    def notes(self) -> tuple[Note, ...]:
        """What was left out or respelled so far; an empty cell and ``background`` itself are as documented."""
        notes: list[Note] = []
        for tag, places in self._left_out.items():
            if tag not in ("", "background"):
                notes += Note.of(read_as_none(tag), places)
        if self._respelled:
            pairs = list_some(list(self._respelled), 5)
            places = [place for each in self._respelled.values() for place in each]
            notes += Note.of(f"tags spelled unlike their class, read as it ({pairs})", places, kind=RESPELLED)
        return tuple(notes)

    def _name(self, tag: str) -> str:
        """The class that a tag means; empty if none."""
        folded = fold(tag)
        if folded in self._no_tag:
            return ""
        if folded in self._known:
            return self._known[folded]
        return "" if is_background(tag) or is_nothing(tag) else tag.strip()


def read_as_none(tag: str) -> str:
    """The text of the note on a tag that is left out."""
    return f"images with the tag {tag!r}, which is read as no tag"


class ClassIndex:
    """Maps class names to indices 0 to K-1.

    A tag means the class of its name, else the one that differs in case, Unicode normalisation or white space alone.

    Attributes:
        classes: the K foreground class names.
    """

    def __init__(self, classes: tuple[str, ...], no_tag: tuple[str, ...] = ()) -> None:
        self.classes = classes
        self._index = {name: index for index, name in enumerate(classes)}
        self._names = TagNames(classes, no_tag)

    def __call__(self, labels: Iterable[str], where: str) -> tuple[int, ...]:
        """Ascending indices of the tags; messages name their origin, ``where``.

        Raises:
            UnknownTag: a tag that is no class.
        """
        names = self._names(labels, where)
        try:
            return tuple(sorted({self._index[name] for name in names}))
        except KeyError as error:
            tag = str(error.args[0])
        known = list_some(list(self.classes), most=30)
        folded = {fold(name): name for name in self.classes}
        near = difflib.get_close_matches(fold(tag), folded, n=1)
        hint = f"did you mean {folded[near[0]]!r}?" if near else "correct it, or add it to the class list"
        if tag.isdecimal() and not any(name.isdecimal() for name in self.classes):
            hint = "tags are names, not ids: write the name"
        message = f"the tag {tag!r} of {where} is not in the class list ({known}): {hint}"
        raise UnknownTag(message, tag, self.classes)

    @property
    def notes(self) -> tuple[Note, ...]:
        """Tags that were read other than literally so far."""
        return self._names.notes


def one_spelling(images: Iterable[tuple[str, ...]]) -> tuple[dict[str, str], tuple[Note, ...]]:
    """The class of each tag where there is no class list: of spellings that mean the same the most frequent.

    Args:
        images: the tags of each image.

    Returns:
        Tag → class, and notes: on spellings, on names that may mean "no tag", and on numbers.
    """
    counts = Counter(tag for tags in images for tag in tags)
    spellings: defaultdict[str, list[str]] = defaultdict(list)
    for tag in counts:
        spellings[fold(tag)].append(tag)
    chosen = {folded: max(tags, key=lambda tag: counts[tag]) for folded, tags in spellings.items()}
    name_of = {tag: chosen[fold(tag)] for tag in counts}
    notes: list[Note] = []
    for tag, name in name_of.items():
        if tag != name:
            notes.append(Note(f"tags {tag!r}, read as the class {name!r}", counts[tag], kind=RESPELLED))
    for name in chosen.values():
        if is_doubtful(name):
            text = f'images with the tag {name!r}, kept as a class: if it means "no tag", set --data.no_tag {name!r}'
            notes.append(Note(text, counts[name], warning=True))
    if chosen and all(name.isdecimal() for name in chosen.values()):
        names = list_some(sorted(chosen.values(), key=natural_order), 10)
        notes.append(Note(f"all tags are numbers ({names}): each is the name of a class, 0 too", warning=True))
    return name_of, tuple(notes)
