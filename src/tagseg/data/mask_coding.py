"""From the pixels of a mask file to labels: by ids, or by the colours of a list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int32, Shaped, UInt8
from numpy import ndarray

from tagseg.data.dataset import IGNORE
from tagseg.data.mask_pixels import Pixels, written
from tagseg.errors import TagsegError, list_some

MOST_SHOWN = 5
"""Ids and colours that a message names."""


@dataclass(frozen=True)
class Coding:
    """What the pixels of a set of masks mean. Without arguments: class ids.

    Attributes:
        colours: packed colour and label, for masks whose colours have a meaning; empty: ids, colours have none.
        colours_from: origin of the colours, for messages.
        greys: whether the levels of grey files are colours of the list too; otherwise they are ids.
        white_is_class: whether 255 is class 1, and not ignored.
        trusted: whether palette indices are ids even where the palette looks re-sorted.
    """

    colours: tuple[tuple[int, int], ...] = ()
    colours_from: str = ""
    greys: bool = False
    white_is_class: bool = False
    trusted: bool = False

    def labels(self, pixels: Pixels, classes_count: int, path: Path) -> UInt8[ndarray, "H W"]:
        """Labels per pixel: 0 background, 1 to K foreground, 255 ignored.

        Args:
            pixels: of the mask.
            classes_count: K, number of foreground classes.
            path: of the mask, for messages.

        Raises:
            TagsegError: ids out of range, colours that mean nothing, or a palette that looks re-sorted.
        """
        if self.colours and (pixels.kind in ("palette", "colour") or (self.greys and pixels.kind == "grey")):
            return self._by_colour(pixels, path)
        ids = self._ids(pixels, classes_count, path)
        if self.white_is_class and pixels.kind != "bilevel":
            others = np.setdiff1d(ids, (0, IGNORE))
            if others.size:
                raise TagsegError(
                    f"the mask {path} holds the ids {_some(others)}, but the masks that were looked at hold 0 and 255 "
                    "alone, so that 255 is the class: write 0 and 1 in all of them"
                )
            ids = np.minimum(ids, 1)
        check_ids(ids, classes_count, path)
        return ids.astype(np.uint8)

    def _ids(self, pixels: Pixels, classes_count: int, path: Path) -> Int32[ndarray, "H W"]:
        if pixels.kind == "colour":
            colours = pixels.used()
            if not equal_channels(colours):
                raise TagsegError(f"the mask {path} {colours_without_list(colours)}")
            return pixels.values & 255
        if pixels.kind == "palette" and not self.trusted:
            if greys_are_ids(pixels, classes_count):
                assert pixels.palette is not None
                return (pixels.palette & 255)[pixels.values]
            if black_is_elsewhere(pixels):
                raise TagsegError(f"the mask {path} {resorted('has black, the usual background, not as its index 0')}")
        return pixels.values

    def _by_colour(self, pixels: Pixels, path: Path) -> UInt8[ndarray, "H W"]:
        colours, label_of = pixels.colours(), dict(self.colours)
        unknown = [int(colour) for colour in colours if int(colour) not in label_of]
        if unknown:
            raise TagsegError(
                f"the mask {path} holds the colours {_some_colours(np.array(unknown))}, which are no class in "
                f"{self.colours_from}, expected its colours alone: add them to it, or the class to --data.classes"
            )
        labels = np.array([label_of[int(colour)] for colour in colours], np.uint8)
        if not labels.size:
            return np.zeros(pixels.values.shape, np.uint8)
        return labels[np.searchsorted(pixels.used(), pixels.values)]


def equal_channels(colours: Shaped[ndarray, " n"]) -> bool:
    """Whether red, green and blue are equal in all packed colours."""
    return bool(((colours & 255) * 0x010101 == colours).all())


def greys_are_ids(pixels: Pixels, classes_count: int) -> bool:
    """Whether a palette's used colours are greys whose levels are ids, written so by GIF and others for grey masks.

    Only levels of classes tell, which are nearly black and so no colours that somebody chose.
    """
    colours, used = pixels.colours(), pixels.used()
    levels = colours & 255
    valid = (levels <= classes_count) | (levels == IGNORE)
    of_class = (levels > 0) & (levels <= classes_count)
    distinct = len(np.unique(levels)) == len(levels)
    return bool((colours >= 0).all() and equal_channels(colours) and valid.all() and of_class.any() and distinct) and (
        levels.tolist() != used.tolist()
    )


def black_is_elsewhere(pixels: Pixels) -> bool:
    """Whether a pixel is black by an index other than 0, while index 0 is another colour."""
    assert pixels.palette is not None
    black = pixels.used()[pixels.colours() == 0]
    return bool(black.size and 0 not in black and pixels.palette[0] != 0)


def resorted(why: str) -> str:
    """The end of a message about a palette that is perhaps not in the order of the labels."""
    return (
        f"{why}: its palette may be re-sorted, expected indices that are class ids: name the colours in a file, "
        "--data.colours FILE, or say that the indices are right, --data.colours ids"
    )


def colours_without_list(colours: Shaped[ndarray, " n"]) -> str:
    """The end of a message about a mask of colours that no list explains."""
    return (
        f"holds the colours {_some_colours(colours)}, expected class ids, or a list of what its colours mean: a file "
        "with a line 'name:red,green,blue' for each class, as labelmap.txt beside the images or by --data.colours FILE"
    )


def check_ids(ids: Shaped[ndarray, "H W"], classes_count: int, path: Path) -> None:
    """Raise ``TagsegError`` unless all ids are 0 to K or 255."""
    wrong = (ids < 0) | (ids > classes_count) & (ids != IGNORE)
    if wrong.any():
        expected = f"expected 0 (background) to {classes_count} (last class) or {IGNORE} (ignored)"
        hint = _likely(np.unique(ids), classes_count)
        raise TagsegError(f"the mask {path} holds the ids {_some(np.unique(ids[wrong]))}, {expected}: {hint}")


def _likely(ids: Shaped[ndarray, " n"], classes_count: int) -> str:
    """What ids out of range may be."""
    found = [int(i) for i in ids]
    objects = [i for i in found if i not in (0, IGNORE)]
    if len(objects) > classes_count + 1:
        return "check the class list, or, if these are soft edges, save the ids without smoothing or compression"
    tops, steps = (254, 255, 256), range(classes_count + 1)
    spread = {int(top * i / classes_count + half) for top in tops for i in steps for half in (0, 0.5)}
    if classes_count > 1 and set(found) <= spread and len(objects) <= classes_count:
        return f"they look like 0 to {classes_count} spread over 0 to 255 to be seen: save the ids themselves"
    step = int(np.gcd.reduce(objects)) if objects else 1
    if step > 1 and max(objects) // step <= classes_count:
        return f"they look like class ids times {step}: divide them by {step}"
    if 0 not in found and max(objects) == classes_count + 1:
        return "they look like ids that begin with 1 for the background: subtract 1"
    return "check the class list"


def _some(ids: Shaped[ndarray, " n"]) -> str:
    return list_some([str(i) for i in ids], MOST_SHOWN)


def _some_colours(colours: Shaped[ndarray, " n"]) -> str:
    """Colours as people write them: ``0,0,0; 48,112,32 and 7 more``."""
    shown = "; ".join(written(int(colour)) for colour in colours[:MOST_SHOWN])
    return shown if len(colours) <= MOST_SHOWN else f"{shown} and {len(colours) - MOST_SHOWN} more"
