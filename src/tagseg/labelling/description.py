"""The files that describe the dataset to people and to other trainers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tagseg.data.images import read_image
from tagseg.data.palette import Colour, label_names
from tagseg.files import replacing
from tagseg.inference.contact_sheet import Tile, contact_sheet
from tagseg.labelling.layout import VOC, Job, Layout

SHEET = "contact_sheet.jpg"
SHOWN = 48
"""Photos on the contact sheet, the first ones."""


def describe(
    folder: Path,
    jobs: dict[str, list[Job]],
    classes: tuple[str, ...],
    colours: tuple[Colour, ...],
    layout: Layout,
    how: str,
) -> list[str]:
    """Write lists of the splits, ``classes.txt``, ``data.yaml``, ``README.txt`` and a contact sheet; their names.

    Args:
        folder: the dataset's.
        jobs: the photos of each split, training first.
        classes: names of the K foreground classes.
        colours: RGB of labels 0 to K; none: VOC's.
        layout: of the files.
        how: what the masks were made by, for people.
    """
    texts = {"classes.txt": "".join(f"{name}\n" for name in label_names(classes))}
    if layout == "voc":
        for split, several in jobs.items():
            texts[f"{VOC}/ImageSets/Segmentation/{split}.txt"] = "".join(f"{job.name}\n" for job in several)
    else:
        texts["data.yaml"] = _yaml(list(jobs), classes)
        texts |= {f"{split}.txt": "".join(f"./{job.image}\n" for job in several) for split, several in jobs.items()}
    texts["README.txt"] = _readme(jobs, layout, how)
    for name, text in texts.items():
        with replacing(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="surrogateescape")
    first = [job for several in jobs.values() for job in several][:SHOWN]
    contact_sheet((_tile(folder, job, classes) for job in first), folder / SHEET, classes, colours=colours)
    return [*texts, SHEET]


def _tile(folder: Path, job: Job, classes: tuple[str, ...]) -> Tile:
    """Photo and mask as they are in the dataset."""
    tags = ", ".join(classes[tag] for tag in job.sample.tags) or "no tag"
    with Image.open(folder / job.mask) as mask:
        return Tile(read_image(folder / job.image), np.asarray(mask), f"{job.name}\n{tags}")


def _yaml(splits: list[str], classes: tuple[str, ...]) -> str:
    """Ultralytics' description of a dataset with masks; without ``path``, paths are relative to the file."""
    train, val = splits[0], splits[-1]
    lines = [
        "# Semantic segmentation: yolo semantic train data=data.yaml model=yolo26n-sem.pt",
        f"train: {_quoted(f'images/{train}')}",
        f"val: {_quoted(f'images/{val}')}" + ("  # the training photos: there is no other split" * (train == val)),
        "masks_dir: masks  # takes the place of images: the mask of images/a/b.jpg is masks/a/b.png",
        "names:",
        *(f"  {label}: {_quoted(name)}" for label, name in enumerate(label_names(classes))),
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A string of YAML, which takes JSON's."""
    return json.dumps(text, ensure_ascii=False)


def _readme(jobs: dict[str, list[Job]], layout: Layout, how: str) -> str:
    counts = ", ".join(f"{split} {len(several)}" for split, several in jobs.items())
    split = next(iter(jobs))
    places = {
        "folders": f"images/{split}/NAME.jpg has its mask in masks/{split}/NAME.png. {split}.txt lists the photos of "
        "that split. data.yaml describes the dataset to Ultralytics.",
        "voc": f"{VOC} has the layout of PASCAL VOC 2012: JPEGImages, SegmentationClass, ImageSets/Segmentation.",
    }
    return (
        f"Photos and masks made from their tags by tagseg label ({counts}).\n\n{places[layout]}\n"
        "The value of a mask's pixel is a label: 0 is the background, 255 is ignored; line N of classes.txt, counted "
        "from 0, names label N.\n"
        f"The masks were made {how}. They are no ground truth: a score against them is agreement with them.\n"
        f"{SHEET} shows some. Another call of tagseg label with this folder writes its files again.\n"
    )
