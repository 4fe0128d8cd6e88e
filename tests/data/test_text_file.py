"""Text files: encodings that are read, and names for what is no text."""

import gzip
import pickle
import zipfile

import numpy as np
import pytest

from tagseg.data.text_file import read_text
from tagseg.errors import TagsegError


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("utf-32", "UTF-32"),
    ],
)
def test_unicode_is_read_and_what_is_unusual_said(tmp_path, encoding, note):
    path = tmp_path / "a.csv"
    path.write_bytes("image,labels\r\nölkanne,猫\r\n".encode(encoding))
    text, notes = read_text(path, "a table")
    assert text == "image,labels\r\nölkanne,猫\r\n"
    assert [str(each) for each in notes] == ([f"a.csv is {note} text"] if note else [])


def test_western_text_of_windows_is_read_with_its_words_in_a_warning(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("image,labels\r\nölkanne,Löwe\r\n".encode("cp1252"))
    text, notes = read_text(path, "a table")
    assert text == "image,labels\r\nölkanne,Löwe\r\n"
    assert [str(each) for each in notes if each.warning] == [
        "2 words of a.csv, which is not UTF-8, read as cp1252 (Windows); if they are wrong, save it as UTF-8: "
        "ölkanne, Löwe"
    ]


@pytest.mark.parametrize("encoding", ["cp1252", "gbk", "shift-jis"])
def test_other_encodings_are_refused_with_the_line_as_letters_would_be_wrong(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes(b"a,b\n" + ("ö,x\n" if encoding == "cp1252" else "中文字,x\n").encode(encoding))
    with pytest.raises(TagsegError, match=r"a\.csv line 2 is not UTF-8 text \(byte 0x.*save it as UTF-8"):
        read_text(tmp_path / "a.csv", "a table")


def _zip(*names):
    def write(path):
        with zipfile.ZipFile(path, "w") as file:
            for name in names:
                file.writestr(name, "")

    return write


@pytest.mark.parametrize(
    ("write", "named"),
    [
        (_zip("xl/workbook.xml"), "an Excel workbook: save it as CSV"),
        (_zip("content.xml"), "an OpenDocument file: save it as CSV"),
        (_zip("labels.csv"), "a zip archive: unpack it"),
        (lambda path: path.write_bytes(pickle.dumps({"a": ["cat"]})), "a pickle, which is not opened"),
        (lambda path: path.write_bytes(pickle.dumps({"a": ["cat"]}, protocol=3)), "a pickle"),
        (lambda path: path.write_bytes(b"PAR1\x15\x04\x15"), "a Parquet table: save it as CSV"),
        (lambda path: path.write_bytes(gzip.compress(b"image,labels\n")), "a gzip archive: unpack it"),
        (lambda path: np.save(path, np.zeros(3)), "a NumPy array"),
        (lambda path: path.write_text("\n<!DOCTYPE html><html>"), "a web page"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid x\n"), "a pointer of Git LFS"),
        (lambda path: path.write_bytes(b"image\0\0labels\1\2\3"), "binary data"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, write, named):
    path = tmp_path / "labels.npy"
    write(path)
    with pytest.raises(TagsegError, match=f"labels.npy is {named}.*, expected a table") as error:
        read_text(path, "a table")
    assert "\n" not in str(error.value)


def test_a_cut_off_workbook_is_still_a_workbook(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04\x14\x00\x06\x00")
    with pytest.raises(TagsegError, match="an Excel workbook"):
        read_text(tmp_path / "a.xlsx", "a table")


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(TagsegError, match=r"none\.csv cannot be read \(No such file"):
        read_text(tmp_path / "none.csv", "a table")
    with pytest.raises(TagsegError, match="cannot be read"):
        read_text(tmp_path, "a table")
