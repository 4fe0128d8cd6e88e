"""From tagged photos to masks with the method ``frozen``, timed from nothing: features, labels, decoder, prediction.

    python benchmarks/minutes.py [--quick] [--photos 1044] [--size 320] [--seeds 1] [--masks]

Trains on photos of voc12_animals' ``train`` (evenly sampled, tags alone), writes the masks of the same photos at one
scale, and scores the network on ``val`` at native size by ``evaluate``'s protocol; only training and prediction are
timed. ``--masks`` also trains on ground-truth masks, the upper bound. ``--quick``: 200 photos, and a quarter of ``val``
at one scale. Development data needed. Prints a table and, last, one line of JSON: ``seconds`` (from photos to
masks) and ``mean_iou`` (%), means over the seeds.
"""

from __future__ import annotations

import argparse
import csv
import logging
import statistics
import tempfile
import time
from pathlib import Path

import tagseg
from shared import ANIMALS, WEIGHTS, arguments_of, machine, print_json, require, table
from tagseg.config import Config, replace
from tagseg.data import sources
from tagseg.inference.evaluate import evaluate
from tagseg.inference.predict import predict

QUICK_PHOTOS = 200


def main() -> None:
    """Train, predict, score, print."""
    arguments = parsed()
    require(ANIMALS, WEIGHTS)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    rows, seconds, scores, bounds = [], [], [], []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(arguments.seeds):
            folder = Path(scratch) / str(seed)
            data = subset(folder / "photos", arguments.photos)
            config = configuration(data, folder, arguments.size, seed)
            taken, mean_iou = timed_run(config, data, arguments.quick)
            seconds.append(taken)
            scores.append(mean_iou)
            rows.append((f"tags, seed {seed}", f"{taken:.0f} s", f"{mean_iou:.1f}"))
            if arguments.masks:
                bound = replace(config, labels={"source": "masks"}, run={"output": str(folder / "masks")})
                bounds.append(score(tagseg.train(bound).network, bound, arguments.quick))
                rows.append((f"ground-truth masks, seed {seed}", "", f"{bounds[-1]:.1f}"))
    title = f"{arguments.photos} photos, {arguments.size} px, {machine()}"
    table(title, ("labels", "from photos to masks", "val mIoU %"), rows)
    figures = {"photos": arguments.photos, "seconds": round(statistics.mean(seconds), 1),
               "mean_iou": round(statistics.mean(scores), 2)}  # fmt: skip
    if bounds:
        figures["mean_iou_masks"] = round(statistics.mean(bounds), 2)
    print_json(figures)


def parsed() -> argparse.Namespace:
    """The arguments."""
    parser = arguments_of(__doc__, f"{QUICK_PHOTOS} photos, a quarter of val")
    parser.add_argument("--photos", type=int, default=0, help="number of training photos; default 1,044")
    parser.add_argument("--size", type=int, default=320, help="side in pixels for the features")
    parser.add_argument("--seeds", type=int, default=1, help="number of trainings")
    parser.add_argument("--masks", action="store_true", help="also train on ground-truth masks")
    arguments = parser.parse_args()
    arguments.photos = arguments.photos or (QUICK_PHOTOS if arguments.quick else 1_044)
    return arguments


def subset(folder: Path, photos: int) -> Path:
    """A data folder with evenly sampled training photos and all of ``val``; images and masks are links."""
    folder.mkdir(parents=True)
    for name in ("images", "masks"):
        (folder / name).symlink_to(ANIMALS / name)
    (folder / "classes.txt").write_text((ANIMALS / "classes.txt").read_text())
    with (ANIMALS / "labels.csv").open(newline="") as file:
        header, *every = list(csv.reader(file))
    training = [row for row in every if row[1] == "train"]
    kept = [training[index * len(training) // photos] for index in range(min(photos, len(training)))]
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *kept, *(row for row in every if row[1] == "val")])
    return folder


def configuration(data: Path, folder: Path, size: int, seed: int) -> Config:
    """The preset with DeiT-Ti on the photos; nothing is scored while training."""
    return replace(
        tagseg.PRESETS["frozen"](),
        data={"root": str(data), "outside": "allow"},  # its folders are links
        network={"encoder": "deit_tiny_patch16_224", "weights": str(WEIGHTS)},
        features={"size": size},
        run={"output": str(folder / "tags"), "seed": seed, "validate_every": 0, "accelerator": "cpu"},
    )


def timed_run(config: Config, data: Path, quick: bool) -> tuple[float, float]:
    """Seconds from photos to their masks, and mIoU on ``val``."""
    started = time.perf_counter()
    result = tagseg.train(config)
    photos = [sample.image for sample in sources.load(config.data, "train", masks=False).samples]
    predict(
        result.network, photos, data.parent / "predictions", scales=(1.0,), mirror=False, overlays=False, quiet=True
    )
    taken = time.perf_counter() - started
    return taken, score(result.network, config, quick)


def score(network: Path, config: Config, quick: bool) -> float:
    """mIoU on ``val`` in %."""
    limit, scales = (111, (1.0,)) if quick else (0, None)
    return 100 * evaluate(network, config.data, limit=limit, scales=scales, quiet=True).result.mean_iou


if __name__ == "__main__":
    main()
