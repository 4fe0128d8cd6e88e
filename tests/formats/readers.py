"""The readers of the tools themselves: output folder → label map of each photo.

Each needs a package that only tests may use; ``make test-formats`` installs them all.
"""

import json
import tempfile
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tagseg.formats.voc_server import FOLDER

Maps = dict[str, np.ndarray]


class Reader(NamedTuple):
    """One way to read a format back.

    Attributes:
        package: to be imported.
        distribution: what it is called when it is installed.
        read: the output folder and the folder of the photos → label maps by name, of photos with a region at least.
        least: share of equal pixels of a real photo; below 1 where a reader draws polygons a pixel too wide.
    """

    package: str
    distribution: str
    read: Callable[[Path, Path], Maps]
    least: float = 1.0


def stem(file: str) -> str:
    return str(Path(file).with_suffix(""))


def coco_maps(coco: Any) -> Maps:
    """With the interface of pycocotools."""
    maps = {}
    for image in coco.loadImgs(coco.getImgIds()):
        labels = np.zeros((image["height"], image["width"]), np.uint8)
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
            part = coco.annToMask(annotation).astype(bool)
            assert part.sum() == annotation["area"]
            assert not labels[part].any(), "parts overlap"
            labels[part] = annotation["category_id"]
        maps[stem(image["file_name"])] = labels
    return maps


def pycocotools(file: str) -> Callable[[Path, Path], Maps]:
    return lambda output, photos: coco_maps(import_module("pycocotools.coco").COCO(output / file))


def faster_coco_eval(file: str) -> Callable[[Path, Path], Maps]:
    return lambda output, photos: coco_maps(import_module("faster_coco_eval").COCO(str(output / file)))


def detections_maps(dataset: Any, photos: Path, shift: int) -> Maps:
    """Of supervision's dataset; class ids plus ``shift`` are labels."""
    maps = {}
    for path, image, detections in dataset:
        labels = np.zeros(image.shape[:2], np.uint8)
        if len(detections):
            for part, label in zip(detections.mask, detections.class_id, strict=True):
                labels[part.astype(bool)] = label + shift
        maps[stem(str(Path(path).relative_to(photos)))] = labels
    return maps


def supervision_coco(file: str) -> Callable[[Path, Path], Maps]:
    def read(output: Path, photos: Path) -> Maps:
        datasets = import_module("supervision").DetectionDataset
        dataset = datasets.from_coco(str(photos), str(output / file), force_masks=True)
        return detections_maps(dataset, photos, 1)

    return read


def supervision_yolo(output: Path, photos: Path) -> Maps:
    """Its reader looks for the labels of photos in one folder, without its sub-folders."""
    datasets, folder = import_module("supervision").DetectionDataset, output / "yolo"
    maps = {}
    for place in sorted({path.parent for path in (folder / "images").rglob("*.*")}):
        labels = folder / "labels" / place.relative_to(folder / "images")
        dataset = datasets.from_yolo(str(place), str(labels), str(folder / "data.yaml"), force_masks=True)
        maps.update(detections_maps(dataset, folder / "images", 1))
    return maps


def ultralytics(output: Path, photos: Path) -> Maps:
    """As its segmentation dataset reads: labels checked and cached, then one mask for each polygon at native size."""
    data = import_module("ultralytics.data.utils")
    folder = output / "yolo"
    names = import_module("yaml").safe_load((folder / "data.yaml").read_text())["names"]
    images = sorted(str(path) for path in (folder / "images").rglob("*.*"))
    maps = {}
    for image, text in zip(images, data.img2label_paths(images), strict=True):
        _, boxes, size, segments, _, missing, _, _, corrupt, message = data.verify_image_label(
            (image, text, "", False, len(names), 0, 0, False)
        )
        assert (missing, corrupt) == (0, 0), message
        labels = np.zeros(size, np.uint8)
        polygons = [segment * np.array([size[1], size[0]], np.float32) for segment in segments]
        for (label, *_), polygon in zip(boxes, polygons, strict=True):
            labels[data.polygons2masks(size, [polygon], 1)[0].astype(bool)] = int(label) + 1
        maps[stem(str(Path(image).relative_to(folder / "images")))] = labels
    return maps


def label_studio(output: Path, photos: Path) -> Maps:
    """The converter that Label Studio exports with, on its predictions taken as annotations."""
    converter = import_module("label_studio_sdk.converter")
    interface = import_module("label_studio_sdk.label_interface").LabelInterface(
        (output / "labelstudio.xml").read_text()
    )
    tasks = json.loads((output / "labelstudio.json").read_text())
    labels = list(interface.get_control("tag").labels)
    maps: Maps = {}
    for number, task in enumerate(tasks):
        (prediction,) = task["predictions"]
        assert interface.validate_task({"data": task["data"]})
        assert interface.validate_prediction(prediction, return_errors=True) == []
        with tempfile.TemporaryDirectory() as folder:
            annotated = {"id": number, "data": task["data"], "annotations": [{"id": 1, **prediction}]}
            (Path(folder) / "tasks.json").write_text(json.dumps([annotated]))
            Path(folder, "out").mkdir()
            exported = converter.Converter(str(output / "labelstudio.xml"), folder, download_resources=False)
            exported.convert(str(Path(folder) / "tasks.json"), f"{folder}/out", "BRUSH_TO_NUMPY", is_dir=False)
            files = sorted(Path(folder, "out").glob("*.npy"))
            assert len(files) == len(prediction["result"])
            address = import_module("urllib.parse").unquote(task["data"]["image"])
            for result in prediction["result"]:
                (name,) = result["value"]["brushlabels"]
                path = next(path for path in files if f"-tag-{name}-" in path.name.replace("/", "-"))
                mask = maps.setdefault(
                    stem(address.removeprefix("/data/local-files/?d=")), np.zeros(np.load(path).shape, np.uint8)
                )
                mask[np.load(path) == 255] = labels.index(name) + 1
    return maps


def datumaro(output: Path, photos: Path) -> Maps:
    """What CVAT imports archives with."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(output / "cvat.zip") as archive:
        archive.extractall(folder)
        dataset = import_module("datumaro").Dataset.import_from(folder, "voc_segmentation")
        kind = import_module("datumaro.components.annotation").AnnotationType
        names = [label.name for label in dataset.categories()[kind.label].items]
        assert names[0] == "background"
        maps: Maps = {}
        for item in dataset:
            masks = [(each.image.astype(bool), each.label) for each in item.annotations if each.type == kind.mask]
            assert 0 not in [label for _, label in masks], "a region of the background"
            if masks:
                labels = np.zeros(masks[0][0].shape, np.uint8)
                for inside, label in masks:
                    labels[inside] = label
                maps[item.id] = labels
    return maps


def pillow(output: Path, photos: Path) -> Maps:
    image = import_module("PIL.Image")
    return {
        stem(str(path.relative_to(output / "masks"))): np.array(image.open(path))
        for path in output.rglob("masks/**/*.png")
    }


def torchvision_voc(output: Path, photos: Path) -> Maps:
    """The server's archive unpacked, read as torchvision reads VOC's masks."""
    tarfile, image = import_module("tarfile"), import_module("PIL.Image")
    with tempfile.TemporaryDirectory() as folder, tarfile.open(output / "voc_server.tgz") as archive:
        archive.extractall(folder, filter="data")
        to_tensor = import_module("torchvision.transforms.functional").pil_to_tensor
        return {path.stem: to_tensor(image.open(path))[0].numpy() for path in (Path(folder) / FOLDER).glob("*.png")}


READERS: dict[str, tuple[Reader, ...]] = {
    "png": (Reader("PIL", "pillow", pillow),),
    "coco": (
        Reader("pycocotools", "pycocotools", pycocotools("coco.json")),
        Reader("faster_coco_eval", "faster-coco-eval", faster_coco_eval("coco.json")),
        Reader("supervision", "supervision", supervision_coco("coco.json")),
    ),
    "coco-polygons": (
        Reader("pycocotools", "pycocotools", pycocotools("coco_polygons.json")),
        Reader("faster_coco_eval", "faster-coco-eval", faster_coco_eval("coco_polygons.json")),
        Reader("supervision", "supervision", supervision_coco("coco_polygons.json"), least=0.95),
    ),
    "yolo": (
        Reader("ultralytics", "ultralytics", ultralytics),
        Reader("supervision", "supervision", supervision_yolo),
    ),
    "labelstudio": (Reader("label_studio_sdk", "label-studio-sdk", label_studio),),
    "cvat": (Reader("datumaro", "datumaro", datumaro),),
    "voc-server": (Reader("torchvision", "torchvision", torchvision_voc),),
}
"""By format; ``npz`` has the reader ``tagseg.formats.npz.read_scores``."""
