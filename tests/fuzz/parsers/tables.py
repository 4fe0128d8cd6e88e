"""Tag files: CSV in all its forms, JSON lines, JSON, columns of zeros and ones; lists of splits; metrics of a run."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from random import Random
from typing import Any, Literal

from tagseg.data.split_list import read_splits
from tagseg.data.tags import read_tags

from ..parser import UNKNOWN, Case, Parser
from .values import names, some, words

Tags = dict[str, frozenset[str]]
_LABELS = ("labels", "labels", "tags", "label", "Classes", "labels_from_mask")
_IMAGES = ("image", "image", "file_name", "Path", "Image Name")
_CSV_WORDS = (
    b"image,labels\n",
    b"split",
    b'"',
    b'""',
    b"\n",
    b",",
    b";",
    b"sep=;\n",
    b"nan",
    b"1",
    b"0",
    b"-1",
    b"['a', 'b']",
)


def _model(rng: Random) -> dict[str, tuple[str, ...]]:
    of = words(rng)
    return {name: some(rng, of) for name in names(rng)}


def _expected(model: dict[str, tuple[str, ...]]) -> Tags:
    return {image: frozenset(tags) for image, tags in model.items()}


def _read(path: Path) -> Tags:
    return {row.image: frozenset(row.labels) for row in read_tags(path).rows}


def _csv_bytes(rng: Random, rows: list[list[str]], plain: bool = False) -> tuple[bytes, bool]:
    """A table in one of the ways that people save it, and whether it may be refused."""
    text = io.StringIO()
    separator = rng.choice(",,,;\t|")
    quoting: Literal[0, 1] = csv.QUOTE_ALL if rng.random() < 0.5 else csv.QUOTE_MINIMAL
    end = rng.choice(("\n", "\r\n", "\r"))
    csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=end).writerows(rows)
    written = text.getvalue()
    if separator == ";" and rng.random() < 0.3:
        written = f"sep=;{end}{written}"
    if rng.random() < 0.2:
        written += end * 2
    encoding = rng.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"))
    try:
        content = written.encode(encoding)
    except UnicodeEncodeError:
        encoding, content = "utf-8", written.encode()
    return content, encoding == "cp1252" and not written.isascii()


def _with_more(rng: Random, header: list[str], rows: list[list[str]]) -> list[list[str]]:
    """Columns in another order, with one that means nothing."""
    if rng.random() < 0.5:
        header, rows = [*header, "note"], [[*row, rng.choice(("", "x", "a, b", 'say "hi"'))] for row in rows]
    order = list(range(len(header)))
    rng.shuffle(order)
    return [[row[index] for index in order] for row in [header, *rows]]


def _csv(rng: Random) -> Case:
    model = _model(rng)
    form = rng.randrange(6)
    if form == 0:  # a row a tag
        rows = [[image, tag] for image, tags in model.items() for tag in tags or ("",)]
        rng.shuffle(rows)
    elif form == 1:  # as Python or JSON writes lists
        write = rng.choice((json.dumps, lambda tags: str(list(tags))))
        rows = [[image, write(tags)] for image, tags in model.items()]
    else:
        separator = rng.choice((";", ";", "|", "; ", ",", ", ", " ", "/", "+"))
        rows = [[image, separator.join(tags)] for image, tags in model.items()]
        form = -1 if separator.strip() not in (";", "|") else form
    content, refusable = _csv_bytes(rng, _with_more(rng, [rng.choice(_IMAGES), rng.choice(_LABELS)], rows))
    name = rng.choice(("labels.csv", "labels.tsv", "tags.txt"))
    # what could be one tag or several is refused, or, with signs that names have, too, read as one that never occurs
    expected = UNKNOWN if form == -1 and separator.strip() != "," else _expected(model)
    return Case(name, content, expected, refusable or form == -1)


def _columns(rng: Random) -> Case:
    of = words(rng)
    model = {name: some(rng, of) for name in names(rng)}
    first = next(iter(model))
    model[first] = tuple(of)  # each column has a 1
    yes, no = rng.choice((("1", "0"), ("1.0", "0.0"), ("True", "False"), ("1", ""), ("1", "-1"), ("x", "")))
    rows = [[image, *(yes if name in tags else no for name in of)] for image, tags in model.items()]
    header = [rng.choice(_IMAGES), *of]
    order = list(range(len(header)))
    rng.shuffle(order)
    content, refusable = _csv_bytes(rng, [[row[index] for index in order] for row in [header, *rows]])
    return Case("labels.csv", content, _expected(model), refusable)


def _lines(rng: Random) -> Case:
    model = _model(rng)
    image, labels = rng.choice(_IMAGES), rng.choice(_LABELS)
    as_list, ascii_only = rng.random() < 0.7, rng.random() < 0.5
    rows: list[dict[str, Any]] = [
        {image: name, labels: list(tags) if as_list else ";".join(tags)} for name, tags in model.items()
    ]
    form = rng.randrange(3)
    if form == 0:
        text, ending = "\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows), ".jsonl"
    elif form == 1:
        text, ending = json.dumps(rows, ensure_ascii=ascii_only, indent=rng.choice((None, 1))), ".json"
    else:
        text, ending = json.dumps({name: list(tags) for name, tags in model.items()}, ensure_ascii=ascii_only), ".json"
    return Case(f"labels{ending}", text.encode(rng.choice(("utf-8", "utf-8-sig", "utf-16"))), _expected(model))


def _splits(rng: Random) -> Case:
    splits = {name: rng.choice(("train", "val", "test")) for name in names(rng)}
    rows = [list(row) for row in splits.items()]
    content, refusable = _csv_bytes(rng, _with_more(rng, ["image", "split"], rows))
    return Case("split.csv", content, splits, refusable)


def _comes_from_the_file(value: Tags, case: Case) -> str:
    """Nothing is read that does not stand in the file; of plain UTF-8 without quotes and escapes, which hide text."""
    try:
        text = case.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return ""
    if any(letter in text for letter in '"\\\0') or text.lstrip()[:1] in ("{", "["):
        return ""
    odd = [each for image, tags in value.items() for each in (image, *tags) if each not in text]
    return f"read {odd[0]!r}, which is not in the file" if odd else ""


PARSERS = (
    Parser("tags_csv", _csv, _read, _CSV_WORDS, _comes_from_the_file),
    Parser("tags_columns", _columns, _read, (*_CSV_WORDS, b"true", b"uncertain", b"2"), _comes_from_the_file),
    Parser(
        "tags_json", _lines, _read, (b'"image"', b'"labels"', b"[", b"]", b"{", b"}", b"\n", b"null", b'{"image": 1}')
    ),
    Parser("split_list", _splits, read_splits, _CSV_WORDS),
)
