"""An update of ``tagseg serve``: ten tags are corrected, the network is trained again, all masks are drawn anew; timed.

    python benchmarks/serve.py [--quick] [--photos 1044] [--wrong 10] [--compare] [--threads 2]

Takes photos of voc12_animals' ``train`` (evenly sampled), exchanges the tags of ``--wrong`` of them for other ones,
trains on these tags as ``tagseg train`` does, opens the run as ``tagseg serve`` does, corrects the tags, and updates.
What counts is the update: everything from the corrections to the new masks' places in the queue and the saved network,
features at hand. The masks that are shown, before the correction and after, are scored against the ground truth at
native size, of all photos and of the corrected ones. ``--compare``: also trains anew on the right tags, at full
length, and scores both networks on a quarter of ``val``. ``--quick``: 200 photos. Development data needed. Prints
tables and, last, one line of JSON: ``photos``, ``corrected``, ``update_seconds``, ``processor_seconds``, ``parts``
(seconds of each stage), ``open_seconds``, ``mean_iou_before``, ``mean_iou`` (%, all photos) and
``mean_iou_corrected_before``, ``mean_iou_corrected`` (of the corrected photos).
"""

from __future__ import annotations

import argparse
import csv
import logging
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

import tagseg
import tagseg.config_file
from shared import ANIMALS, WEIGHTS, arguments_of, machine, print_json, require, table
from tagseg.config import Config, replace
from tagseg.data import sources
from tagseg.inference.evaluate import evaluate
from tagseg.metrics.segmentation import SegmentationScore
from tagseg.serving.collection import Collection

QUICK_PHOTOS = 200


def main() -> None:
    """Train on wrong tags, correct them, update, score, print."""
    arguments = parsed()
    require(ANIMALS, WEIGHTS)
    torch.set_num_threads(arguments.threads)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(arguments.keep or scratch)
        rows, wrong = tags_of_subset(arguments.photos, arguments.wrong)
        config = configuration(data_folder(folder / "wrong", rows | wrong), folder / "runs" / "wrong")
        if not (folder / "runs" / "wrong").exists():
            tagseg.train(config)
        figures = corrected(Path(config.run.output), rows, sorted(wrong))
        if arguments.compare:
            anew = configuration(data_folder(folder / "right", rows), folder / "runs" / "right")
            compare(config, anew, sorted(wrong))
    title = f"update after {arguments.wrong} corrected tags among {arguments.photos} photos, {machine()}"
    lines = [(stage, f"{seconds:.1f} s") for stage, seconds in figures["parts"].items()]
    total = (f"**all** ({figures['processor_seconds']:.0f} s of processor)", f"**{figures['update_seconds']:.1f} s**")
    table(title, ("stage", "time"), [*lines, total])
    header = ("masks shown", "before", "after the update")
    of_all = ("mIoU of all photos, %", figures["mean_iou_before"], figures["mean_iou"])
    of_some = ("of the corrected ones", figures["mean_iou_corrected_before"], figures["mean_iou_corrected"])
    table("quality", header, (of_all, of_some))
    print_json({"photos": arguments.photos, "corrected": arguments.wrong, **figures})


def parsed() -> argparse.Namespace:
    """The arguments."""
    parser = arguments_of(__doc__, f"{QUICK_PHOTOS} photos")
    parser.add_argument("--photos", type=int, default=1_044, help="number of photos")
    parser.add_argument("--wrong", type=int, default=10, help="photos whose tags are wrong at first")
    parser.add_argument("--compare", action="store_true", help="also train anew on the right tags")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch")
    parser.add_argument("--keep", default="", help="folder for data and runs that is kept and used again")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.photos = QUICK_PHOTOS
    return arguments


def tags_of_subset(photos: int, wrong: int) -> tuple[dict[str, str], dict[str, str]]:
    """Tags by the names of evenly sampled photos of ``train``, and the wrong ones of some of them."""
    classes = (ANIMALS / "classes.txt").read_text().split()
    with (ANIMALS / "labels.csv").open(newline="") as file:
        every = [row for row in csv.DictReader(file) if row["split"] == "train"]
    kept = [every[index * len(every) // photos] for index in range(min(photos, len(every)))]
    some = [kept[index * len(kept) // wrong] for index in range(wrong)]
    exchanged: dict[str, str] = {}
    for row in some:
        right = row["labels"].split(";")
        others = [name for name in classes if name not in right]
        exchanged[row["image"]] = others[len(exchanged) % len(others)]
    return {row["image"]: row["labels"] for row in kept}, exchanged


def data_folder(folder: Path, tags: dict[str, str]) -> Path:
    """A folder of data with these tags; images and masks are links."""
    if folder.exists():
        return folder
    folder.mkdir(parents=True)
    for name in ("images", "masks"):
        (folder / name).symlink_to(ANIMALS / name)
    (folder / "classes.txt").write_text((ANIMALS / "classes.txt").read_text())
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "labels"), *tags.items()])
    return folder


def configuration(data: Path, run: Path) -> Config:
    """The preset with DeiT-Ti on the photos; nothing is scored while training."""
    return replace(
        tagseg.PRESETS["frozen"](),
        data={"root": str(data), "val_split": "", "outside": "allow"},  # its folders are links
        network={"encoder": "deit_tiny_patch16_224", "weights": str(WEIGHTS)},
        run={"output": str(run), "validate_every": 0, "accelerator": "cpu"},
    )


def corrected(run: Path, tags: dict[str, str], wrong: list[str]) -> dict[str, Any]:
    """Correct the tags of a run's photos and update; the figures of it."""
    started = time.perf_counter()
    with Collection.open(run) as collection:
        opened = time.perf_counter() - started
        every = {row.name: row.id for row in collection.photos("name", limit=len(collection))[1]}
        ids = [every[Path(name).stem] for name in wrong]
        before = score(collection, run, every.values()), score(collection, run, ids)
        for name, id in zip(wrong, ids, strict=True):
            collection.set_tags(id, [collection.classes.index(tag) + 1 for tag in tags[name].split(";")])
        stages: list[tuple[str, float]] = []
        processor, started = time.process_time(), time.perf_counter()
        collection.update(lambda stage, fraction: stages.append((stage, time.perf_counter())))
        end, used = time.perf_counter(), time.process_time() - processor
        after = score(collection, run, every.values()), score(collection, run, ids)
    return {
        "update_seconds": round(end - started, 1), "processor_seconds": round(used, 1),
        "parts": lengths(stages, end), "open_seconds": round(opened, 1), "mean_iou_before": before[0],
        "mean_iou": after[0], "mean_iou_corrected_before": before[1], "mean_iou_corrected": after[1],
    }  # fmt: skip


def lengths(stages: list[tuple[str, float]], end: float) -> dict[str, float]:
    """Seconds of each stage, from when each was first told."""
    first: dict[str, float] = {}
    for stage, moment in stages:
        first.setdefault(stage, moment)
    ends = [*list(first.values())[1:], end]
    return {stage: round(until - begin, 1) for (stage, begin), until in zip(first.items(), ends, strict=True)}


def score(collection: Collection, run: Path, ids: Iterable[str]) -> float:
    """mIoU in % of the masks that are shown, against the ground truth, at native size."""
    config = tagseg.config_file.read_config(run / "config.yaml")
    truth = {sample.name: sample.mask for sample in sources.load(config.data, "train").samples}
    scores = SegmentationScore(len(collection.classes) + 1)
    for id in ids:
        read = truth[collection.photo(id).name]
        assert read is not None  # all photos of voc12_animals have a mask
        scores.update(torch.from_numpy(collection.mask(id)).long(), torch.as_tensor(read()).long())
    return round(100 * scores.compute().mean_iou, 2)


def compare(config: Config, anew: Config, wrong: list[str]) -> None:
    """Print the scores of the updated network and of one that is trained anew on the right tags."""
    run, other = Path(config.run.output), Path(anew.run.output)
    started = time.perf_counter()
    if not other.exists():
        tagseg.train(anew)
    taken = time.perf_counter() - started
    with Collection.open(other) as collection:
        every = {row.name: row.id for row in collection.photos("name", limit=len(collection))[1]}
        shown = score(collection, other, every.values()), score(collection, other, [every[Path(n).stem] for n in wrong])
    val = replace(config, data={"root": str(ANIMALS), "val_split": "val"}).data
    networks = {"wrong tags": run / "last.safetensors", "updated": run / "corrected.safetensors",
                f"trained anew ({taken:.0f} s)": other / "last.safetensors"}  # fmt: skip
    rows = [
        (name, f"{100 * evaluate(network, val, limit=111, scales=(1.0,), quiet=True).result.mean_iou:.1f}")
        for name, network in networks.items()
    ]
    table("networks, not told any tags, on a quarter of val", ("trained on", "mIoU %"), rows)
    table(
        "masks of the network trained anew, told the tags",
        ("photos", "mIoU %"),
        [("all", shown[0]), ("corrected", shown[1])],
    )


if __name__ == "__main__":
    main()
