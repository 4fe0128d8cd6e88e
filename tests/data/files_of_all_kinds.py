"""Small files of the kinds that Pillow does not write by itself."""

import struct
import zlib
from pathlib import Path

import numpy as np


def deep_png(path: Path, values: np.ndarray) -> Path:
    """A PNG of 16-bit colours (H, W, 3), which Pillow reads but does not write."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    packed = (struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    return path


def tiff(
    path: Path,
    values: np.ndarray,
    extra: tuple[int, ...] = (),
    order: str = "<",
    photometric: int = 2,
    deflate: bool = False,
) -> Path:
    """A TIFF of any bands (H, W, bands), uint8 or uint16; ``extra``: what the bands beside the colours are."""
    height, width, bands = values.shape
    bits = 8 * values.dtype.itemsize
    data = values.astype(f"{order}u{values.dtype.itemsize}").tobytes()
    data = zlib.compress(data) if deflate else data
    entries: list[tuple[int, int, tuple[int, ...]]] = [
        (256, 4, (width,)), (257, 4, (height,)), (258, 3, (bits,) * bands), (259, 3, (8 if deflate else 1,)),
        (262, 3, (photometric,)), (273, 4, (0,)), (277, 3, (bands,)), (278, 4, (height,)), (279, 4, (len(data),)),
    ]  # fmt: skip
    entries += [(338, 3, extra)] if extra else []
    first = 8 + 2 + 12 * len(entries) + 4

    def packed(start: int) -> bytes:
        fields, beyond = b"", b""
        for tag, kind, given in entries:
            numbers = (start,) if tag == 273 else given
            raw = struct.pack(f"{order}{len(numbers)}{'H' if kind == 3 else 'I'}", *numbers)
            fields += struct.pack(f"{order}HHI", tag, kind, len(numbers))
            if len(raw) > 4:
                fields += struct.pack(f"{order}I", first + len(beyond))
                beyond += raw
            else:
                fields += raw.ljust(4, b"\0")
        return struct.pack(f"{order}H", len(entries)) + fields + bytes(4) + beyond

    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    start = 8 + len(packed(0))
    path.write_bytes(head + packed(start) + data)
    return path


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(300)
VIDEO = b"\0\0\0\x18ftypisom\0\0\2\0isommp41" + bytes(300)
