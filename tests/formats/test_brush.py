"""Label Studio's brush: golden bytes of its own package, and a decoder that reads bit by bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays

from tagseg.formats.brush import encode_brush

from .conftest import nasty

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=14))


def decode(encoded: list[int]) -> np.ndarray:
    """As the format is described."""
    bits = "".join(f"{byte:08b}" for byte in encoded)
    place = 0

    def read(count: int) -> int:
        nonlocal place
        place += count
        assert place <= len(bits), "the stream breaks off"
        return int(bits[place - count : place], 2)

    total, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < total:
        repeated, length = read(1), 0
        length = read(sizes[read(2)]) + 1
        values += [read(word)] * length if repeated else [read(word) for _ in range(length)]
    assert len(bits) - place < 8, "bytes after the end"
    return np.array(values, np.uint8)


def test_the_bytes_of_label_studio():
    """By ``label_studio_sdk.converter.brush.mask2rle`` 2.0.19."""
    assert bytes(encode_brush(nasty()["spots"] > 0)).hex() == (
        "000001b0391bfc7ff98c030dffe2b008fff0d8047ff6c023ffc3e011ffce011ffe2b008fff158047ff8ac023ff9c023ff0"
    )


@settings(max_examples=60)
@given(masks)
def test_all_channels_are_set_where_the_mask_is(mask):
    pixels = decode(encode_brush(mask)).reshape(*mask.shape, 4)
    np.testing.assert_array_equal(pixels, np.where(mask, 255, 0)[..., None].repeat(4, axis=2))


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("width", [2, 4, 64, 16384, 16385, 40000])
def test_runs_at_the_limits_of_their_sizes(width, value):
    mask = np.full((1, width + 1), value)
    mask[0, -1] = not value
    np.testing.assert_array_equal(decode(encode_brush(mask))[3::4], 255 * mask[0])
