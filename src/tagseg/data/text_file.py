"""Text files as people save them: UTF-8, UTF-16 or western Windows text, and a name for what is no text."""

from __future__ import annotations

import codecs
import zipfile
from pathlib import Path

from tagseg.data.file_size import read_whole
from tagseg.data.notes import Note
from tagseg.data.western_text import western
from tagseg.errors import TagsegError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_KINDS = (
    (b"\xd0\xcf\x11\xe0", "an Excel workbook: save it as CSV"),
    (b"PAR1", "a Parquet table: save it as CSV (pandas.read_parquet(...).to_csv(...))"),
    (b"ARROW1", "an Arrow table: save it as CSV"),
    (b"\x93NUMPY", "a NumPy array: save its names as CSV"),
    (b"SQLite format 3", "an SQLite database: export the table as CSV"),
    (b"\x89HDF", "an HDF5 file: save the table as CSV"),
    (b"\x1f\x8b", "a gzip archive: unpack it"),
    (b"BZh", "a bzip2 archive: unpack it"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it"),
    (b"Rar!", "a RAR archive: unpack it"),
    (b"%PDF", "a PDF document: save the table as CSV"),
    (b"{\\rtf", "an RTF document: save it as plain text"),
    (b"\x89PNG", "a PNG image: choose another file"),
    (b"\xff\xd8\xff", "a JPEG image: choose another file"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself: fetch it with git lfs pull"),
    *((bytes([0x80, version]), "a pickle, which is not opened: save its content as CSV") for version in range(2, 6)),
)
_WESTERN = ", which is not UTF-8, read as cp1252 (Windows); if they are wrong, save it as UTF-8"
_WEB = (b"<!doctype html", b"<html")


def read_text(path: Path, expected: str) -> tuple[str, tuple[Note, ...]]:
    """The text of a file in UTF-8, with or without a byte order mark, in UTF-16, or unmistakably in cp1252.

    Line ends stay as they are.

    Args:
        path: the file.
        expected: what it should have been, for messages, e.g. ``a tag file (CSV or JSON)``.

    Returns:
        The text, and a note if it is not UTF-8.

    Raises:
        TagsegError: it cannot be opened, is no text (the message names what it is), or is in another encoding.
    """
    try:
        content = read_whole(path, expected)
    except OSError as error:
        raise TagsegError(f"{path} cannot be read ({error.strerror}), expected {expected}: check the path") from error
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "") or _unmarked(content)
    kind = "" if encoding != "utf-8" else _what_it_is(path, content)
    if kind:
        raise TagsegError(f"{path} is {kind}, expected {expected}")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        found = western(content) if encoding.startswith("utf-8") else None
        if found is not None:
            return found[0], Note.of(f"words of {path.name}{_WESTERN}", list(found[1]), warning=True)
        line = content.count(b"\n", 0, error.start) + 1
        shown = content[error.start : error.start + 1].hex()
        raise TagsegError(
            f"{path} line {line} is not UTF-8 text (byte 0x{shown}), so letters in it cannot be told: save it as UTF-8 "
            "(Excel: 'CSV UTF-8')"
        ) from error
    other = not encoding.startswith("utf-8")
    return text, ((Note(f"{path.name} is {encoding.split('-le')[0].split('-be')[0].upper()} text"),) if other else ())


def _unmarked(content: bytes) -> str:
    """UTF-16 without a mark has a zero in every second byte of Latin text; anything else is taken for UTF-8."""
    start = content[:1000]
    pairs = len(start) // 2
    even, odd = start[0::2].count(0), start[1::2].count(0)
    if pairs >= 4 and max(even, odd) > 0.8 * pairs and min(even, odd) == 0:
        return "utf-16-le" if odd else "utf-16-be"
    return "utf-8"


def _what_it_is(path: Path, content: bytes) -> str:
    """What a file is that is no text, with the way out; empty for text."""
    if content.startswith(b"PK\3\4"):
        return _what_zip(path)
    named = next((kind for start, kind in _KINDS if content.startswith(start)), "")
    if named:
        return named
    if content.lstrip()[:20].lower().startswith(_WEB):
        return "a web page, not the file that it may link to: download that"
    return "binary data: save it as text" if b"\0" in content else ""


def _what_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
    except zipfile.BadZipFile:
        names = ["xl/"] if path.suffix.lower().startswith(".xls") else []
    if any(name.startswith("xl/") for name in names):
        return "an Excel workbook: save it as CSV"
    if "content.xml" in names:
        return "an OpenDocument file: save it as CSV"
    return "a zip archive: unpack it"
