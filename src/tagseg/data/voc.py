"""The ``voc`` source: PASCAL VOC's layout, with or without the additional SBD masks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from tagseg.data.config import DataConfig
from tagseg.data.dataset import IGNORE, Sample, TaggedImages
from tagseg.data.layout import choose_file, choose_folder, data_root, list_files, locate, without_extension
from tagseg.data.masks import PngMask
from tagseg.data.onehot import read_onehot
from tagseg.data.tags import ClassIndex, class_list, read_tags
from tagseg.errors import TagsegError, list_some

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""The 20 classes of PASCAL VOC; label k+1 in a mask is ``CLASSES[k]``."""

_MASK_FOLDERS = ("SegmentationClassAug", "SegmentationClass")
_ONEHOT = "cls_labels_onehot.npy"


def voc(config: DataConfig, split: str, *, masks: bool) -> TaggedImages:
    """Load a folder in PASCAL VOC's layout: ``JPEGImages``, ``ImageSets/Segmentation/<split>.txt`` and the rest.

    - *Split* ``train_aug``, if it has no list: all ids with a mask in ``SegmentationClassAug`` that are not in
      ``val.txt`` (10,582 with the usual SBD masks). Lists of ``/image.jpg /mask.png`` pairs are read as well.
    - *Tags* by ``--data.tags``: ``xml`` (all objects in ``Annotations``, difficult ones too), a ``.npy`` dict of
      one-hot arrays, a CSV or JSON-lines file, or ``masks`` (reads all masks). ``auto``: ``labels.csv``, else
      ``cls_labels_onehot.npy``, else ``Annotations``. Never masks: use of pixel labels must be asked for.
    - *Masks* from ``SegmentationClassAug``, else ``SegmentationClass``, or the folder of the settings.
    - *Classes*: from the settings, else ``classes.txt`` in the root, else VOC's 20.

    Args:
        config: the data settings; ``root``, ``tags``, ``images``, ``masks``, ``classes``, ``skip_missing`` apply.
        split: name of the split.
        masks: whether samples can read their masks.

    Raises:
        TagsegError: a folder, list, image or tag is absent or malformed.
    """
    root = data_root(config.root)
    classes = class_list(config.classes, root) or CLASSES
    ids = _read_split(root, split)
    images = choose_folder(root, config.images, ("JPEGImages",), "--data.images")
    if images is None:
        raise TagsegError(f"{root} has no folder JPEGImages, expected VOC's layout: check --data.root or --data.images")
    files = locate(ids, images, f"split {split}", config.skip_missing)
    paths = {identity: images / file for identity, file in files.items()}
    mask_of = _find_masks(root, config, paths, len(classes))

    names, tags_from = _read_tags(root, config.tags, paths, mask_of, classes)
    index = ClassIndex(classes)
    samples = tuple(
        Sample(identity, image, index(names[identity], f"{identity} ({tags_from})"), mask_of.get(identity))
        for identity, image in paths.items()
    )
    if not masks:
        samples = tuple(Sample(s.name, s.image, s.tags) for s in samples)
    return TaggedImages(f"voc ({root}), split {split}", classes, samples, tags_from)


def _read_split(root: Path, split: str) -> list[str]:
    lists = root / "ImageSets" / "Segmentation"
    path = lists / f"{split}.txt"
    if path.is_file():
        ids = _read_ids(path)
    elif split == "train_aug" and (root / "SegmentationClassAug").is_dir():
        val = set(_read_ids(lists / "val.txt")) if (lists / "val.txt").is_file() else None
        if val is None:
            raise TagsegError(f"{lists / 'val.txt'} is absent, needed to keep val out of train_aug: add it")
        stems = (without_extension(name) for name in list_files(root / "SegmentationClassAug", (".png",)))
        ids = [stem for stem in stems if stem not in val]
    else:
        present = list_some(sorted(p.stem for p in lists.glob("*.txt")), most=10) or "none"
        raise TagsegError(f"{path} does not exist, splits present: {present}; check --data.root or set the split")
    if not ids:
        raise TagsegError(f"split {split!r} has no image ({path}), expected an id a line: choose another split")
    twice = [identity for identity, count in Counter(ids).items() if count > 1]
    if twice:
        raise TagsegError(f"{path} lists images twice: {list_some(twice)}; expected each once: remove the copies")
    return ids


def _read_ids(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return [without_extension(Path(line.split()[0]).name) for line in lines if line.strip()]


def _find_masks(root: Path, config: DataConfig, images: dict[str, Path], classes_count: int) -> dict[str, PngMask]:
    if config.masks == "none":
        return {}
    if config.masks == "auto":
        folders = [root / name for name in _MASK_FOLDERS if (root / name).is_dir()]
    else:
        folders = [f for f in [choose_folder(root, config.masks, _MASK_FOLDERS, "--data.masks")] if f]
    masks: dict[str, PngMask] = {}
    for folder in reversed(folders):  # the first folder's masks win
        present = set(list_files(folder, (".png",)))
        for identity, image in images.items():
            if f"{identity}.png" in present:
                masks[identity] = PngMask(folder / f"{identity}.png", image, classes_count)
    return masks


def _read_tags(
    root: Path, setting: str, images: dict[str, Path], masks: dict[str, PngMask], classes: tuple[str, ...]
) -> tuple[dict[str, tuple[str, ...]], str]:
    """Image id → class names, and the origin of the tags."""
    setting = _usual_tags(root) if setting == "auto" else setting
    if setting == "xml":
        names = _from_xml(root / "Annotations", images)
        tags_from = "Annotations"
    elif setting == "masks":
        names = {i: _from_mask(masks[i], classes) for i in images if i in masks}
        tags_from = "masks"
    else:
        path = choose_file(root, setting, "--data.tags")
        if path.suffix == ".npy":
            names, tags_from = read_onehot(path, classes), path.name
        else:
            table = read_tags(path)
            names, tags_from = {without_extension(row.image): row.labels for row in table.rows}, table.tags_from
    untagged = [identity for identity in images if identity not in names]
    if untagged:
        raise TagsegError(
            f"{tags_from} has no tags for {len(untagged)} of {len(images)} images: {list_some(untagged)}; "
            "add them, or choose where tags come from with --data.tags (xml, masks, a .npy or CSV file)"
        )
    return names, tags_from


def _usual_tags(root: Path) -> str:
    for name in ("labels.csv", _ONEHOT):
        if (root / name).is_file():
            return name
    if (root / "Annotations").is_dir():
        return "xml"
    raise TagsegError(
        f"{root} has no tags, expected labels.csv, {_ONEHOT} or Annotations; to derive them from the masks, which are "
        "pixel labels, ask for it: --data.tags masks"
    )


def _from_xml(folder: Path, images: dict[str, Path]) -> dict[str, tuple[str, ...]]:
    names: dict[str, tuple[str, ...]] = {}
    for identity in images:
        path = folder / f"{identity}.xml"
        try:
            # direct children alone: parts of a person (head, hand) are nested deeper
            objects = ElementTree.parse(path).getroot().iterfind("object/name")
            names[identity] = tuple((o.text or "").strip() for o in objects)
        except FileNotFoundError:
            continue
        except ElementTree.ParseError as error:
            raise TagsegError(f"{path} is no XML ({error}), expected VOC's annotation: replace it") from error
    return names


def _from_mask(mask: PngMask, classes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(classes[label - 1] for label in np.unique(mask()) if 0 < label < IGNORE)
