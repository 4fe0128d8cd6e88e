"""Probabilities at some pixels of a photo, from its logits on the patch grids.

They are those of ``Result.probs``, which holds all pixels and takes 2 bytes for each label and pixel: too much to keep.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray

MOST_PIXELS = 20_000
"""Of a class, over which its mean probability is taken; of larger ones that many, evenly spread."""


def probabilities_at(
    grids: Sequence[Float[ndarray, "C _h _w"]],
    size: tuple[int, int],
    rows: Int[ndarray, " n"],
    columns: Int[ndarray, " n"],
) -> Float[ndarray, "C n"]:
    """Probability of each label, 0 to 1: softmax of the maximum over scales of the logits upsampled bilinearly.

    Args:
        grids: logits of each scale.
        size: H and W of the photo in pixels.
        rows: of the pixels, 0 to H-1.
        columns: of the pixels, 0 to W-1.
    """
    merged = _upsampled_at(grids[0], size, rows, columns)
    for grid in grids[1:]:
        np.maximum(merged, _upsampled_at(grid, size, rows, columns), out=merged)
    powers = np.exp(merged - merged.max(axis=0))
    return powers / powers.sum(axis=0)


def _upsampled_at(
    grid: Float[ndarray, "C h w"], size: tuple[int, int], rows: Int[ndarray, " n"], columns: Int[ndarray, " n"]
) -> Float[ndarray, "C n"]:
    """Bilinear, as PyTorch's ``interpolate`` without aligned corners."""
    top, bottom, down = _between(rows, size[0], grid.shape[1])
    left, right, along = _between(columns, size[1], grid.shape[2])
    upper = grid[:, top, left] * (1 - along) + grid[:, top, right] * along
    lower = grid[:, bottom, left] * (1 - along) + grid[:, bottom, right] * along
    return upper * (1 - down) + lower * down


def _between(pixels: Int[ndarray, " n"], length: int, cells: int) -> tuple[ndarray, ndarray, ndarray]:
    """The two cells of a row or column of the grid that each pixel lies between, and the share of the second one."""
    position = np.maximum((pixels + 0.5) * (cells / length) - 0.5, 0)
    first = np.minimum(position.astype(np.int64), cells - 1)
    share = np.clip(position - first, 0, 1).astype(np.float32)
    return first, np.minimum(first + 1, cells - 1), share


def confidence(
    grids: Sequence[Float[ndarray, "C _h _w"]], mask: UInt8[ndarray, "H W"], label: int, most: int = MOST_PIXELS
) -> float:
    """Mean probability of a label, 0 to 1, over its pixels in the mask, at most so many of them."""
    pixels = np.flatnonzero(mask == label)
    chosen = pixels[:: -(-len(pixels) // most)]
    rows, columns = np.divmod(chosen, mask.shape[1])
    probabilities = probabilities_at(grids, (mask.shape[0], mask.shape[1]), rows, columns)
    return float(probabilities[label].mean(dtype=np.float64))
