"""The archive that PASCAL VOC's evaluation server takes for a split without ground truth; no score is made here."""

from __future__ import annotations

import io
import logging
import tarfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from tagseg.data.images import stored_frame
from tagseg.data.names import fold
from tagseg.data.palette import palette
from tagseg.data.voc import CLASSES
from tagseg.errors import TagsegError, list_some
from tagseg.formats.format import LabelledPhoto, Plan
from tagseg.formats.growing import Growing

logger = logging.getLogger("tagseg")

FOLDER = "results/VOC2012/Segmentation/comp6_test_cls"
"""comp6: trained on any data but the test images, as an encoder with pretrained weights is."""


class VocServer:
    """``voc_server.tgz`` with ``results/VOC2012/Segmentation/comp6_test_cls/ID.png`` for every id of the split."""

    OUTPUTS: ClassVar[tuple[str, ...]] = ("voc_server.tgz",)
    PROBS: ClassVar[bool] = False

    def __init__(self, plan: Plan) -> None:
        self._label = _voc_labels(plan.classes)
        self._ids = _ids_of(plan.settings.voc_split)
        _check_photos(self._ids, plan.photos, plan.settings.voc_split)
        self._path = plan.output / self.OUTPUTS[0]
        self._path.unlink(missing_ok=True)  # an archive of earlier predictions must not be taken for this one
        self._growing = Growing(self._path, partial(tarfile.open, mode="w:gz"))
        self._sizes: dict[str, tuple[int, int]] = {}

    def add(self, photo: LabelledPhoto, name: str) -> None:
        """Append a photo's mask, with VOC's labels.

        Raises:
            TagsegError: the mask is of another size than the photo, or has ignored pixels.
        """
        size = (photo.mask.shape[0], photo.mask.shape[1])
        if photo.path is not None and stored_frame(photo.path).size != size:
            raise TagsegError(
                f"{photo.path} has another size than its mask, {size[1]}×{size[0]}: predict the original file"
            )
        if (self._label[photo.mask] > len(CLASSES)).any():
            raise TagsegError(f"the mask of {name} has ignored pixels, expected VOC's labels 0 to {len(CLASSES)}")
        picture = Image.fromarray(self._label[photo.mask])
        picture.putpalette(palette().tobytes())
        content = io.BytesIO()
        picture.save(content, format="PNG")
        entry = tarfile.TarInfo(f"{FOLDER}/{name}.png")
        entry.size = content.tell()
        content.seek(0)
        with self._growing.use() as archive:
            archive.addfile(entry, content)
            self._sizes[name] = size

    def close(self) -> None:
        """The archive takes its name if it is whole and passes ``check_archive``; otherwise there is none."""
        missing = [name for name in self._ids if name not in self._sizes]
        if missing:
            self._growing.drop()
            logger.warning("%s is not written: %s of the split have no mask", self._path, list_some(missing))
        else:
            self._growing.keep(partial(check_archive, sizes=self._sizes))


def check_archive(path: Path, sizes: dict[str, tuple[int, int]]) -> None:
    """Check what the server would refuse or score wrongly.

    Args:
        path: the archive.
        sizes: (H, W) of the photo of each id of the split.

    Raises:
        TagsegError: an id is missing or extra, or a mask has no palette, another size or another label than 0 to 20.
    """
    left = dict(sizes)
    with tarfile.open(path, "r:gz") as archive:
        for entry in archive:
            folder, _, name = entry.name.rpartition("/")
            size = left.pop(name.removesuffix(".png"), None) if folder == FOLDER and name.endswith(".png") else None
            content = archive.extractfile(entry)
            if size is None or content is None:
                raise TagsegError(f"{path} has {entry.name}, expected {FOLDER}/ID.png, once for each id of the split")
            with Image.open(content) as picture:
                labels = np.asarray(picture)
                if picture.mode != "P" or labels.shape != size or labels.max() > len(CLASSES):
                    raise TagsegError(
                        f"{entry.name} of {path} is {picture.mode} {picture.size} with labels to {labels.max()}, "
                        f"expected a palette PNG of {size[1]}×{size[0]} with labels 0 to {len(CLASSES)}"
                    )
    if left:
        raise TagsegError(f"{path} has no mask of {list_some(sorted(left))}, expected one for each id of the split")


def _voc_labels(classes: dict[int, str]) -> UInt8[ndarray, " 256"]:
    """VOC's label of each label of the network, by name; 255 where there is none.

    Raises:
        TagsegError: the network's classes are not VOC's twenty.
    """
    found = {label: _plain(name) for label, name in classes.items()}
    other = sorted(set(found.values()) ^ set(CLASSES))
    if other or len(found) != len(CLASSES):
        wrong = list_some(other) or "a class twice"
        raise TagsegError(
            f"voc-server: the network's classes differ from PASCAL VOC's 20 in {wrong}, expected {', '.join(CLASSES)}: "
            "train on VOC, or leave out --format voc-server"
        )
    labels = np.full(256, 255, np.uint8)
    labels[0] = 0
    for label, name in found.items():
        labels[label] = CLASSES.index(name) + 1
    return labels


def _plain(name: str) -> str:
    """Letters alone: ``TV/monitor`` is VOC's ``tvmonitor``."""
    return "".join(filter(str.isalnum, fold(name)))


def _ids_of(split: str) -> tuple[str, ...]:
    """The ids in a file.

    Raises:
        TagsegError: no file is set, it cannot be read, has none, or has one twice.
    """
    way_out = "set --format_settings.voc_split to e.g. VOC2012/ImageSets/Segmentation/test.txt"
    if not split:
        raise TagsegError(f"voc-server: the ids of the split are not known, expected a file of them: {way_out}")
    try:
        ids = tuple(Path(split).expanduser().read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise TagsegError(
            f"voc-server: {split} cannot be read ({error}), expected an id in each line: {way_out}"
        ) from error
    twice = [name for name, count in Counter(ids).items() if count > 1]
    if twice or not ids:
        raise TagsegError(f"voc-server: {split} has {list_some(twice) + ' twice' if twice else 'no id'}: {way_out}")
    return ids


def _check_photos(ids: tuple[str, ...], photos: tuple[str, ...], split: str) -> None:
    """Before anything is labelled: the photos are those of the split.

    Raises:
        TagsegError: one is missing or extra.
    """
    missing, extra = sorted(set(ids) - set(photos)), sorted(set(photos) - set(ids))
    if missing or extra:
        parts = [f"{list_some(names)} {what}" for names, what in ((missing, "missing"), (extra, "not in it")) if names]
        raise TagsegError(
            f"voc-server: of the {len(ids)} ids of {split}, {', and '.join(parts)}, expected a photo ID.jpg for each "
            "and no other: predict a folder of exactly these photos"
        )
