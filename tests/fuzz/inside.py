"""Changes inside containers whose checksums or lengths fit again afterwards, so that what is within is reached."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from random import Random

from .mutate import mutated


def in_zip(content: bytes, rng: Random, words: Sequence[bytes]) -> bytes:
    """A member of an archive is changed, renamed, left out or doubled."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    one = rng.randrange(len(members))
    way = rng.randrange(8)
    if way == 0:
        del members[one]
    elif way == 1:
        members.append(members[one])
    elif way == 2:
        members[one] = (rng.choice(("../x", "/etc/x", "a" * 300, "scores.npy", "data.pkl")), members[one][1])
    else:
        members[one] = (members[one][0], mutated(members[one][1], rng, words, [each for _, each in members]))
    file = io.BytesIO()
    compression = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", compression) as archive:
        warnings.simplefilter("ignore")  # names may be there twice
        for name, each in members:
            archive.writestr(zipfile.ZipInfo(name), each)
    return file.getvalue()


def in_png(content: bytes, rng: Random, words: Sequence[bytes]) -> bytes:
    """A chunk is changed, left out, doubled or moved; its checksum fits."""
    chunks, at = [], 8
    while at + 12 <= len(content):
        (size,) = struct.unpack(">I", content[at : at + 4])
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
        at += 12 + size
    one, other = rng.randrange(len(chunks)), rng.randrange(len(chunks))
    way = rng.randrange(6)
    kind, data = chunks[one]
    if way == 0:
        del chunks[one]
    elif way == 1:
        chunks.insert(other, chunks[one])
    elif way == 2:
        chunks[one], chunks[other] = chunks[other], chunks[one]
    elif way == 3:
        extra = rng.choice((b"tRNS", b"PLTE", b"eXIf", b"acTL", b"iCCP", b"zTXt", b"gAMA", b"cHRM", b"fcTL"))
        chunks.insert(
            rng.randrange(1, len(chunks)) if len(chunks) > 1 else 0,
            (extra, rng.randbytes(rng.choice((0, 1, 4, 9, 30)))),
        )
    elif kind == b"IHDR":
        fields = bytearray(data)
        if fields:
            fields[rng.randrange(len(fields))] = rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
        chunks[one] = kind, bytes(fields)
    elif kind == b"IDAT" and rng.random() < 0.7:
        try:
            chunks[one] = kind, zlib.compress(mutated(zlib.decompress(data), rng, words, []))
        except zlib.error:
            chunks[one] = kind, data[:-1]
    else:
        chunks[one] = kind, mutated(data, rng, words, [])
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return content[:8] + b"".join(parts)


def in_safetensors(content: bytes, rng: Random, words: Sequence[bytes]) -> bytes:
    """The header of JSON is changed; its length fits."""
    (size,) = struct.unpack("<Q", content[:8])
    header = mutated(content[8 : 8 + size], rng, words, [])
    return struct.pack("<Q", len(header)) + header + content[8 + size :]
