"""Colours of label maps: PASCAL VOC's colour map."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

BACKGROUND = "background"
"""Name of label 0."""


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


def label_names(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Names of labels 0 to K: background, then the K foreground classes."""
    return (BACKGROUND, *classes)


def colour(label: int) -> tuple[int, int, int]:
    """RGB of one label, 0 to 255 each."""
    red, green, blue = (int(value) for value in palette()[label])
    return red, green, blue
