"""Bits that flipped in a mask's file are noticed, whatever they would become."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tagseg.data.mask_pixels import read_pixels
from tagseg.data.png_checksums import damaged_chunk
from tagseg.data.proposal_pictures import read_values

from ..conftest import assert_refused

LABELS = (np.arange(40 * 50).reshape(40, 50) // 77 % 6).astype(np.uint8)


@pytest.fixture
def mask(tmp_path):
    Image.fromarray(LABELS).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


def test_each_flipped_bit_of_the_pixels_is_told_and_named(mask):
    whole = mask.read_bytes()
    start = whole.index(b"IDAT") + 4
    (size,) = struct.unpack(">I", whole[start - 8 : start - 4])
    for place in range(start, start + size, 7):
        mask.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        for read in (read_pixels, read_values):
            assert_refused(lambda read=read: read(mask), "mask.png")
        assert damaged_chunk(mask) == "IDAT"


def test_whole_files_are_read_with_extra_chunks_and_bytes_behind_them(mask):
    whole = mask.read_bytes()
    note = b"tEXtNote\0a"
    chunk = struct.pack(">I", len(note) - 4) + note + struct.pack(">I", zlib.crc32(note) ^ 1)  # nobody needs a note
    end = whole.index(b"IEND") - 4
    mask.write_bytes(whole[:end] + chunk + whole[end:] + b"behind the end")
    assert damaged_chunk(mask) == ""
    assert (read_pixels(mask).values == LABELS).all()


def test_other_formats_have_no_such_checksums(tmp_path):
    Image.fromarray(LABELS).save(tmp_path / "mask.bmp")
    assert damaged_chunk(tmp_path / "mask.bmp") == ""
    assert (read_pixels(tmp_path / "mask.bmp").values == LABELS).all()


def test_a_chunk_whose_length_flipped_is_told(mask):
    whole = bytearray(mask.read_bytes())
    place = whole.index(b"IDAT") - 3
    whole[place] ^= 64
    mask.write_bytes(whole)
    assert damaged_chunk(mask) == "IDAT"
    assert_refused(lambda: read_pixels(mask), "mask.png")
