"""COCO's compressed run lengths of a mask, as pycocotools writes them; ``data/outlines.py`` reads them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from numpy import ndarray


def encode_runs(
    starts: Int[ndarray, " runs"], stops: Int[ndarray, " runs"], size: tuple[int, int]
) -> dict[str, object]:
    """``size`` (H, W) and ``counts`` as text of runs down the columns.

    Args:
        starts: where the runs begin (column x H + row), ascending; no two touch.
        stops: where they end, exclusive.
        size: (H, W) of the mask.
    """
    total = size[0] * size[1]
    edges = np.stack([starts, stops], axis=1).ravel()
    counts = np.diff(np.concatenate([[0], edges, [total]]))
    if len(starts) and stops[-1] == total:  # pycocotools writes no empty run at the end
        counts = counts[:-1]
    return {"size": list(size), "counts": encode_counts(counts)}


def encode_counts(counts: Int[ndarray, " n"]) -> str:
    """COCO's text of run lengths; the format is described at ``data.outlines.decode_counts``, which reads it."""
    values = counts.astype(np.int64)
    values[3:] -= counts[1:-2]
    text = []
    for value in values.tolist():
        more = True
        while more:
            group = value & 31
            value >>= 5
            more = value != (-1 if group & 16 else 0)
            text.append(chr(group + 48 + 32 * more))
    return "".join(text)
