"""What the pixels of a set of masks mean, found out by looking at some of them before any is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tagseg.data.colour_list import ColourList
from tagseg.data.dataset import IGNORE
from tagseg.data.mask_coding import (
    Coding,
    black_is_elsewhere,
    colours_without_list,
    equal_channels,
    greys_are_ids,
    resorted,
)
from tagseg.data.mask_pixels import Kind, packed, read_pixels, written
from tagseg.data.notes import Note
from tagseg.data.palette import palette
from tagseg.errors import TagsegError, list_some

MOST_MASKS = 200
"""Masks that are looked at, evenly spread over all."""
FEW_MASKS = 20
"""So many are enough where all of them hold plain ids of classes."""
MOST_PIXELS = 100_000_000
"""Looking ends after so many pixels."""

_VOC = {packed(*(int(value) for value in colour)): label for label, colour in enumerate(palette())}
_VOC_NAME = "PASCAL VOC's palette"


class MaskOf(NamedTuple):
    """A mask file and the tags of its image; ``None`` where they are not known."""

    path: Path
    tags: tuple[int, ...] | None


@dataclass(frozen=True)
class _Look:
    """What one mask file holds: the values that occur, and the packed colour of each."""

    path: Path
    tags: tuple[int, ...] | None
    kind: Kind
    values: tuple[int, ...]
    colours: tuple[int, ...]
    dropped_alpha: bool
    greys_are_ids: bool
    black_is_elsewhere: bool

    @staticmethod
    def at(mask: MaskOf, classes_count: int) -> tuple[_Look, int]:
        """The look, and the number of pixels looked at."""
        pixels = read_pixels(mask.path)
        is_palette = pixels.kind == "palette"
        look = _Look(
            mask.path,
            mask.tags,
            pixels.kind,
            tuple(int(value) for value in pixels.used()),
            tuple(int(colour) for colour in pixels.colours()),
            pixels.dropped_alpha,
            is_palette and greys_are_ids(pixels, classes_count),
            is_palette and black_is_elsewhere(pixels),
        )
        return look, pixels.values.size

    @property
    def coloured(self) -> bool:
        """Whether its colours are more than grey levels."""
        return self.kind == "palette" or (self.kind == "colour" and not equal_channels(np.array(self.colours)))

    def ids(self) -> set[int]:
        """The ids, if its values are such."""
        if self.greys_are_ids or self.kind == "colour":
            return {colour & 255 for colour in self.colours}
        return set(self.values)

    @property
    def colours_tell(self) -> bool:
        """Whether it has a palette of different colours for different indices, which are not their grey levels."""
        grey = all(colour == packed(v, v, v) for v, colour in zip(self.values, self.colours, strict=True))
        distinct = len(set(self.colours)) == len(self.colours) and min(self.colours, default=0) >= 0
        return self.kind == "palette" and distinct and not grey and not self.greys_are_ids

    def plain(self, classes_count: int) -> bool:
        """Whether it holds ids of classes, and colours that do not speak against them."""
        in_order = all(_VOC.get(c) == value for value, c in zip(self.values, self.colours, strict=True))
        exact = self.kind == "grey" or (self.kind == "palette" and in_order)
        return exact and any(0 < value <= classes_count for value in self.values)


def survey(
    masks: Sequence[MaskOf], classes: tuple[str, ...], colours: ColourList | None = None, setting: str = "auto"
) -> tuple[Coding, tuple[Note, ...]]:
    """Find out what the pixels of masks mean.

    Ids are the rule: grey levels, palette indices, or RGB of equal channels. Colours mean something where a list says
    so, or where all are those of PASCAL VOC's palette but not at their indices. Where there is one class and all masks
    hold 0 and 255 alone, 255 is the class.

    Args:
        masks: all masks, with the tags of their images.
        classes: the K foreground class names.
        colours: the colour list, if there is one.
        setting: ``--data.colours``: ``auto``, ``ids`` (palette indices are ids, whatever the palette), or the list's
            file, whose colours then must be all that the masks hold.

    Returns:
        What the pixels mean, and notes on what is not plain ids.

    Raises:
        TagsegError: a mask that cannot be read, colours without a list, a palette that looks re-sorted, or masks of 0
            and 255 alone for several classes.
    """
    if not masks or setting == "ids":
        return Coding(trusted=setting == "ids"), ()
    looks = _looks(masks, len(classes))
    sampled = "" if len(looks) == len(masks) else f" (looked at {len(looks)} of {len(masks)} masks)"
    coding, texts = _by_list(looks, classes, colours, setting != "auto") if colours else (None, [])
    if coding is None:
        coding, more = _without_list(looks, classes)
        texts = [*texts, *more]
    if not coding.colours:
        more, white = _two_values(looks, classes)
        coding, texts = Coding(white_is_class=white), [*texts, *more]
    if any(look.dropped_alpha for look in looks):
        texts.append("masks have an alpha channel, opaque everywhere: left out")
    if not coding.colours and any(look.kind == "colour" for look in looks):
        texts.append("masks are RGB of equal channels: read as ids")
    if not coding.colours and any(look.greys_are_ids for look in looks):
        texts.append("masks have a palette of the greys of class ids in another order: the grey levels are read as ids")
    return coding, tuple(Note(text + sampled) for text in texts)


def _looks(masks: Sequence[MaskOf], classes_count: int) -> list[_Look]:
    looks: list[_Look] = []
    pixels = 0
    for index in _spread(len(masks)):
        look, size = _Look.at(masks[index], classes_count)
        looks.append(look)
        pixels += size
        enough = len(looks) >= FEW_MASKS and all(each.plain(classes_count) for each in looks)
        if enough or pixels >= MOST_PIXELS:
            break
    return looks


def _spread(count: int) -> list[int]:
    """Places of the masks to look at, so ordered that the first ones are spread over all of them too."""
    places = np.unique(np.linspace(0, count - 1, MOST_MASKS).round().astype(int))
    step = -(-len(places) // FEW_MASKS)
    return [int(place) for start in range(step) for place in places[start::step]]


def _by_list(
    looks: list[_Look], classes: tuple[str, ...], colours: ColourList, explicit: bool
) -> tuple[Coding | None, list[str]]:
    """Reading by a colour list, where its colours are those of the masks."""
    labels = colours.labels(classes)
    named = colours.path.name
    used = {colour for look in looks if look.coloured for colour in look.colours}
    ids = {value for look in looks if not look.coloured and look.kind != "bilevel" for value in look.ids()}
    greys = {value: labels.get(packed(value, value, value)) for value in ids if 0 <= value <= IGNORE}
    by_greys = None not in greys.values() and any(label != value for value, label in greys.items())
    unknown = sorted(used - set(labels))
    only_palettes = all(look.kind != "colour" for look in looks if look.coloured)
    if not used and not by_greys:
        return None, [f"masks are grey levels, read as ids: {named} is not used"] if explicit else []
    if unknown and not explicit and only_palettes:
        return None, []
    if unknown:
        names = [colours.names[c] for c in unknown if c in colours.names]
        said = f"{list_some(names)} of it are no class" if names else f"it does not name {written(unknown[0])}"
        raise TagsegError(
            f"{named} does not explain {len(unknown)} of {len(used)} colours of the masks ({said}), expected all: "
            f"correct it or the class list; is it not for these masks, set --data.colours"
        )
    coding = Coding(tuple(labels.items()), named, greys=by_greys)
    return coding, [f"masks are read by their colours, as {named} names them"]


def _without_list(looks: list[_Look], classes: tuple[str, ...]) -> tuple[Coding, list[str]]:
    """Ids, or the colours of VOC's palette where they are not at their indices."""
    rgb = [look for look in looks if look.kind == "colour" and look.coloured]
    palettes = [look for look in looks if look.colours_tell]
    valid = {colour: label for colour, label in _VOC.items() if label <= len(classes) or label == IGNORE}
    moved = [
        look for look in palettes if any(valid.get(c) != v for v, c in zip(look.values, look.colours, strict=True))
    ]
    voc = all(colour in valid for look in (*rgb, *moved) for colour in look.colours)
    by_voc = Coding(tuple(valid.items()), _VOC_NAME)
    if rgb:
        if not voc:
            raise TagsegError(f"the mask {rgb[0].path} {colours_without_list(np.array(rgb[0].colours))}")
        return by_voc, [f"masks are read by their colours, those of {_VOC_NAME}"]
    if moved and voc:
        if _agreement(palettes, valid) >= _agreement(palettes, None):
            return by_voc, [f"masks' palettes are not in the order of the labels: read by their colours, {_VOC_NAME}"]
        return Coding(), [f"masks have colours of {_VOC_NAME} at other indices: read by index, as their tags are"]
    _refuse_resorted(palettes)
    return Coding(), []


def _agreement(looks: list[_Look], label_of: dict[int, int] | None) -> int:
    """In how many masks the classes are exactly the tags; labels are the values, or those of the colours."""
    count = 0
    for look in looks:
        labels = look.values if label_of is None else [label_of[c] for c in look.colours if c in label_of]
        count += look.tags is not None and {i - 1 for i in labels if 0 < i < IGNORE} == set(look.tags)
    return count


def _refuse_resorted(palettes: list[_Look]) -> None:
    """Raise ``TagsegError`` if indices and colours do not go together in all masks, or black is not the background."""
    index_of: dict[int, tuple[int, Path]] = {}
    colour_of: dict[int, tuple[int, Path]] = {}
    for look in palettes:
        if look.black_is_elsewhere:
            raise TagsegError(f"the mask {look.path} {resorted('has black, the usual background, not as its index 0')}")
        for value, colour in zip(look.values, look.colours, strict=True):
            index, first = index_of.setdefault(colour, (value, look.path))
            if index != value:
                why = f"has the colour {written(colour)} as its index {value}, but {first.name} as {index}"
                raise TagsegError(f"the mask {look.path} {resorted(why)}")
            other, first = colour_of.setdefault(value, (colour, look.path))
            if other != colour:
                why = f"has the colour {written(colour)} as its index {value}, but {first.name} {written(other)}"
                raise TagsegError(f"the mask {look.path} {resorted(why)}")


def _two_values(looks: list[_Look], classes: tuple[str, ...]) -> tuple[list[str], bool]:
    """Masks of two values alone: whether 255 is the class, and what is said of it."""
    values = {value for look in looks if look.kind != "bilevel" for value in look.ids()}
    white = [look for look in looks if look.kind != "bilevel" and IGNORE in look.ids()]
    only_bilevel = all(look.kind == "bilevel" for look in looks)
    if not (only_bilevel or (white and values <= {0, IGNORE})):
        return [], False
    if len(classes) == 1:
        of_class = any(look.tags is None or look.tags for look in white)
        text = f"masks hold 0 and 255 alone: 255 is read as {classes[0]!r}, not as ignored"
        return ([text], True) if of_class and not only_bilevel else ([], False)
    shown = {0} if any(1 in look.values for look in looks if look.kind == "bilevel") else set()
    tagged = [set(look.tags or ()) - shown for look in looks]
    without = sorted(set().union(*tagged))
    if not without:
        return [], False
    folder = looks[0].path.parent
    held = "two values" if only_bilevel else "0 (background) and 255 (ignored)"
    names = list_some([classes[tag] for tag in without], 10)
    raise TagsegError(
        f"the masks in {folder} hold {held} alone, so the tags {names} have no pixel in {sum(map(bool, tagged))} of "
        f"{len(looks)} masks, expected the class's id (1 to {len(classes)}) in each pixel: save the ids, or leave the "
        "masks out with --data.masks none"
    )
