"""Masks of tagged photos with ``tagseg label``, timed from nothing: features, labels, photos and masks as a dataset.

    python benchmarks/label.py [--quick] [--photos 445] [--crf] [--run RUN]

Labels photos of voc12_animals' ``val`` (evenly sampled) from their tags and scores the masks against the ground truth
at native size; no mask is read before. ``--crf``: also with the dense CRF, the features at hand. ``--run``: also by the
network of that run, told the tags, at one scale (with ``--crf``, too). ``--quick``: 200 photos. Development data
needed. Prints a table and, last, one line of JSON: ``seconds``, ``processor_seconds``, ``photos`` and ``mean_iou`` (%),
from nothing without CRF, and ``rows``, mIoU of each way.
"""

from __future__ import annotations

import argparse
import csv
import logging
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import tagseg
from shared import ANIMALS, WEIGHTS, arguments_of, machine, print_json, require, table
from tagseg.config import Config, replace
from tagseg.data import sources
from tagseg.labelling.label import LabelledPhotos, label
from tagseg.metrics.segmentation import SegmentationScore

QUICK_PHOTOS = 200


def main() -> None:
    """Label, score, print."""
    arguments = parsed()
    require(ANIMALS, WEIGHTS)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        config = configuration(subset(folder / "photos", arguments.photos))
        ways: dict[str, Callable[[Path], LabelledPhotos]] = {"no training": lambda out: label(config, out)}
        if arguments.crf:
            ways["no training, CRF"] = lambda out: label(config, out, crf=True)
        if arguments.run:
            run = {"model": arguments.run, "scales": (1.0,)}
            ways["the run's network"] = lambda out: label(config.data, out, **run)
            if arguments.crf:
                ways["the run's network, CRF"] = lambda out: label(config.data, out, crf=True, **run)
        measured = {name: timed(way, folder / name, config) for name, way in ways.items()}
    rows = [(name, f"{s:.0f} s", f"{p:.0f} s", f"{iou:.1f}") for name, (s, p, iou) in measured.items()]
    title = f"{arguments.photos} photos, {machine()}"
    table(title, ("masks by", "time", "processor time", "mIoU %, told the tags"), rows)
    seconds, processor, mean_iou = measured["no training"]
    print_json({
        "photos": arguments.photos, "seconds": round(seconds, 1), "processor_seconds": round(processor, 1),
        "mean_iou": round(mean_iou, 2), "rows": {name: round(iou, 2) for name, (_, _, iou) in measured.items()},
    })  # fmt: skip


def parsed() -> argparse.Namespace:
    """The arguments."""
    parser = arguments_of(__doc__, f"{QUICK_PHOTOS} photos")
    parser.add_argument("--photos", type=int, default=445, help="number of photos, at most 445")
    parser.add_argument("--crf", action="store_true", help="also with the dense CRF")
    parser.add_argument("--run", default="", help="also by the network of this run, of the same classes")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.photos = QUICK_PHOTOS
    return arguments


def subset(folder: Path, photos: int) -> Path:
    """Evenly sampled photos of ``val`` as a folder of data: all in one split."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    (folder / "classes.txt").write_text((ANIMALS / "classes.txt").read_text())
    with (ANIMALS / "labels.csv").open(newline="") as file:
        every = [row for row in csv.DictReader(file) if row["split"] == "val"]
    kept = [every[index * len(every) // photos] for index in range(min(photos, len(every)))]
    for row in kept:
        for name in (f"images/{row['image']}.jpg", f"masks/{row['image']}.png"):
            (folder / name).symlink_to(ANIMALS / name)
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "labels"), *((row["image"], row["labels"]) for row in kept)])
    return folder


def configuration(data: Path) -> Config:
    """The preset with DeiT-Ti on the photos."""
    return replace(
        tagseg.PRESETS["frozen"](),
        data={"root": str(data), "val_split": "", "outside": "allow"},  # its photos are links
        network={"encoder": "deit_tiny_patch16_224", "weights": str(WEIGHTS)},
    )


def timed(way: Callable[[Path], LabelledPhotos], out: Path, config: Config) -> tuple[float, float, float]:
    """Seconds, processor seconds (workers included) and mIoU in % of one way."""
    started, before = time.perf_counter(), processor_seconds()
    result = way(out)
    taken, used = time.perf_counter() - started, processor_seconds() - before
    mean_iou = score(result, config)
    logging.getLogger("tagseg").info("%s: %.0f s, %.0f s of processor, %.1f %% mIoU", out.name, taken, used, mean_iou)
    return taken, used, mean_iou


def processor_seconds() -> float:
    """Of this process and of its workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def score(result: LabelledPhotos, config: Config) -> float:
    """mIoU in % of the masks that were written, against the ground truth, at native size."""
    truth = {sample.name: sample.mask for sample in sources.load(config.data, "train").samples}
    scores = SegmentationScore(len(result.classes) + 1)
    for path in result.masks["train"]:
        read = truth[path.stem]
        assert read is not None  # all photos of voc12_animals have a mask
        with Image.open(path) as mask:
            scores.update(torch.from_numpy(np.array(mask)).long(), torch.as_tensor(read()).long())
    return 100 * scores.compute().mean_iou


if __name__ == "__main__":
    main()
