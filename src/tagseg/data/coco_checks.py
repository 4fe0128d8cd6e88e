"""What stands against scoring with COCO's outlines: objects that nothing of is counted, outlines out of place."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tagseg.data.coco_file import CocoAnnotation, CocoImage
from tagseg.data.coco_values import Box, Key
from tagseg.data.dataset import IGNORE
from tagseg.data.frames import fits_in
from tagseg.data.notes import Note
from tagseg.data.outlines import RunLengths
from tagseg.errors import NothingToScore, TagsegError, list_some

_NEARLY_ALL = 0.9
_FRACTION = 1.5
"""Where no coordinate of a data set is larger, they are shares of the sides."""
_SMALLEST = 16


class Scored(NamedTuple):
    """The file, the images to be scored, the classes, the labels of categories, and whether crowds are counted."""

    path: Path
    images: Sequence[CocoImage]
    classes: tuple[str, ...]
    label_of: dict[Key, int]
    count_crowds: bool

    def objects(self) -> list[tuple[CocoImage, CocoAnnotation, int]]:
        """The objects of the classes, with their images and labels."""
        return [
            (image, each, label)
            for image in self.images
            for each in image.annotations
            if 0 < (label := self.label_of.get(each.category, 0)) < IGNORE
        ]


def check_places(scored: Scored) -> tuple[Note, ...]:
    """Hold outlines and boxes against the sizes of their images.

    Raises:
        TagsegError: one lies outside its image, run lengths have another size, or all are fractions, not pixels.
    """
    beyond: list[str] = []
    most, smallest = 0.0, float("inf")
    for image, each, _ in scored.objects():
        if image.size is None or each.extent is None:
            continue
        where = f"{scored.path}: annotation {each.key} of {image.file}"
        shown = f"{image.size[1]}×{image.size[0]}"
        if isinstance(each.outline, RunLengths):
            if each.outline.size not in (image.size, image.size[::-1]):
                size = f"{each.outline.size[1]}×{each.outline.size[0]}"
                raise TagsegError(f"{where} has run lengths of {size}, expected its image's {shown}: mend or remove it")
            continue
        if _is_outside(each.extent, max(image.size)):
            span = "x {:g} to {:g}, y {:g} to {:g}".format(*(each.extent[i] for i in (0, 2, 1, 3)))
            raise TagsegError(f"{where} lies outside its image ({span}), expected pixels of {shown}: mend or remove it")
        left, top, right, bottom = each.extent
        most, smallest = max(most, right, bottom), min(smallest, *image.size)
        reaches = [(bottom, right), (image.size[0] - top, image.size[1] - left)]
        if not all(fits_in(reach, image.size) or fits_in(reach, image.size[::-1]) for reach in reaches):
            beyond.append(f"{each.key} of {image.file}")
    if 0 < most <= _FRACTION and smallest >= _SMALLEST:
        raise TagsegError(
            f"{scored.path}: no coordinate of an outline or box is over {most:g}, they seem to be shares of the "
            "image's sides, expected pixels: multiply them by width and height"
        )
    text = "annotations that reach beyond their image, cut off there (were they made at another size?)"
    return Note.of(text, beyond, warning=True)


def _is_outside(extent: Box, side: int) -> bool:
    left, top, right, bottom = extent
    return right <= 0 or bottom <= 0 or left >= side or top >= side


def check_counted(scored: Scored, stop: bool) -> tuple[Note, ...]:
    """Count the objects that scoring ignores: crowds, and those without outline.

    Raises:
        NothingToScore: they are all there are, and ``stop`` is set.
    """
    crowds: list[str] = []
    boxes: list[str] = []
    bare: list[str] = []
    total: Counter[int] = Counter()
    counted: Counter[int] = Counter()
    why: dict[int, set[str]] = defaultdict(set)
    for image, each, label in scored.objects():
        total[label] += 1
        where = f"{each.key} of {image.file}"
        if each.crowd and not scored.count_crowds:
            crowds.append(where)
            why[label].add("crowd regions (iscrowd 1)")
        elif each.outline is None:
            (bare if each.extent is None else boxes).append(where)
            why[label].add("without outline")
        else:
            counted[label] += 1
    notes = [
        *Note.of("objects without outline: they are tags, their boxes are ignored in scoring", boxes),
        *Note.of("objects with neither outline nor box: they are tags, scored as background", bare, warning=True),
    ]
    absent = [label for label in sorted(total) if not counted[label]]
    ways_out = _ways_out(crowds, boxes + bare)
    if absent and not counted:
        text = (
            f"all {total.total()} objects in {scored.path} are {' or '.join(sorted(set().union(*why.values())))}, "
            f"which scoring ignores, so that only background could be scored: {ways_out}"
        )
        if stop:
            raise NothingToScore(text)
        notes.append(Note(text, warning=True))
    elif absent:
        named = list_some([f"{scored.classes[k - 1]} ({' or '.join(sorted(why[k]))})" for k in absent], most=10)
        notes.append(Note(f"classes of which no object is counted in scoring: {named}: {ways_out}", warning=True))
    if counted and len(crowds) >= _NEARLY_ALL * total.total():
        text = f"of {total.total()} objects are crowd regions (iscrowd 1), ignored in scoring: {_ways_out(crowds, [])}"
        notes += Note.of(text, crowds, warning=True)
    elif crowds:
        notes += Note.of("crowd regions (iscrowd 1): they are tags, ignored in scoring", crowds)
    return tuple(notes)


def _ways_out(crowds: list[str], without: list[str]) -> str:
    ways = ["count them with --data.crowd objects"] if crowds else []
    ways += ["export polygons or masks, or score another split (--data.val_split)"] if without else []
    return "; ".join(ways)
