"""COCO's run lengths: golden text of pycocotools, the package's own reader, and pycocotools where it is installed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tagseg.data.outlines import RunLengths, decode_counts
from tagseg.formats.outlines import parts_of
from tagseg.formats.run_lengths import encode_counts, encode_runs

from .conftest import nasty

GOLDEN = {
    "ring": "W2b050000A70I070I0" + 14 * "M50K30" + "70I070I070I?0000S2",
    "spots": "01c00E000I050L0303006b0J",
    "one": "01",
    "nothing": "l0",
    "sub/full": "0n0",
    "diagonals": "011010O10O10O0",
}
"""By ``pycocotools.mask.encode`` 2.0.11: of everything that is not background."""
masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=20))


def encode_mask(mask):
    """All of a mask at once."""
    flat = np.concatenate([[False], mask.ravel(order="F"), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return encode_runs(edges[0::2], edges[1::2], mask.shape)


@pytest.mark.parametrize("name", GOLDEN)
def test_the_text_of_pycocotools(name):
    mask = nasty()[name] > 0
    assert encode_mask(mask) == {"size": list(mask.shape), "counts": GOLDEN[name]}


def test_long_runs():
    mask = np.zeros((2000, 3000), bool)
    mask[700:1900, 5:2990] = True
    assert encode_mask(mask)["counts"] == r"\^:`U1Pi" + 2 * 2984 * "0" + "Tkb0"


@given(masks)
def test_the_reader_of_the_package_gives_the_mask_back(mask):
    text = encode_mask(mask)["counts"]
    assert isinstance(text, str)
    np.testing.assert_array_equal(RunLengths(mask.shape, text).decode(), mask)


@given(st.lists(st.integers(0, 2**31), max_size=12))
def test_any_counts(counts):
    assert decode_counts(encode_counts(np.array(counts, np.int64))).tolist() == counts


@settings(max_examples=50)
@given(masks)
def test_pycocotools_writes_the_same(mask):
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed: make test")
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert encode_mask(mask)["counts"] == theirs["counts"].decode()
    for part in parts_of(mask):
        ours = encode_runs(part.starts, part.stops, part.size)
        assert coco.area(ours) == part.area
        assert coco.toBbox(ours).tolist() == list(part.box)
