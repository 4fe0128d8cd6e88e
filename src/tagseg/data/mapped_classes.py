"""Tags and masks of any source in the classes of a class map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tagseg.data.class_list import check_classes
from tagseg.data.class_map import ClassMap, unknown_names
from tagseg.data.dataset import IGNORE, TaggedImages
from tagseg.data.names import fold
from tagseg.data.notes import Note
from tagseg.data.palette import Colour, colours_with
from tagseg.data.relabel import relabelled
from tagseg.errors import TagsegError, list_some

_DROPPED, _IGNORED = -1, -2


def in_mapped_classes(images: TaggedImages, given: ClassMap) -> TaggedImages:
    """The images with the classes, the order and the colours of a class map.

    - *Merged and renamed* classes: their tags and their pixels become those of the one class.
    - *Dropped* ones: the tag vanishes and the pixels are background; the image stays.
    - *Ignored* ones: the pixels are neither learnt nor scored (255). As a tag does not say where they are, an image
      that has such a tag and no mask is left out; with a mask it stays, without the tag.

    Args:
        images: in the classes of the data.
        given: the map.

    Raises:
        TagsegError: the map names a class that the data lack, or the data have one that the map does not know, or no
            class remains.
    """
    wrong = unknown_names(given, images.classes)
    if wrong:
        raise TagsegError(wrong)
    place = _places(images, given)
    classes = tuple(given.sources) + tuple(n for n in images.classes if place[fold(n)] == n and n not in given.sources)
    if not classes:
        raise TagsegError(
            f"{given.where} keeps no class of {list_some(list(images.classes), 10)}, expected one at least"
        )
    check_classes(classes, given.where)
    number = {name: label for label, name in enumerate(classes)} | {"": _DROPPED, None: _IGNORED}
    new = [number[place[fold(name)]] for name in images.classes]
    new_ids = (0, *(0 if k == _DROPPED else IGNORE if k == _IGNORED else k + 1 for k in new))
    ignored = {k for k, target in enumerate(new) if target == _IGNORED}
    left_out = [s.name for s in images.samples if s.mask is None and ignored.intersection(s.tags)]
    names = set(left_out)
    samples = tuple(relabelled(sample, new, new_ids) for sample in images.samples if sample.name not in names)
    if left_out and not samples:
        raise TagsegError(f"{given.where} ignores a tag of each image of {images.source}, expected images without it")
    notes = (*_notes(images, given, classes, place), *_left_out(images, ignored, left_out))
    return replace(
        images, classes=classes, samples=samples, colours=_colours(given, classes), notes=(*images.notes, *notes)
    )


def _places(images: TaggedImages, given: ClassMap) -> dict[str, str | None]:
    """The new class of each class of the data, by its folded name; ``""`` where it is dropped, ``None`` if ignored."""
    place: dict[str, str | None] = {fold(name): target for target, names in given.sources.items() for name in names}
    place |= {fold(name): "" for name in given.drop} | {fold(name): None for name in given.ignore}
    others = [name for name in images.classes if fold(name) not in place]
    if others and given.others == "error":
        raise TagsegError(
            f"{given.where} does not say what becomes of {list_some(others, 10)}: add them to classes:, drop: or "
            "ignore:, or write 'others: keep' or 'others: drop'"
        )
    return place | {fold(name): name if given.others == "keep" else "" for name in others}


def _colours(given: ClassMap, classes: Sequence[str]) -> tuple[Colour, ...]:
    """The colours of labels 0 to K; empty where the map gives none, so that those of VOC are taken."""
    if not given.colours:
        return ()
    return colours_with({label: given.colours[name] for label, name in enumerate(classes, 1) if name in given.colours},
                        len(classes) + 1)  # fmt: skip


def _notes(
    images: TaggedImages, given: ClassMap, classes: tuple[str, ...], place: dict[str, str | None]
) -> tuple[Note, ...]:
    """What the map changes."""
    taken = {name: [c for c in images.classes if place[fold(c)] == name] for name in classes}
    changed = [f"{name} = {' + '.join(of)}" for name, of in taken.items() if of != [name]]
    dropped = [c for c in images.classes if place[fold(c)] == ""]
    ignored = [c for c in images.classes if place[fold(c)] is None]
    parts = [f"{len(images.classes)} classes of the data become {len(classes)}"]
    parts += [list_some(changed, 10)] if changed else []
    parts += [f"background: {list_some(dropped, 10)}"] if dropped else []
    parts += [f"neither learnt nor scored: {list_some(ignored, 10)}"] if ignored else []
    return (Note(f"class map {given.where}: {'; '.join(parts)}"),)


def _left_out(images: TaggedImages, ignored: set[int], left_out: list[str]) -> tuple[Note, ...]:
    names = list_some([images.classes[k] for k in sorted(ignored)])
    return Note.of(f"images are left out, as they show what is ignored ({names}) and have no mask of where", left_out)
