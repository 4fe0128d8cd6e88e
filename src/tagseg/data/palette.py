"""Colours of label maps: PASCAL VOC's colour map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

BACKGROUND = "background"
"""Name of label 0."""

Colour = tuple[int, int, int]
"""RGB, 0 to 255 each."""


@lru_cache(maxsize=1)
def palette() -> UInt8[ndarray, "256 3"]:
    """VOC's colour of each label 0 to 255, RGB uint8 (256, 3), read-only.

    The bits of a label are distributed over the three channels from the highest bit down, so that consecutive labels
    have different colours. Background (0) is black, ignored (255) a pale cream.
    """
    labels = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((labels >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    colours.setflags(write=False)
    return colours


def palette_of(colours: Sequence[Colour] | None) -> UInt8[ndarray, "256 3"]:
    """VOC's palette with these colours for labels 0, 1, …; ``None``: VOC's alone."""
    if not colours:
        return palette()
    own = palette().copy()
    own[: len(colours)] = colours
    return own


def label_names(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Names of labels 0 to K: background, then the K foreground classes."""
    return (BACKGROUND, *classes)


def colour(label: int) -> tuple[int, int, int]:
    """RGB of one label, 0 to 255 each."""
    red, green, blue = (int(value) for value in palette()[label])
    return red, green, blue


def colours_with(given: Mapping[int, Colour], count: int) -> tuple[Colour, ...]:
    """The colours of labels 0 to ``count`` - 1: those that are given, and for others VOC's, but none twice.

    Where VOC's colour of a label is given to another one, the label has the first of VOC's that no label has.
    """
    free = (colour(label) for label in range(1, 255) if colour(label) not in given.values())
    others = {label: colour(label) for label in range(count) if label not in given}
    clashing = [label for label, own in others.items() if own in given.values()]
    later = (own for own in free if own not in others.values())
    chosen = {**others, **{label: next(later) for label in clashing}, **given}
    return tuple(chosen[label] for label in range(count))
