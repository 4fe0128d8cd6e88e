"""A small file cannot fill the memory or take minutes: one line, with bounded memory and time."""

import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tagseg.config_file import read_config
from tagseg.data.class_file import read_class_file
from tagseg.data.class_map import read_class_map
from tagseg.data.coco_file import read_coco_file
from tagseg.data.images import read_image
from tagseg.data.mask_pixels import read_pixels
from tagseg.data.onehot import read_onehot
from tagseg.data.proposal_outlines import JsonSegments
from tagseg.data.tags import read_tags
from tagseg.data.tools.cvat import read_cvat
from tagseg.data.tools.json_file import read_json
from tagseg.data.voc_xml import read_annotation
from tagseg.errors import TagsegError
from tagseg.formats.npz import read_scores
from tagseg.verbs.train import parse_train

from ..conftest import CLASSES
from .limits import MEGABYTE, assert_bounded, bounded

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
XML = {
    "entities that grow": f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><annotation><name>&l9;</name></annotation>',
    "a long entity, often": f'<!DOCTYPE a [<!ENTITY x "{"x" * 100_000}">]><annotation>{"&x;" * 10_000}</annotation>',
    "a file": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><name>&x;</name></annotation>',
    "an address": '<!DOCTYPE a SYSTEM "http://192.0.2.1/evil.dtd"><annotation></annotation>',
    "parameters": '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://192.0.2.1/x"> %x;]><annotation></annotation>',
}


@pytest.mark.parametrize("kind", XML)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb2312"])
def test_xml_with_a_document_type_is_refused(kind: str, encoding: str, tmp_path: Path) -> None:
    declared = f'<?xml version="1.0" encoding="{encoding}"?>'
    (tmp_path / "a.xml").write_bytes((declared + XML[kind]).encode(encoding))
    assert_bounded(lambda: read_annotation(tmp_path / "a.xml"), "document type")
    (tmp_path / "a.xml").write_bytes((declared + XML[kind].replace("annotation>", "annotations>")).encode(encoding))
    if encoding != "gb2312":  # CVAT writes UTF-8
        assert_bounded(lambda: read_cvat(tmp_path / "a.xml"), "document type")


def test_deep_xml_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<annotation>" + "<object>" * 10_000)
    assert_bounded(lambda: read_annotation(tmp_path / "a.xml"), "no XML")


def repeated(key: str, levels: int = 9) -> str:
    """YAML of a billion values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join([*lines, f"{key}: *a{levels - 1}\n"])


def merged(key: str) -> str:
    lines = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 9))]
    return "\n".join([*lines, f"{key}: *a8\n"])


YAML = {"repeats": repeated, "merges": merged, "within itself": lambda key: f"{key}: &a [*a]\n"}


@pytest.mark.parametrize("kind", YAML)
def test_yaml_that_repeats_itself_is_bounded(kind: str, tmp_path: Path) -> None:
    (tmp_path / "class_map.yaml").write_text(YAML[kind]("classes"))
    (tmp_path / "config.yaml").write_text(YAML[kind]("data"))
    assert_bounded(lambda: read_class_map(tmp_path / "class_map.yaml"), "repeats")
    assert_bounded(lambda: read_config(tmp_path / "config.yaml"), "repeats")
    if kind == "merges":  # the parser reads all alike
        assert_bounded(lambda: parse_train(["--config", str(tmp_path / "config.yaml")]), "repeats")
    (tmp_path / "classes.yaml").write_text(YAML[kind]("names"))
    with bounded(), pytest.raises(TagsegError):
        read_class_file(tmp_path / "classes.yaml")


def test_a_few_aliases_are_read(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("data: &d {root: a}\nrun: {output: b}\nviews: {scale: &s [0.5, 1.0]}\n")
    (tmp_path / "class_map.yaml").write_text("classes:\n  pet: &p [cat, dog]\ndrop: [cow]\nignore: []\n")
    assert read_config(tmp_path / "config.yaml").data.root == "a"
    assert read_class_map(tmp_path / "class_map.yaml").sources["pet"] == ("pet", "cat", "dog")


JSON = {"deep": "[" * 200_000, "a long number": "9" * 200_000, "a long text that breaks off": '"' + "x" * 5_000_000}


@pytest.mark.parametrize("kind", JSON)
def test_json_is_bounded(kind: str, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(JSON[kind])
    for read in (
        lambda path: read_json(path, "x"),
        lambda path: read_tags(path, ()),
        lambda path: read_coco_file(path, True),
    ):
        assert_bounded(lambda read=read: read(tmp_path / "labels.json"), "labels.json")  # type: ignore[misc]


CSV = {
    "one long field": 'image,labels\na.jpg,"' + "x" * 4_000_000 + '"\n',
    "one long line": "x" * 4_000_000,
    "an open quote": 'image,labels\n"' + "a,b\n" * 100_000,
    "a long header": "image," + ",".join(f"c{n}" for n in range(50_000)) + "\n",
}


@pytest.mark.parametrize("kind", CSV)
def test_csv_is_bounded(kind: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(CSV[kind])
    assert_bounded(lambda: read_tags(tmp_path / "labels.csv", ()), "labels.csv", megabytes=256)


@pytest.mark.parametrize("name", ["labels.csv", "classes.txt", "result.json", "a.xml", "tags.npy", "a.json"])
def test_a_file_of_any_size_that_takes_no_disk_is_not_read(name: str, tmp_path: Path) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(1 << 42)
    readers: dict[str, Callable[[Path], object]] = {
        "labels.csv": lambda path: read_tags(path, ()), "classes.txt": read_class_file, "a.xml": read_annotation,
        "result.json": lambda path: read_coco_file(path, False), "tags.npy": lambda path: read_onehot(path, CLASSES),
        "a.json": lambda path: JsonSegments(path)(),
    }  # fmt: skip
    assert_bounded(lambda: readers[name](tmp_path / name), "GB", "memory")


def test_archives_are_named_and_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(gzip.compress(bytes(20 * MEGABYTE), 1))
    assert_bounded(lambda: read_tags(tmp_path / "labels.csv", ()), "gzip", megabytes=8)
    with zipfile.ZipFile(tmp_path / "labels.csv", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../labels.csv", bytes(20 * MEGABYTE))
    assert_bounded(lambda: read_tags(tmp_path / "labels.csv", ()), "zip archive", megabytes=8)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, *chunks: bytes, bits: int = 8, colour: int = 0) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + b"".join(chunks)
        + chunk(b"IDAT", zlib.compress(bytes(100)))
        + chunk(b"IEND", b"")
    )


def tiff_of(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (3, 2)).save(file, "TIFF")
    content = bytearray(file.getvalue())
    at = struct.unpack("<I", content[4:8])[0]
    for entry in range(struct.unpack("<H", content[at : at + 2])[0]):
        place = at + 2 + 12 * entry
        if (tag := struct.unpack("<H", content[place : place + 2])[0]) in (256, 257):
            content[place : place + 12] = struct.pack("<HHII", tag, 4, 1, width if tag == 256 else height)
    return bytes(content)


def gif_of(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("P", (2, 2)).save(file, "GIF")
    return file.getvalue()[:6] + struct.pack("<HH", width, height) + file.getvalue()[10:]


BOMB = zlib.compress(bytes(80 * MEGABYTE), 1)
PICTURES = {
    "a large PNG": png(60_000, 60_000), "a very large PNG": png(2**31 - 1, 2**31 - 1),
    "a wide PNG": png(2**31 - 1, 1, bits=1), "a large TIFF": tiff_of(100_000, 100_000),
    "a large GIF": gif_of(65_535, 65_535), "a profile": png(8, 8, chunk(b"iCCP", b"x\0\0" + BOMB)),
    "a text": png(8, 8, chunk(b"zTXt", b"x\0\0" + BOMB)),
    "many texts": png(8, 8, *[chunk(b"zTXt", b"x\0\0" + BOMB)] * 5),
    "an international text": png(8, 8, chunk(b"iTXt", b"x\0\1\0\0\0" + BOMB)),
}  # fmt: skip


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_are_bounded(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PICTURES[kind])
    for read in (read_image, read_pixels):
        with bounded():
            try:
                read(tmp_path / "a.png")
            except TagsegError as error:
                line = str(error)
        assert "a.png" in line
        assert "\n" not in line


def test_a_deep_picture_is_scaled_in_parts(tmp_path: Path) -> None:
    """All at once it would take 24 bytes a value."""
    Image.fromarray(np.arange(4_000_000, dtype=np.uint16).reshape(2000, 2000)).save(tmp_path / "a.png")
    with bounded(megabytes=60):  # 8 of the file, 4 + 12 of the picture, 12 of its copy
        read_image(tmp_path / "a.png")


def test_a_picture_of_many_frames_is_read_once(tmp_path: Path) -> None:
    frames = [Image.new("L", (16, 16), n % 250) for n in range(300)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with bounded(megabytes=2, seconds=2):
        assert read_image(tmp_path / "a.gif").shape == (16, 16, 3)


def test_outlines_of_any_size_are_not_drawn(tmp_path: Path) -> None:
    for size, segmentation in (
        ([10**6, 10**6], {"size": [10**6, 10**6], "counts": [10**12]}),
        ([10**9, 1], [[0, 0, 1e38, 0, 1, 1]]),
    ):
        entry = {
            "image": {"file_name": "a.jpg", "height": size[0], "width": size[1]},
            "annotations": [{"segmentation": segmentation}],
        }
        (tmp_path / "a.json").write_text(json.dumps(entry))
        assert_bounded(lambda: JsonSegments(tmp_path / "a.json")(), "a.json")


def test_probabilities_that_unpack_to_more_than_the_memory_are_refused(tmp_path: Path) -> None:
    """A member that claims 300 TB: nothing of it is read."""
    with (tmp_path / "s.npz").open("wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scores.npy", b"\0" * MEGABYTE)
        archive.infolist()[0].file_size = 300 * 10**12
    assert_bounded(lambda: read_scores(tmp_path / "s.npz"), "too much for this machine's memory")
