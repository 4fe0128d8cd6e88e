"""An image name written oddly means the same file in every reader; what is wrong is named by each in the same way."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.sources import load
from tagseg.errors import TagsegError

from .tools.exports import annotation, choices, cvat_image, cvat_tag, cvat_xml, labelme_json, task, write

Writer = Callable[[Path, str], DataConfig]


def folder(root: Path, image: str) -> DataConfig:
    (root / "labels.csv").write_text(f'image,labels\n"{image}",cat\nbeach 2.png,dog\n')
    return DataConfig(root=str(root), val_split="")


def json_lines(root: Path, image: str) -> DataConfig:
    rows = [{"image": image, "labels": ["cat"]}, {"image": "beach 2.png", "labels": ["dog"]}]
    (root / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return DataConfig(root=str(root), val_split="")


def voc_table(root: Path, image: str) -> DataConfig:
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("beach 1\nbeach 2\n")
    (root / "labels.csv").write_text(f'image,labels\n"{image}",cat\nbeach 2.png,dog\n')
    return DataConfig(source="voc", root=str(root), images="images", masks="masks")


def coco(root: Path, image: str) -> DataConfig:
    content = {
        "images": [
            {"id": i, "file_name": name, "height": 3, "width": 4} for i, name in enumerate((image, "beach 2.png"))
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": i + 1, "iscrowd": 0, "segmentation": [[0, 0, 2, 0, 2, 2]]}
            for i in range(2)
        ],
    }
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_train.json").write_text(json.dumps(content))
    return DataConfig(source="coco", root=str(root))


def label_studio(root: Path, image: str) -> DataConfig:
    tasks = [task(1, image, annotation(choices("cat"))), task(2, "beach 2.png", annotation(choices("dog")))]
    write(root / "export.json", tasks)
    return DataConfig(source="label_studio", root=str(root), val_split="")


def cvat(root: Path, image: str) -> DataConfig:
    images = [cvat_image(0, image, cvat_tag("cat")), cvat_image(1, "beach 2.png", cvat_tag("dog"))]
    (root / "annotations.xml").write_text(cvat_xml("".join(images)), "utf-8")
    return DataConfig(source="cvat", root=str(root), val_split="")


def hugging_face(root: Path, image: str) -> DataConfig:
    rows = [{"file_name": image, "label": "cat"}, {"file_name": "beach 2.png", "label": "dog"}]
    (root / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return DataConfig(source="hugging_face", root=str(root), val_split="", images="images")


def labelme(root: Path, image: str) -> DataConfig:
    write(root / "annotations" / "1.json", labelme_json(image, {"cat": True}))
    write(root / "annotations" / "2.json", labelme_json("beach 2.png", {"dog": True}))
    return DataConfig(source="labelme", root=str(root), val_split="")


def fiftyone(root: Path, image: str) -> DataConfig:
    write(root / "labels.json", {"classes": ["cat", "dog"], "labels": {image: 0, "beach 2.png": 1}})
    return DataConfig(source="fiftyone", root=str(root), val_split="")


READERS: list[Writer] = [
    *(folder, json_lines, voc_table, coco),
    *(label_studio, cvat, hugging_face, labelme, fiftyone),
]
ODD = {
    r"images\beach 1.png": "backslashes",
    "C:/Users/me/photos/images/beach 1.png": "found by its end",
    "8f3a2b1c-beach 1.png": "prefix of an upload",
    "beach%201.png": "percent escapes",
    "BEACH 1.PNG": "another case",
    "beach 1.heic": "another extension",
    "https://example.org/images/beach%201.png": "by a URL",
}


def read(root: Path, reader: Writer, image: str) -> TaggedImages:
    for part in ("images", "masks"):
        (root / part).mkdir()
    for name in ("beach 1.png", "beach 2.png"):
        Image.new("RGB", (4, 3)).save(root / "images" / name)
        Image.fromarray(np.ones((3, 4), np.uint8)).save(root / "masks" / name)
    (root / "classes.txt").write_text("cat\ndog\n")
    return load(reader(root, image), "train", masks=False)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("image", ODD)
def test_every_reader_takes_an_odd_image_name_for_the_same_file(tmp_path, reader, image):
    images = read(tmp_path, reader, image)
    assert [(sample.name, sample.tags) for sample in images.samples] == [("beach 1", (0,)), ("beach 2", (1,))]
    ids_have_no_extension = reader is voc_table and "extension" in ODD[image]
    assert ids_have_no_extension or any(ODD[image] in note.text for note in images.notes), "and it is said"


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_names_the_nearest_of_an_image_that_is_not_there(tmp_path, reader):
    with pytest.raises(TagsegError) as caught:
        read(tmp_path, reader, "baech 1.png")
    assert "\n" not in str(caught.value)
    assert "beach 1" in str(caught.value)


@pytest.mark.parametrize("source", ["folder", "voc"])
def test_every_reader_refuses_the_same_wrong_id(tmp_path, source):
    reader = {"folder": folder, "voc": voc_table}[source]
    read(tmp_path, reader, "beach 1.png")
    Image.fromarray(np.full((3, 4), 7, np.uint8)).save(tmp_path / "masks" / "beach 1.png")
    config = DataConfig(source=source, root=str(tmp_path), images="images", masks="masks", val_split="")
    wrong = r"beach 1\.png holds the ids 7, expected 0 \(background\) to 2 \(last class\)"
    with pytest.raises(TagsegError, match=wrong):
        read_masks(load(config, "train"))


def read_masks(images: TaggedImages) -> None:
    for sample in images.samples:
        assert sample.mask is not None
        sample.mask()
