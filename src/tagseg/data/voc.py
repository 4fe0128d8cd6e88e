"""The ``voc`` source: PASCAL VOC's layout, with or without the additional SBD masks."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from tagseg.data.class_index import ClassIndex
from tagseg.data.class_list import class_list
from tagseg.data.config import DataConfig
from tagseg.data.dataset import IGNORE, Sample, TaggedImages
from tagseg.data.inside import Inside
from tagseg.data.layout import ImageFolder, choose_file, choose_folder, data_root
from tagseg.data.listing import list_files
from tagseg.data.mask_files import FoundMasks, find_masks, masks_in
from tagseg.data.masks_of_images import with_mask_files
from tagseg.data.names import names_of
from tagseg.data.notes import Note
from tagseg.data.onehot import read_onehot
from tagseg.data.resolver import Match, Resolver, without_extension
from tagseg.data.tags import read_tags
from tagseg.data.voc_xml import read_annotations
from tagseg.errors import TagsegError, list_some

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""The 20 classes of PASCAL VOC; label k+1 in a mask is ``CLASSES[k]``."""

MASK_FOLDERS = ("SegmentationClassAug", "SegmentationClass")
_ONEHOT = "cls_labels_onehot.npy"


def voc(config: DataConfig, split: str, *, masks: bool) -> TaggedImages:
    """Load a folder in PASCAL VOC's layout: ``JPEGImages``, ``ImageSets/Segmentation/<split>.txt`` and the rest.

    - *Split* ``train_aug``, if it has no list: all ids with a mask in ``SegmentationClassAug`` that are not in
      ``val.txt`` (10,582 with the usual SBD masks). Lists of ``/image.jpg /mask.png`` pairs are read as well.
    - *Tags* by ``--data.tags``: ``xml`` (all objects in ``Annotations``, difficult ones too), a ``.npy`` dict of
      one-hot arrays, a CSV or JSON-lines file, or ``masks`` (reads all masks). ``auto``: ``labels.csv``, else
      ``cls_labels_onehot.npy``, else ``Annotations``. Never masks: use of pixel labels must be asked for. With masks
      an image may lack them: scoring does not need any.
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
    listed = class_list(config.classes, root)
    classes = listed.names or CLASSES
    ids = _read_split(root, split)
    images = choose_folder(root, config.images, ("JPEGImages",), "--data.images")
    if images is None:
        raise TagsegError(f"{root} has no folder JPEGImages, expected VOC's layout: check --data.root or --data.images")
    photos = ImageFolder(images, inside=Inside.of(config, root))
    files, notes = photos.locate(ids, f"split {split}", config.skip_missing)
    found = _find_masks(root, config, photos)
    unused = (Note(f"no image has a mask: {found.why_none}", warning=True),) if found.why_none else ()
    notes = (*listed.notes, *notes, *found.notes, *unused)
    of = {identity: found.of[stem] for identity, file in files.items() if (stem := without_extension(file)) in found.of}
    untagged = tuple(Sample(identity, images / file, (), tags_known=False) for identity, file in files.items())
    data = TaggedImages(f"voc ({root}), split {split}", classes, untagged, "", notes)

    setting = _usual_tags(root, needed=not masks) if config.tags == "auto" else config.tags
    if setting == "masks":
        read = with_mask_files(data, of, config, root)
        names, tags_from, more = _from_masks(read), "masks", read.notes[len(notes) :]
    elif setting:
        names, tags_from, more = _read_tags(root, setting, {s.name: s.image for s in untagged}, classes, config)
    else:
        names, tags_from, more = {}, "", ()
    index = ClassIndex(classes, names_of(config.no_tag))
    samples = tuple(
        replace(s, tags=index(names[s.name], f"{s.name} ({tags_from})"), tags_known=True) if s.name in names else s
        for s in untagged
    )
    data = replace(data, samples=samples, tags_from=tags_from, notes=(*notes, *more, *index.notes))
    return with_mask_files(data, of, config, root) if masks else data


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
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise TagsegError(
            f"{path} is not UTF-8 text ({error.reason}), expected an id a line: save it as UTF-8"
        ) from error
    words = [line.split() for line in lines if line.strip()]
    flagged = all(len(each) == 2 and each[1] in ("-1", "0", "1") for each in words)
    return [without_extension(_image(each, flagged).replace("\\", "/").rpartition("/")[2]) for each in words]


def _image(words: list[str], flagged: bool) -> str:
    """The image of a line: a name may have spaces, but ``/image.jpg /mask.png`` and ``id 1`` are two things."""
    is_pair = len(words) == 2 and (flagged or all(without_extension(word) != word for word in words))
    return words[0] if is_pair else " ".join(words)


def _find_masks(root: Path, config: DataConfig, photos: ImageFolder) -> FoundMasks:
    """Masks of both usual folders, those of the first before those of the second; or of the folder that is set."""
    if config.masks != "auto":
        return find_masks(root, config.masks, photos.photos, MASK_FOLDERS)
    every = [masks_in(root / name, photos.photos) for name in MASK_FOLDERS if (root / name).is_dir()]
    if not any(found.of for found in every):
        return find_masks(root, "auto", photos.photos, MASK_FOLDERS)
    of = {name: path for found in reversed(every) for name, path in found.of.items()}
    return FoundMasks(every[0].folder, of, tuple(note for found in every for note in found.notes))


def _read_tags(
    root: Path, setting: str, images: dict[str, Path], classes: tuple[str, ...], config: DataConfig
) -> tuple[dict[str, tuple[str, ...]], str, tuple[Note, ...]]:
    """Image id → class names, the origin of the tags, and what was noticed."""
    if setting == "xml":
        names, notes = read_annotations(root / "Annotations", images)
        return names, "Annotations", notes
    path = choose_file(root, setting, "--data.tags")
    if path.suffix == ".npy":
        onehot = read_onehot(path, classes)
        names, notes = _matched(onehot, images, path)
        return names, path.name, notes
    table = read_tags(path, classes, config.separator, names_of(config.no_tag), config.column)
    rows: dict[str, tuple[str, ...]] = {}
    for row in table.rows:
        if rows.setdefault(without_extension(row.image), row.labels) is not row.labels:
            raise TagsegError(
                f"{path} line {row.line} names the image {without_extension(row.image)!r} again, with another "
                "extension, expected one row an image: remove or rename one"
            )
    names, notes = _matched(rows, images, path)
    return names, table.tags_from, (*table.notes, *notes)


def _matched(
    named: dict[str, tuple[str, ...]], images: dict[str, Path], path: Path
) -> tuple[dict[str, tuple[str, ...]], tuple[Note, ...]]:
    """Tags by image id, where a file names images otherwise: by paths, other spellings, or digits alone."""
    found = {identity: named[identity] for identity in images if identity in named}
    without = [identity for identity in images if identity not in named]
    if not without:
        return found, ()
    resolver = Resolver(without, str(path))
    by_digits = {re.sub(r"\D", "", identity).lstrip("0"): identity for identity in without}
    noticed: dict[str, list[str]] = defaultdict(list)
    given: dict[str, str] = {}
    for name in named:
        if name in images:
            continue
        match = resolver.find(name)
        if match is None and name.isdecimal() and len(by_digits) == len(without):  # int("2007_000032")
            digits = by_digits.get(name.lstrip("0"))
            match = Match(digits, ("images named by their digits alone",)) if digits else None
        if match is None:
            continue
        other = given.setdefault(match.file, name)
        if other != name:
            raise TagsegError(
                f"{path} names {match.file} twice, {other!r} and {name!r}, expected each once: remove one"
            )
        found[match.file] = named[name]
        for reason in match.reasons:
            noticed[reason].append(f"{name} → {match.file}")
    return found, tuple(note for reason, names in noticed.items() for note in Note.of(reason, names))


def _usual_tags(root: Path, needed: bool) -> str:
    """The first source of tags that exists; empty if there is none and they are not needed."""
    for name in ("labels.csv", _ONEHOT):
        if (root / name).is_file():
            return name
    if (root / "Annotations").is_dir():
        return "xml"
    if not needed:
        return ""
    raise TagsegError(
        f"{root} has no tags, expected labels.csv, {_ONEHOT} or Annotations; to derive them from the masks, which are "
        "pixel labels, ask for it: --data.tags masks"
    )


def _from_masks(images: TaggedImages) -> dict[str, tuple[str, ...]]:
    masks = {sample.name: sample.mask for sample in images.samples if sample.mask is not None}
    return {
        name: tuple(images.classes[label - 1] for label in np.unique(mask()) if 0 < label < IGNORE)
        for name, mask in masks.items()
    }
