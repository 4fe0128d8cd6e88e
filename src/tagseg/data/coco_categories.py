"""From COCO's categories to classes: background, roots of data sets, and names that occur twice."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

from tagseg.data.class_list import check_classes
from tagseg.data.coco_file import Category, CocoFile
from tagseg.data.coco_values import Key
from tagseg.data.dataset import IGNORE
from tagseg.data.names import fold, is_background, is_ignored, is_nothing
from tagseg.data.notes import Note
from tagseg.errors import TagsegError, list_some


class Labels(NamedTuple):
    """The K classes, and the label of each category that has one: 1 to K, or 255 for pixels to be ignored.

    What has none is background: objects of a background category, and of classes that were not chosen.
    """

    classes: tuple[str, ...]
    label_of: dict[Key, int]
    notes: tuple[Note, ...]


def label_categories(
    file: CocoFile,
    chosen: tuple[str, ...],
    elsewhere: Callable[[], frozenset[Key]],
    no_tag: tuple[str, ...] = (),
) -> Labels:
    """Choose the classes.

    - Any spelling of background is label 0, of ``ignore`` or ``void`` label 255; neither is a class.
    - Categories of one name are one class, unless they are annotated and their supercategories differ.
    - A category without annotations that is the supercategory of others is the root of an export: left out.
    - Others are classes by ascending id, annotated or not; or those of the settings are, in their order.

    Args:
        file: the file.
        chosen: class names of the settings; empty: all.
        elsewhere: the categories that are annotated in the files of other splits; called only if it matters.
        no_tag: names of the settings that are background too.

    Raises:
        TagsegError: a name that could mean two classes, a chosen class that looks misspelt, no or too many classes.
    """
    notes: list[Note] = []
    named: dict[str, list[Category]] = defaultdict(list)  # by folded name
    label_of: dict[Key, int] = {}
    background: list[str] = []
    known, none = {fold(name) for name in chosen}, {fold(name) for name in no_tag}
    for category in file.categories:
        if fold(category.name) in known:
            named[fold(category.name)].append(category)
        elif is_background(category.name) or fold(category.name) in none:
            background.append(repr(category.name))
        elif is_ignored(category.name):
            label_of[category.key] = IGNORE
        elif not is_nothing(category.name):
            named[fold(category.name)].append(category)
        elif category.key in file.annotated:
            what = f"{file.path} has objects of the category {category.key}, whose name is {category.name!r}"
            raise TagsegError(f"{what}, expected the name of a class: name it or remove its annotations")
    if background:
        notes.append(Note(f"the category {', '.join(background)} is the background, label 0"))
    if label_of:
        notes.append(Note("objects of the categories named ignore or void are ignored in scoring, no tags"))
    if not chosen:
        notes += _leave_out_roots(named, file, elsewhere)
    notes += _join_twins(named, file)
    if chosen:
        notes += _check_chosen(chosen, named, file)
    classes = chosen or tuple(same[0].name for same in named.values())
    check_classes(classes, f"the categories of {file.path}")
    index = {fold(name): label for label, name in enumerate(classes, 1)}
    label_of |= {c.key: index[name] for name, same in named.items() if name in index for c in same}
    empty = [same[0].name for name, same in named.items() if name in index and not _annotated(same, file)]
    notes += Note.of("categories without annotations in this file, kept as classes", empty)
    return Labels(classes, label_of, tuple(notes))


def _leave_out_roots(
    named: dict[str, list[Category]], file: CocoFile, elsewhere: Callable[[], frozenset[Key]]
) -> tuple[Note, ...]:
    """Remove the roots from ``named``."""
    parents = {fold(c.supercategory) for name, same in named.items() for c in same if fold(c.supercategory) != name}
    roots = [n for n, same in named.items() if n in parents and not _annotated(same, file) and len(named) > 1]
    if roots:
        used = elsewhere()
        roots = [name for name in roots if not used & {category.key for category in named[name]}]
    names = [named.pop(name)[0].name for name in roots]
    return Note.of("categories without annotations that are supercategories of others, left out", names)


def _join_twins(named: dict[str, list[Category]], file: CocoFile) -> tuple[Note, ...]:
    twins = [same for same in named.values() if len(same) > 1]
    for same in twins:
        used = [category for category in same if category.key in file.annotated]
        above = {fold(c.supercategory) for c in used} - {"", "none", "null", "root", fold(same[0].name)}
        if len(above) > 1:
            ids = " and ".join(f"{c.key} (of {c.supercategory})" for c in used)
            raise TagsegError(
                f"{file.path} has the category {same[0].name!r} twice, with the ids {ids}, which could be one class or "
                "two, expected each name once: rename one, or give both the same supercategory"
            )
    names = [f"{same[0].name} ({', '.join(str(c.key) for c in same)})" for same in twins]
    return Note.of("category names with several ids, each read as one class", names, warning=True)


def _check_chosen(chosen: tuple[str, ...], named: dict[str, list[Category]], file: CocoFile) -> tuple[Note, ...]:
    """Refuse a class that no category has if it looks misspelt; a test set may lack one."""
    known = {fold(name) for name in chosen}
    absent = [name for name in chosen if fold(name) not in named]
    others = {name: same[0].name for name, same in named.items() if name not in known}
    for name in absent:
        near = difflib.get_close_matches(fold(name), others, n=1)
        if near or len(absent) == len(chosen):
            has = list_some([same[0].name for same in named.values()], most=30)
            hint = f"did you mean {others[near[0]]!r}?" if near else "set --data.classes to names of these"
            raise TagsegError(
                f"the class {name!r} of --data.classes is not among the categories of {file.path.name} ({has}): {hint}"
            )
    left = [same[0].name for name, same in named.items() if name not in known and _annotated(same, file)]
    return (
        *Note.of(f"classes that {file.path.name} has no category for", absent, warning=True),
        *Note.of("categories that are not among the chosen classes, scored as background", left),
    )


def _annotated(same: list[Category], file: CocoFile) -> bool:
    return any(category.key in file.annotated for category in same)
