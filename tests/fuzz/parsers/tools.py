"""Exports of annotation tools: VOC's and CVAT's XML, LabelMe, Label Studio, FiftyOne, Hugging Face."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from tagseg.data.tools.cvat import is_cvat, read_cvat
from tagseg.data.tools.export import Export, entries_of
from tagseg.data.tools.fiftyone import is_fiftyone, read_fiftyone
from tagseg.data.tools.hugging_face_folder import read_hugging_face
from tagseg.data.tools.hugging_face_names import names_of_folder
from tagseg.data.tools.label_studio import is_label_studio, read_label_studio
from tagseg.data.tools.labelme import is_labelme, read_labelme
from tagseg.data.voc import _read_ids
from tagseg.data.voc_xml import read_annotation

from ..parser import Case, Parser
from .values import names, some, words

Tags = dict[str, frozenset[str]]
_ENTITIES = "".join(
    f'<!ENTITY {name} "{10 * (f"&{of};" if of else "a")}">' for of, name in zip(" abcde", "abcdef", strict=True)
)
_BOMB = f"<!DOCTYPE a [{_ENTITIES}]>".replace("& ;", "a").encode()
_XML = (
    _BOMB,
    b"&f;",
    b"&a;",
    b"&lt;",
    b"&#0;",
    b"&#x10FFFF;",
    b"&#xD800;",
    b"<![CDATA[",
    b"]]>",
    b"<!--",
    b"-->",
    b"<?xml version='1.0' encoding='utf-16'?>",
    b"<?xml version='1.0' encoding='hex'?>",
    b"<?xml version='1.0' encoding='idna'?>",
    b"xmlns='x'",
    b"<name>",
    b"</name>",
    b"<object>",
    b"</object>",
    b"<image name='a.jpg'>",
    b"<tag label='a'/>",
    b"<track/>",
)
_JSON = (
    b"null",
    b"[]",
    b"{}",
    b"[{}]",
    b"true",
    b"1",
    b'"a.jpg"',
    b'"label"',
    b'"labels"',
    b'"result"',
    b'"value"',
    b'"annotations"',
    b'"choices"',
    b'"http://[x/a.jpg"',
    b'"data:image/png;base64,"',
    b'"shapes"',
    b'"flags"',
    b'"imagePath"',
)


def _text(rng: Random, text: str) -> bytes:
    encoding = rng.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16"))
    return text.encode(encoding)


def _tags_of(export: Export) -> Tags:
    return {row.image: frozenset(row.tags) for row in entries_of(export).rows}


def _voc(rng: Random) -> Case:
    of = list(some(rng, list(words(rng))))
    objects = "".join(f"<object><name>{escape(n)}</name><part><name>head</name></part></object>" for n in of)
    text = f"<annotation><filename>x.jpg</filename>{objects}</annotation>"
    declared = rng.choice(("utf-8", "utf-16", "gbk", "none", "none"))
    if declared == "none":
        return Case("x.xml", text.encode(rng.choice(("utf-8", "utf-8-sig", "utf-16"))), tuple(of))
    text = f'<?xml version="1.0" encoding="{declared}"?>\n{text}'
    try:
        return Case("x.xml", text.encode(declared), tuple(of))
    except UnicodeEncodeError:
        return Case("x.xml", text.replace("gbk", "utf-8").encode(), tuple(of))


def _read_voc(path: Path) -> tuple[str, ...]:
    return read_annotation(path).names


def _ids(rng: Random) -> Case:
    ids = [f"2007_{rng.randrange(10**6):06d}" for _ in range(rng.randint(1, 6))]
    form = rng.randrange(3)
    lines = [
        each if form == 0 else f"/JPEGImages/{each}.jpg /Masks/{each}.png" if form == 1 else f"{each} 1" for each in ids
    ]
    return Case("train.txt", rng.choice(("\n", "\r\n")).join(lines).encode(), ids)


def _cvat(rng: Random) -> Case:
    of = words(rng)
    model = {name: some(rng, of) for name in names(rng)}
    model[next(iter(model))] = tuple(of)
    shape = rng.random() < 0.3
    body = ""
    for number, (image, tags) in enumerate(model.items()):
        kind = '<box label={} xtl="1" ytl="1" xbr="2" ybr="2"></box>' if shape else "<tag label={}></tag>"
        labels = "".join(kind.format(quoteattr(tag)) for tag in tags)
        body += f'<image id="{number}" name={quoteattr(image)} width="4" height="4">{labels}</image>\n'
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{body}</annotations>'
    expected = {image: frozenset(tags) for image, tags in model.items() if tags}
    return Case("annotations.xml", text.encode(rng.choice(("utf-8", "utf-8-sig"))), expected)


def _read_cvat(path: Path) -> Tags:
    is_cvat(path)
    return _tags_of(read_cvat(path))


def _labelme(rng: Random) -> Case:
    of = some(rng, list(words(rng)))
    flags = rng.random() < 0.5
    content: dict[str, Any] = {"version": "5.0", "flags": {}, "shapes": [], "imagePath": "photo é.jpg"}
    if flags:
        content["flags"] = dict.fromkeys(of, True) | {"never": False}
    else:
        content["shapes"] = [{"label": name, "points": [[0, 0], [1, 1]], "shape_type": "rectangle"} for name in of]
    text = json.dumps(content, ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, 2)))
    return Case("a.json", text.encode(), {"photo é.jpg": frozenset(of)})


def _read_labelme(path: Path) -> Tags:
    is_labelme(path)
    return _tags_of(read_labelme(path.parent, path.parent))


def _label_studio(rng: Random) -> Case:
    of = words(rng)
    model = {
        f"{number}{name if name.endswith(('g', 'G', 'f')) else name + '.jpg'}": some(rng, of) or (of[0],)
        for number, name in enumerate(names(rng, folders=False))
    }
    tasks: list[dict[str, Any]] = []
    minimal = rng.random() < 0.5
    for number, (image, tags) in enumerate(model.items(), 1):
        if minimal:
            choice = tags[0] if len(tags) == 1 else {"choices": list(tags)}
            tasks.append(
                {
                    "image": image,
                    "id": number,
                    "choice": choice,
                    "annotator": 1,
                    "annotation_id": number,
                    "created_at": "x",
                    "updated_at": "x",
                    "lead_time": 1.0,
                }
            )
        else:
            value = {"value": {"choices": list(tags)}, "from_name": "choice", "to_name": "image", "type": "choices"}
            annotations = [{"id": 1, "result": [value], "was_cancelled": False}]
            tasks.append({"id": number, "data": {"image": image}, "annotations": annotations, "predictions": []})
    expected = {image: frozenset(tags) for image, tags in model.items()}
    return Case("export.json", _text(rng, json.dumps(tasks, ensure_ascii=rng.random() < 0.5)), expected)


def _read_label_studio(path: Path) -> Tags:
    is_label_studio(path)
    return _tags_of(read_label_studio(path))


def _fiftyone(rng: Random) -> Case:
    of = words(rng)
    model = {Path(name).stem: some(rng, of) for name in names(rng, folders=False)}
    model[next(iter(model))] = tuple(of)
    form = rng.randrange(3)
    labels: dict[str, Any] = {}
    for image, tags in model.items():
        if form == 0:
            labels[image] = [of.index(tag) for tag in tags]
        elif form == 1:
            labels[image] = list(tags)
        else:
            labels[image] = [{"label": tag} for tag in tags]
    content = {"classes": of, "labels": labels}
    return Case("labels.json", _text(rng, json.dumps(content)), {i: frozenset(tags) for i, tags in model.items()})


def _read_fiftyone(path: Path) -> Tags:
    is_fiftyone(path)
    return _tags_of(read_fiftyone(path.parent, (path,)))


def _metadata(rng: Random) -> Case:
    of = words(rng)
    model = {name: rng.choice(of) for name in names(rng)}
    expected = {name: frozenset([tag]) for name, tag in model.items()}
    if rng.random() < 0.5:
        text = "".join(json.dumps({"file_name": name, "label": tag}) + "\n" for name, tag in model.items())
        return Case("metadata.jsonl", text.encode(), expected)
    text = "file_name,label\n" + "".join(f'"{name}","{tag}"\n' for name, tag in model.items())
    return Case("metadata.csv", text.encode(), expected)


def _read_metadata(path: Path) -> Tags:
    _, entries = read_hugging_face(path.parent, (path,), (), "auto")
    return {row.image: frozenset((*row.cells, *row.tags)) for row in entries.rows}


def _card(rng: Random) -> Case:
    of = words(rng)
    expected = {"label": tuple(of)}
    if rng.random() < 0.5:
        features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": of}}
        infos = {"features": features} if rng.random() < 0.5 else {"default": {"features": features}}
        return Case("dataset_infos.json", json.dumps(infos).encode(), expected)
    lines = "".join(f"          '{index}': '{name}'\n" for index, name in enumerate(of))
    head = "dataset_info:\n  features:\n  - name: label\n    dtype:\n      class_label:\n        names:\n"
    text = f"---\n{head}{lines}---\n# x\n"
    return Case("README.md", text.encode(), expected)


def _read_card(path: Path) -> dict[str, tuple[str, ...]]:
    return names_of_folder(path.parent)[0]


PARSERS = (
    Parser("voc_xml", _voc, _read_voc, _XML),
    Parser("voc_ids", _ids, _read_ids, (b"\n", b" ", b".jpg", b"-1")),
    Parser("cvat_xml", _cvat, _read_cvat, _XML),
    Parser("labelme", _labelme, _read_labelme, _JSON),
    Parser("label_studio", _label_studio, _read_label_studio, _JSON),
    Parser("fiftyone", _fiftyone, _read_fiftyone, _JSON),
    Parser(
        "hf_metadata", _metadata, _read_metadata, (b"file_name,label\n", b'"file_name"', b"\n", b",", b"-1", b"split")
    ),
    Parser(
        "hf_card",
        _card,
        _read_card,
        (b"---\n", b"names:", b"class_label:", b"- ", b"&a ", b"*a", b"features", b"_type"),
    ),
)
