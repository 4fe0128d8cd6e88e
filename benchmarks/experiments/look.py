"""Look at what finished runs learned: IoU of each class side by side, and pictures of photos from worst to best.

    python benchmarks/experiments/look.py RUN [RUN ...] [--split val] [--pictures 8] [--output runs/look]

A RUN is a folder with a training's ``config.yaml`` and ``last.safetensors``, e.g.
``runs/experiments/measure_small/true_masks/0``. The first one's score of an image orders the photos. Images are resized
to the training size; scores count at native size. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, ImageDraw

from tagseg.config import replace
from tagseg.config_file import read_config
from tagseg.data import sources
from tagseg.data.dataset import Sample
from tagseg.data.images import read_image
from tagseg.data.loaders import score_loader
from tagseg.errors import TagsegError
from tagseg.inference.export import save_picture, stack
from tagseg.inference.metrics import SegmentationScore
from tagseg.inference.segment import upsample
from tagseg.model.checkpoint import load_network
from tagseg.report.pictures import draw_labels

CELL = 176
Label = UInt8[ndarray, "H W"]


@torch.no_grad()
def labels_of(run: Path, split: str) -> tuple[tuple[Sample, ...], tuple[str, ...], list[Label]]:
    """The scored images of a split, the class names, and what a run's student says of each image."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = replace(read_config(run / "config.yaml"), data={"val_split": split})
    network = load_network(run / "last.safetensors", device).eval()
    images = sources.load(config.data, split).with_masks()
    labels = []
    for batch in score_loader(images, config):
        logits = network.segment_logits(network.normalise(batch.images.to(device)))
        for grid, truth in zip(logits, batch.masks, strict=True):
            label = upsample(grid, (truth.shape[0], truth.shape[1])).argmax(dim=0)
            labels.append(label.to(torch.uint8).cpu().numpy())
    return images.samples, network.classes, labels


def truth_of(sample: Sample) -> Label:
    """The true mask of an image that has one."""
    if sample.mask is None:
        raise TagsegError(f"{sample.name} has no mask")
    return sample.mask()


def by_class(samples: tuple[Sample, ...], classes: tuple[str, ...], labels: list[Label]) -> dict[str, float]:
    """IoU in % of background and each class that some image shows."""
    score, seen = SegmentationScore(len(classes) + 1), np.zeros(len(classes) + 1, bool)
    for sample, label in zip(samples, labels, strict=True):
        truth = truth_of(sample)
        seen[[value for value in np.unique(truth) if value < len(seen)]] = True
        score.update(torch.from_numpy(label).long(), torch.from_numpy(truth).long())
    names = ("background", *classes)
    return {name: 100 * iou for name, iou, there in zip(names, score.compute().iou, seen, strict=True) if there}


def alone(label: Label, truth: Label, classes: int) -> float:
    """mIoU of one image."""
    score = SegmentationScore(classes + 1)
    score.update(torch.from_numpy(label).long(), torch.from_numpy(truth).long())
    return score.compute().mean_iou


def picture(heads: list[str], samples: list[Sample], columns: list[list[Label]]) -> Image.Image:
    """A row an image: the photo, a column of labels each, the true mask."""
    width = CELL * (2 + len(columns))
    head = Image.new("RGB", (width, 20), "white")
    for place, text in enumerate(["photo", *heads, "true mask"]):
        ImageDraw.Draw(head).text((place * CELL + CELL // 2, 10), text[:28], fill="black", anchor="mm")
    rows = [head]
    for index, sample in enumerate(samples):
        photo = read_image(sample.image)
        shown = [photo, *(draw_labels(photo, each[index]) for each in (*columns, [truth_of(s) for s in samples]))]
        row = Image.new("RGB", (width, CELL), "white")
        for place, pixels in enumerate(shown):
            cell = Image.fromarray(pixels)
            cell.thumbnail((CELL - 4, CELL - 4))
            row.paste(cell, (place * CELL + (CELL - cell.width) // 2, (CELL - cell.height) // 2))
        rows.append(row)
    return stack(rows)


def main() -> None:
    """Table, pictures, one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--split", default="val")
    parser.add_argument("--pictures", type=int, default=8, help="how many photos, at even distances of their score")
    parser.add_argument("--output", type=Path, default=Path("runs/look"))
    arguments = parser.parse_args()
    if absent := [run for run in arguments.runs if not (run / "last.safetensors").is_file()]:
        raise SystemExit(f"{absent[0]} holds no finished training (last.safetensors is absent): give runs that ended")
    try:
        found = [labels_of(run, arguments.split) for run in arguments.runs]
        samples, classes, labels = found[0]
        tables = [by_class(samples, classes, each) for _, _, each in found]
        scores = [alone(label, truth_of(s), len(classes)) for label, s in zip(labels, samples, strict=True)]
    except TagsegError as error:
        raise SystemExit(f"{error}") from None
    heads = [f"{run.parent.name} {run.name}".replace("_", " ") for run in arguments.runs]
    print(f"| IoU on `{arguments.split}`, % | {' | '.join(heads)} |\n|{' --- |' * (1 + len(heads))}")
    for name in tables[0]:
        print(f"| {name} | {' | '.join(f'{table[name]:.1f}' for table in tables)} |")
    order = np.argsort(scores)
    chosen = order[np.linspace(0, len(order) - 1, min(arguments.pictures, len(order))).round().astype(int)]
    path = arguments.output / f"{arguments.split}.jpg"
    some = [samples[index] for index in chosen]
    save_picture(path, picture(heads, some, [[each[i] for i in chosen] for _, _, each in found]))
    print(f"\nworst to best of the first: {path}")
    print(
        json.dumps(
            {"by_class": {h: {n: round(v, 2) for n, v in t.items()} for h, t in zip(heads, tables, strict=True)}}
        )
    )


if __name__ == "__main__":
    main()
