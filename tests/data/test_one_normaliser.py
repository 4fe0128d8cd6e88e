"""One name, written oddly, means the same class in every reader: tag files, XML, JSON of all tools, class lists."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from PIL import Image

from tagseg.data.class_list import class_list
from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.sources import load

from .tools.exports import annotation, choices, cvat_image, cvat_tag, cvat_xml, labelme_json, minimal, task, write

CLASSES = ("ölkanne", "traffic light", "null")
ODD = {
    "Traffic \u00a0LIGHT": "traffic light",
    " traffic light\u200b": "traffic light",
    unicodedata.normalize("NFD", "ÖLKANNE"): "ölkanne",
    "NULL": "null",
    "_Background_": None,
    "BG": None,
}


def folder(root: Path, name: str) -> DataConfig:
    (root / "labels.csv").write_text(f'image,labels\na,"{name}"\nb,traffic light\n', "utf-8")
    return DataConfig(root=str(root))


def json_lines(root: Path, name: str) -> DataConfig:
    lines = [{"image": "a", "labels": [name]}, {"image": "b", "labels": ["traffic light"]}]
    (root / "labels.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    return DataConfig(root=str(root))


def columns(root: Path, name: str) -> DataConfig:
    (root / "labels.csv").write_text(f'image,"{name}",other\na,1,0\nb,0,1\n', "utf-8")
    return DataConfig(root=str(root))


def voc(root: Path, name: str) -> DataConfig:
    (root / "JPEGImages").symlink_to(root / "images")
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("a\nb\n")
    (root / "Annotations").mkdir()
    for image, tag in (("a", name), ("b", "traffic light")):
        text = f"<annotation><object><name>{escape(tag)}</name></object></annotation>"
        (root / "Annotations" / f"{image}.xml").write_text(text, "utf-8")
    return DataConfig(source="voc", root=str(root))


def coco(root: Path, name: str) -> DataConfig:
    content = {
        "images": [{"id": i, "file_name": f"{image}.png", "height": 3, "width": 4} for i, image in enumerate("ab")],
        # every class of the list, with one name written oddly
        "categories": [
            {"id": i, "name": name if i == 0 else each}
            for i, each in enumerate((name, *(each for each in CLASSES if each != ODD[name])))
        ],
        "annotations": [
            {
                "id": i,
                "image_id": i,
                "category_id": i,
                "bbox": [0, 0, 2, 2],
                "segmentation": [[0, 0, 2, 0, 2, 2]],
                "iscrowd": 0,
            }
            for i in range(2)
        ],
    }
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_train.json").write_text(json.dumps(content))
    return DataConfig(source="coco", root=str(root))


def label_studio(root: Path, name: str) -> DataConfig:
    pairs = (("a", name), ("b", "traffic light"))
    tasks = [task(i, f"{image}.png", annotation(choices(tag))) for i, (image, tag) in enumerate(pairs)]
    write(root / "export.json", tasks)
    return DataConfig(source="label_studio", root=str(root))


def label_studio_min(root: Path, name: str) -> DataConfig:
    write(root / "export.json", [minimal(1, "a.png", species=name), minimal(2, "b.png", species="traffic light")])
    return DataConfig(source="label_studio", root=str(root))


def cvat(root: Path, name: str) -> DataConfig:
    images = [cvat_image(0, "a.png", cvat_tag(escape(name))), cvat_image(1, "b.png", cvat_tag("traffic light"))]
    (root / "annotations.xml").write_text(cvat_xml("".join(images)), "utf-8")
    return DataConfig(source="cvat", root=str(root))


def hugging_face(root: Path, name: str) -> DataConfig:
    rows = [{"file_name": "images/a.png", "label": name}, {"file_name": "images/b.png", "label": "traffic light"}]
    (root / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return DataConfig(source="hugging_face", root=str(root))


def labelme(root: Path, name: str) -> DataConfig:
    write(root / "images" / "a.json", labelme_json("a.png", {name: True}))
    write(root / "images" / "b.json", labelme_json("b.png", {"traffic light": True}))
    return DataConfig(source="labelme", root=str(root))


def fiftyone(root: Path, name: str) -> DataConfig:
    write(root / "labels.json", {"classes": [name, "traffic light"], "labels": {"a": 0, "b": [1]}})
    return DataConfig(source="fiftyone", root=str(root))


READERS: list[Callable[[Path, str], DataConfig]] = [
    *(folder, json_lines, columns, voc, coco),
    *(label_studio, label_studio_min, cvat, hugging_face, labelme, fiftyone),
]


def read(root: Path, reader: Callable[[Path, str], DataConfig], name: str) -> TaggedImages:
    (root / "images").mkdir()
    for image in "ab":
        Image.new("RGB", (4, 3)).save(root / "images" / f"{image}.png")
    (root / "classes.txt").write_text("\n".join(CLASSES), "utf-8")
    return load(reader(root, name), "train", masks=False)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ODD)
def test_every_reader_takes_an_odd_name_for_the_same_class(tmp_path, reader, name):
    images = read(tmp_path, reader, name)
    meant = ODD[name]
    assert images.classes == CLASSES
    assert [CLASSES[tag] for tag in images.samples[0].tags] == ([] if meant is None else [meant])
    assert images.notes  # and it is said


@pytest.mark.parametrize(("name", "meant"), ODD.items())
def test_a_class_list_takes_it_for_the_same_class_too(tmp_path, name, meant):
    """A second spelling of a class is refused there, as it would shift ids; the background is dropped."""
    if meant is None:
        assert class_list((name, *CLASSES), tmp_path).names == CLASSES
    else:
        with pytest.raises(ValueError, match="has classes twice"):
            class_list((*CLASSES, name), tmp_path)
