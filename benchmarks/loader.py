"""Measure how long training data takes to load: decoding, cropping and augmenting (development data needed).

    python benchmarks/loader.py [--quick] [--step-seconds 1.9]

One process with one thread, so figures are for one core: processor time, which other processes disturb less than wall
time; medians of several batches with files in the disk cache. Prints a table, what a GPU needs, the share of a
training step on 2 cores and, last, one line of JSON. With a GPU it also measures how long that waits for workers.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.fabric.utilities import move_data_to_device
from PIL import Image

from shared import PHOTOS, arguments_of, print_json, processor_seconds, require
from tagseg.data import sources
from tagseg.data.config import DataConfig, ViewConfig
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.loaders import TrainingViews, training_collate, training_loader
from tagseg.data.sampler import StepSampler

BATCH = 8
GPU_STEP = 0.07
"""Assumed seconds of a step at batch 8 on a GPU."""
GPU_RATE = BATCH / GPU_STEP
"""Images a second that such a GPU needs."""
LARGE = (4000, 3000)
"""Width and height of a photo of 12 megapixels."""
PLACES: tuple[Literal["loader", "device"], ...] = ("loader", "device")
"""Where views are augmented."""


@dataclass
class Row:
    """Processor seconds of one core for a batch of 8: to load it and, if the device augments, to augment it."""

    name: str
    load: float
    device: float | None

    @property
    def rate(self) -> float:
        """Images a second that one core loads."""
        return BATCH / self.load


def median_after_one(work: Callable[[], object], times: int) -> float:
    """Median processor time of several calls, after one to warm up."""
    work()
    return processor_seconds(work, times)


def measure(name: str, images: TaggedImages, views: ViewConfig, times: int) -> Row:
    """Measure and print one row; each call loads a different batch."""
    data = TrainingViews(images, views, seed=0)
    steps = iter(StepSampler(len(images), BATCH, 0))
    load = median_after_one(lambda: training_collate([data[key] for key in next(steps)]), times)
    device = None
    if views.augment == "device":
        batches = [
            training_collate([data[key] for key in keys]) for keys in islice(StepSampler(len(images), BATCH, 0), 4)
        ]
        turn = iter(batches * times)
        device = median_after_one(lambda: next(turn).augmented(), times)
    row = Row(name, load, device)
    on_cpu = "" if device is None else f"{1000 * device:.0f}"
    print(f"{name:46}{1000 * load:>10.0f}{row.rate:>10.0f}{GPU_RATE / row.rate:>8.1f}{on_cpu:>12}", flush=True)
    return row


def enlarged(images: TaggedImages, count: int, folder: Path) -> TaggedImages:
    """Some of the photos, enlarged to JPEG files of 12 megapixels."""
    samples: list[Sample] = []
    for sample in images.first(count).samples:
        path = folder / f"{len(samples)}.jpg"
        with Image.open(sample.image) as image:
            size = LARGE if image.width >= image.height else LARGE[::-1]
            image.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
        samples.append(Sample(sample.name, path, sample.tags))
    return TaggedImages("enlarged", images.classes, tuple(samples), images.tags_from)


def table(images: TaggedImages, large: TaggedImages, quick: bool) -> list[Row]:
    """Measure and print every row."""
    times, few = (5, 2) if quick else (25, 7)
    print(f"{'':46}{'ms for 8':>10}{'images/s':>10}{'cores':>8}{'device, ms':>12}")
    rows = []
    for size in (224, 448):
        for place in PLACES:
            views = ViewConfig(size=size, augment=place)
            rows.append(measure(f"voc20mix, {size} px, augment {place}", images, views, times))
    for size in (224, 448):
        for draft in (False, True):
            views = ViewConfig(size=size, draft=draft)
            rows.append(measure(f"12 megapixels, {size} px, draft {'on' if draft else 'off'}", large, views, few))
    views = ViewConfig(size=448, augment="device")
    rows.append(measure("12 megapixels, 448 px, draft on, augment device", large, views, few))
    return rows


def waiting(images: TaggedImages, views: ViewConfig, steps: int) -> dict[str, float]:
    """Images a second that the workers deliver to a GPU, and how long it waits for a batch after a step of 70 ms."""
    batches = iter(training_loader(images, views, batch=BATCH, seed=0, workers=-1))

    def fetch() -> None:
        move_data_to_device(next(batches), torch.device("cuda")).augmented()
        torch.cuda.synchronize()

    for _ in range(steps // 2):  # the workers start, and their first batches are used up
        fetch()
    started = time.perf_counter()
    for _ in range(steps):
        fetch()
    rate = steps * BATCH / (time.perf_counter() - started)
    waits = []
    for _ in range(steps):
        time.sleep(GPU_STEP)  # in place of a step of the GPU; the cores are free for the workers
        started = time.perf_counter()
        fetch()
        waits.append(time.perf_counter() - started)
    return {"images_a_second": round(rate, 1), "ms_until_a_batch_is_there": round(1000 * statistics.median(waits), 2)}


def on_gpu(images: TaggedImages, steps: int) -> dict[str, Any] | None:
    """Both places of augmentation at 448 px, or ``None`` without a GPU."""
    if not torch.cuda.is_available():
        print("Not measured on a GPU: there is none here.")
        return None
    figures: dict[str, Any] = {"gpu": torch.cuda.get_device_name()}
    for place in PLACES:
        figures[place] = waiting(images, ViewConfig(augment=place), steps)
        print(f"{figures['gpu']}, 448 px, augment {place}: {figures[place]}")
    return figures


def main() -> None:
    """Measure and print."""
    parser = arguments_of(__doc__, "fewer batches, in under a minute")
    parser.add_argument("--step-seconds", type=float, default=1.9, help="of a step of batch 4 at 224 px on 2 cores")
    arguments = parser.parse_args()
    require(PHOTOS)
    torch.set_num_threads(1)
    images = sources.load(DataConfig(source="folder", root=str(PHOTOS)), "train", masks=False)
    with tempfile.TemporaryDirectory() as folder:
        rows = table(images, enlarged(images, 8, Path(folder)), arguments.quick)
    print(
        f"\nA step of {1000 * GPU_STEP:.0f} ms at batch {BATCH} takes {GPU_RATE:.0f} images a second, "
        f"{2 * GPU_RATE:.0f} views; 'cores' is how many load them, computed from the rate of one."
    )
    share = rows[0].load / 2 / arguments.step_seconds  # batch 4 is half a batch, on one of two cores
    print(
        f"Batch 4 at 224 px: {1000 * rows[0].load / 2:.0f} ms of one core, {100 * share:.1f} % of a step of "
        f"{arguments.step_seconds} s; of its 2 cores' time, {50 * share:.1f} %."
    )
    gpu = on_gpu(images, 20 if arguments.quick else 200)
    figures = {
        "ms_for_8": {row.name: round(1000 * row.load, 1) for row in rows},
        "device_ms_for_8": {row.name: round(1000 * row.device, 1) for row in rows if row.device is not None},
        "images_a_second_needed": round(GPU_RATE),
        "cores_needed_computed": {row.name: round(GPU_RATE / row.rate, 2) for row in rows},
        "share_of_step_percent": round(100 * share, 2),
        "gpu": gpu,
    }
    print_json(figures)


if __name__ == "__main__":
    main()
