"""Run lengths of Label Studio's brush: the bit stream of the ``rle-pack`` format over the RGBA bytes of a picture.

A header (32 bits: number of bytes; 5: word size less one; four times 4: the sizes of run lengths less one) is followed
by runs: one bit set, two bits for the size of the length, the length less one, and the byte that is repeated.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

CHANNELS = 4
"""Red, green, blue and opacity; Label Studio shows the pixels that are opaque."""
_WORD = 8
_LENGTH_BITS = np.array([3, 4, 8, 16])
_LONGEST = 1 << 16


def encode_brush(mask: Bool[ndarray, "H W"]) -> list[int]:
    """The bytes of a brush region: all four channels are 255 where the mask is set, else 0."""
    flat = mask.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    bounds = np.concatenate([[0], edges, [len(flat)]])
    lengths, values = CHANNELS * np.diff(bounds), 255 * flat[bounds[:-1]].astype(np.int64)
    pieces = -(-lengths // _LONGEST)  # a run that is too long for 16 bits is split
    last = np.cumsum(pieces) - 1
    split = np.full(pieces.sum(), _LONGEST)
    split[last] = lengths - (pieces - 1) * _LONGEST
    size = np.searchsorted(1 << _LENGTH_BITS, split)
    bits = _LENGTH_BITS[size]
    codes = ((((0b100 | size) << bits) | (split - 1)) << _WORD) | np.repeat(values, pieces)
    header = CHANNELS * len(flat)
    for field, width in ((_WORD - 1, 5), *((int(one) - 1, 4) for one in _LENGTH_BITS)):
        header = (header << width) | field
    stream = np.concatenate([_bits(np.array([header]), np.array([53])), _bits(codes, 3 + bits + _WORD)])
    packed: list[int] = np.packbits(stream).tolist()
    return packed


def _bits(codes: ndarray, widths: ndarray) -> ndarray:
    """Codes one after the other as single bits, each of its own width, the highest bit first."""
    places = np.repeat(np.cumsum(widths), widths) - 1 - np.arange(widths.sum())
    return (np.repeat(codes, widths) >> places & 1).astype(np.uint8)
