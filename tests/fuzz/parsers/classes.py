"""Files of names: class lists of all kinds, colour lists, class maps, one-hot arrays."""

from __future__ import annotations

import io
import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml

from tagseg.data.class_file import read_class_file
from tagseg.data.class_map import class_map, read_class_map
from tagseg.data.colour_list import read_colour_list
from tagseg.data.mask_pixels import packed
from tagseg.data.onehot import read_onehot

from ..parser import Case, Parser
from .values import names, some, words

_FIVE = ("cat", "dog", "person", "vélo", "x")


def _class_list(rng: Random) -> Case:
    of = words(rng)
    if of == ["7"]:
        of = ["cat"]
    with_background = ["background", *of]
    form = rng.randrange(6)
    expected = tuple(with_background)
    if form == 0:
        text, ending, expected = "\n".join(of), ".txt", tuple(of)
    elif form == 1:
        mark = rng.choice((" ", ": ", ",", "\t"))
        text, ending = "\n".join(f"{index}{mark}{name}" for index, name in enumerate(with_background)), ".txt"
    elif form == 2:
        text, ending = "label,name\n" + "".join(f"{i},{name}\n" for i, name in enumerate(with_background)), ".csv"
    elif form == 3:
        text, ending, expected = json.dumps({"names": of}), ".json", tuple(of)
    elif form == 4:
        text, ending = yaml.safe_dump({"names": dict(enumerate(with_background))}, allow_unicode=True), ".yaml"
    else:
        content = [{"id": index, "name": name} for index, name in enumerate(with_background)]
        text, ending = json.dumps({"categories": content}), ".json"
    if rng.random() < 0.3:
        text = text.replace("\n", "\r\n")
    return Case(f"classes{ending}", text.encode(rng.choice(("utf-8", "utf-8-sig", "utf-16"))), expected)


def _read_classes(path: Path) -> tuple[str, ...]:
    return read_class_file(path)[0]


def _colours(rng: Random) -> Case:
    of = [name for name in words(rng) if name != "7"] or ["cat"]
    colours = rng.sample(range(1, 1 << 24), len(of))
    rgb = [(value >> 16, value >> 8 & 255, value & 255) for value in colours]
    form = rng.randrange(4)
    if form == 0:
        lines = [f"{name}:{r},{g},{b}::" for name, (r, g, b) in zip(of, rgb, strict=True)]
        text, ending = "# label:color_rgb:parts:actions\n" + "\n".join(lines), ".txt"
    elif form == 1:
        lines = [f"{name},{r},{g},{b}" for name, (r, g, b) in zip(of, rgb, strict=True)]
        text, ending = "name,r,g,b\n" + "\n".join(lines), ".csv"
    elif form == 2:
        text, ending = "\n".join(f"{name} #{value:06x}" for name, value in zip(of, colours, strict=True)), ".txt"
    else:
        content = [{"name": name, "color": list(each)} for name, each in zip(of, rgb, strict=True)]
        text, ending = json.dumps(content, ensure_ascii=rng.random() < 0.5), ".json"
    return Case(f"labelmap{ending}", text.encode(), {packed(*each): name for name, each in zip(of, rgb, strict=True)})


def _read_colours(path: Path) -> dict[int, str]:
    return read_colour_list(path).names


def _map(rng: Random) -> Case:
    of = words(rng)
    extra = iter(rng.sample(("kitten", "puppy", "rider", "bike", "tree", "sky"), 6))
    classes = {name: [next(extra) for _ in range(rng.randint(0, 1))] for name in of}
    content: dict[str, Any] = {"classes": classes}
    if rng.random() < 0.5:
        content["drop"] = [next(extra)]
    if rng.random() < 0.3:
        content["others"] = rng.choice(("keep", "drop", "error"))
    expected = {name: (name, *more) for name, more in classes.items()}
    if rng.random() < 0.5:
        text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False, default_flow_style=rng.random() < 0.3)
    else:
        text = json.dumps(content, ensure_ascii=False)
    return Case("class_map.yaml", text.encode(), expected)


def _read_map(path: Path) -> dict[str, tuple[str, ...]]:
    read = read_class_map(path)
    again = class_map(read.as_settings(), "settings")  # as a run keeps it
    assert (again.sources, again.drop, again.ignore) == (read.sources, read.drop, read.ignore)
    return dict(read.sources)


def _onehot(rng: Random) -> Case:
    model = {name: some(rng, list(_FIVE)) for name in names(rng)}
    kind = rng.choice((np.float32, np.uint8, np.int64, np.float64))
    table = {image: np.array([name in tags for name in _FIVE], kind) for image, tags in model.items()}
    file = io.BytesIO()
    np.save(file, np.array(table), allow_pickle=True)
    expected = {image: tuple(name for name in _FIVE if name in tags) for image, tags in model.items()}
    return Case("cls_labels_onehot.npy", file.getvalue(), expected)


def _read_onehot(path: Path) -> dict[str, tuple[str, ...]]:
    return read_onehot(path, _FIVE)


_PICKLE = (
    b"cos\nsystem\n(S'exit 1'\ntR.",
    b"R",
    b"c",
    b"\x8c\x02os",
    b"\x93",
    b"b",
    b"o",
    b"i",
    b"\x81",
    b"(",
    b"t",
    b"r\xff\xff\xff\xff",
    b"B\xff\xff\xff\x7f",
    b"\x80\x05",
)
_YAML = (
    b"names:",
    b"- ",
    b"\n  ",
    b"&a ",
    b"*a",
    b"!!int ",
    b"!!python/name:os.system ",
    b"<<: *a",
    b"? ",
    b"|\n",
    b"{",
    b"]",
    b"---\n",
)

PARSERS = (
    Parser("class_list", _class_list, _read_classes, (*_YAML, b"0 background\n", b"255 ignore", b"label,name\n")),
    Parser("colour_list", _colours, _read_colours, (b"#ff0000", b":", b"255,255,255", b"background", b"name,r,g,b\n")),
    Parser(
        "class_map",
        _map,
        _read_map,
        (*_YAML, b"classes:", b"drop: ", b"ignore: ", b"others: keep", b"from:", b"colour: red"),
    ),
    Parser("onehot_npy", _onehot, _read_onehot, _PICKLE),
)
