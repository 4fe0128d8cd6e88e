"""Part of ``gpu.sh``: photos a second of ``predict`` and ``evaluate`` on a GPU, and the share of time it is busy.

    python benchmarks/gpu_predict.py

ViT-B/16 with random weights, photos of 500 x 375 pixels drawn by a generator, three scales and mirror, with and without
the dense CRF. With such weights no class can be left out of the CRF, which is its worst case. Each way first labels a
few photos to warm up, then as many as a few seconds allow; the time of VOC's 1,449 is computed from that.
"""

from __future__ import annotations

import csv
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from gpu_measure import Record, Utilisation, going_on, gpu_arguments, print_longest, rounded, usage, waits
from shared import machine
from step_measure import synchronise
from step_ways import ENCODERS
from tagseg.data.config import DataConfig
from tagseg.data.voc import CLASSES
from tagseg.inference.evaluate import evaluate
from tagseg.inference.predict import predict
from tagseg.model.config import NetworkConfig
from tagseg.model.network import Network

VOC = 1449
"""Photos of VOC 2012's validation split."""
DISTINCT = 64
"""Different photos; further ones are the same files under other names."""
WAYS: dict[str, dict[str, Any]] = {
    "predict, bf16": {"precision": "bf16"},
    "evaluate, bf16, CRF": {"precision": "bf16", "crf": True},
    "predict, bf16, 8 writers": {"precision": "bf16", "writers": 8},
    "predict, bf16, CRF": {"precision": "bf16", "crf": True},
    "evaluate, bf16": {"precision": "bf16"},
    "predict, float32": {},
}


@dataclass(frozen=True)
class Limits:
    """How much is measured: photos to warm up, most photos, seconds of a way and of all."""

    warm: int = 9
    most: int = 192
    each: float = 6.0
    total: float = 80.0


def data_set(folder: Path, name: str, count: int, size: tuple[int, int]) -> Path:
    """Photos, tags and masks in a folder of their own: smooth colours with noise, a box of one class each."""
    height, width = size
    root = folder / name
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    rows = []
    for index in range(count):
        photo, mask = root / "images" / f"{index:04}.jpg", root / "masks" / f"{index:04}.png"
        tag = index % len(CLASSES)
        if index < DISTINCT:
            rng = np.random.default_rng(index)
            coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8))
            smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
            noisy = (smooth + rng.integers(-10, 11, smooth.shape)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(photo, quality=90)
        else:
            os.link(root / "images" / f"{index % DISTINCT:04}.jpg", photo)
        labels = np.zeros(size, np.uint8)
        labels[height // 4 : height // 2, width // 4 : width // 2] = tag + 1
        Image.fromarray(labels).save(mask)
        rows.append((photo.name, CLASSES[tag], "val"))
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "labels", "split"), *rows])
    (root / "classes.txt").write_text("\n".join(CLASSES))
    return root


class Task:
    """One way: labels so many photos of the data set."""

    def __init__(self, name: str, network: Network, root: Path, output: Path, device: str) -> None:
        self.network, self.root, self.output, self.device = network, root, output, device
        self.evaluates, self.settings = name.startswith("evaluate"), WAYS[name]

    def __call__(self, count: int) -> None:
        """Label the first photos."""
        if self.evaluates:
            data = DataConfig(source="folder", root=str(self.root), contradictions="warn")
            evaluate(self.network, data, "val", limit=count, device=self.device, quiet=True, **self.settings)
            return
        photos = sorted((self.root / "images").iterdir())[:count]
        predict(self.network, photos, self.output, device=self.device, quiet=True, **self.settings)


def measure(name: str, task: Callable[[int], None], limits: Limits, device: torch.device) -> dict[str, Any]:
    """Photos a second of a way and what the GPU does meanwhile."""

    def timed(count: int) -> float:
        begin = time.perf_counter()
        task(count)
        synchronise(device)
        return time.perf_counter() - begin

    first, again = timed(limits.warm), timed(limits.warm)
    count = int(min(limits.most, max(limits.warm, limits.each * limits.warm / again)))
    with Utilisation(device) as nvml:
        seconds = timed(count)
    rate = count / seconds
    figures: dict[str, Any] = {
        "photos": count, "photos_s": rounded(rate, 2), "first_s": rounded(first, 2),
        "busy_nvml": rounded(nvml.share, 3), "voc_minutes": rounded(VOC / rate / 60, 3),
    }  # fmt: skip
    print(f"{name:24} {rate:8.2f} photos/s ({count} photos), {VOC:,} in {VOC / rate / 60:.2f} minutes", flush=True)
    found = usage(lambda: task(min(count, 6 * limits.warm)), device)
    if found is not None:
        figures |= {"busy": rounded(found.busy / found.wall, 3), "kernels": found.kernels, "copies": found.copies}
        print(f"    busy {found.busy / found.wall:.0%} of the time by the profiler, by the driver {nvml.share}")
        print_longest(found)
    waited = waits(lambda: task(limits.warm), device)
    if waited is not None:
        figures["waits_a_photo"] = rounded(waited[0] / limits.warm, 2)
        places = ", ".join(f"{place} {n} x" for place, n in waited[1])
        print(f"    the host waits {waited[0] / limits.warm:.1f} times a photo: {places}", flush=True)
    return figures


def main() -> None:
    """Measure, print."""
    started = time.perf_counter()
    parser = gpu_arguments(__doc__)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), metavar="WAY", help=", ".join(WAYS))
    parser.add_argument("--seconds", type=float, default=Limits.total, help="no further way is begun after so many")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    quick = arguments.quick
    limits = Limits(2, 2, 1.0, arguments.seconds) if quick else Limits(total=arguments.seconds)
    size, encoder = ((60, 80), ENCODERS["tiny"]) if quick else ((375, 500), ENCODERS["base"])
    torch.manual_seed(0)
    network = Network(NetworkConfig(encoder=encoder, weights="none"), CLASSES)
    record = Record(arguments.json)
    record.add(machine=machine(device), encoder=encoder, pixels=size[0] * size[1])
    print(f"{encoder}, {size[1]} x {size[0]} pixels, three scales and mirror, {machine(device)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        root = data_set(Path(folder), "data", limits.most, size)
        for name in arguments.ways:
            if time.perf_counter() - started > limits.total:
                print(f"{name}: not measured, the time is over")
                continue
            task = Task(name, network, root, Path(folder) / "out", str(device))
            failed: dict[str, Any] = {}
            with going_on(name, failed):
                record.add(**{name: measure(name, task, limits, device)})
            record.add(**failed)
    record.close()


if __name__ == "__main__":
    main()
