"""Part of ``gpu.sh``: the dense CRF on a GPU, one image and batches of 4 and 8.

    python benchmarks/gpu_crf.py

Images of 500 x 375 pixels with 21 classes, every one of which is filtered, 10 iterations, from probabilities on the GPU
to label maps in the host's memory: the first call, the median of further ones, peak memory, and labels equal to the
CPU's. The photo is the stored one of the tests, shifted for each image of a batch.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import torch

from crf_inputs import CLASSES, SIZE, Labels, Photo, Planes, golden_crf, random_probabilities, resized
from gpu_measure import Record, going_on, gpu_arguments, print_longest, rounded, usage, waits
from shared import machine
from step_measure import peak_memory, synchronise
from tagseg.fast.dense_crf import crf_labels
from tagseg.fast.workspace import Workspaces
from tagseg.pairwise.config import CrfConfig

EVERY_CLASS = CrfConfig(negligible=0.0)
"""No class is left out, whatever its probability."""


def inputs(count: int, size: tuple[int, int], device: torch.device) -> tuple[list[Planes], list[Photo]]:
    """Probabilities on the device and photos: the stored one, shifted along both axes."""
    photo = resized(golden_crf().photo, size)
    photos = [np.ascontiguousarray(np.roll(photo, (17 * i, 29 * i), (0, 1))) for i in range(count)]
    return [random_probabilities(size, seed).to(device) for seed in range(count)], photos


def labels(planes: list[Planes], photos: list[Photo], kept: Workspaces) -> list[Labels]:
    """As ``predict --crf`` makes them."""
    return crf_labels(planes, photos, EVERY_CLASS, kept)


def measure(count: int, size: tuple[int, int], device: torch.device, quick: bool) -> dict[str, Any]:
    """The figures of one batch size; seconds are an image's."""
    planes, photos = inputs(count, size, device)
    kept = Workspaces()
    seconds: list[float] = []
    while len(seconds) < (2 if quick else 12) and sum(seconds[1:]) < 6:
        synchronise(device)
        begin = time.perf_counter()
        with peak_memory(device) as peak:
            labels(planes, photos, kept)
        seconds.append(time.perf_counter() - begin)
    first, median = seconds[0], statistics.median(seconds[1:] or seconds)
    figures: dict[str, Any] = {
        "first_call_s": rounded(first, 3), "seconds": rounded(median), "seconds_an_image": rounded(median / count, 5),
        "memory_gb": rounded(peak[0] / 1e9, 3),
    }  # fmt: skip
    print(f"{count} at once: first call {first:.2f} s, then {1e3 * median:.1f} ms, {peak[0] / 1e9:.2f} GB,")
    print(f"    {1e3 * median / count:.1f} ms an image", flush=True)
    found = usage(lambda: labels(planes, photos, kept), device)
    if found is not None:
        figures |= {"kernels": found.kernels, "busy": rounded(min(1.0, found.busy / median), 3)}
        print(f"    {found.kernels} kernels, busy {found.busy / median:.0%}")
        print_longest(found)
    waited = waits(lambda: labels(planes, photos, kept), device)
    if waited is not None:
        figures["waits"] = waited[0]
        print(
            f"    the host waits {waited[0]} times: {', '.join(f'{place} {n} x' for place, n in waited[1])}", flush=True
        )
    return figures


def equal_labels(size: tuple[int, int], device: torch.device) -> float:
    """Share of the pixels of an image that have the label that the CPU gives."""
    planes, photos = inputs(1, size, device)
    there = labels(planes, photos, Workspaces())[0]
    here = labels([one.cpu() for one in planes], photos, Workspaces())[0]
    return float(np.mean(there == here))


def main() -> None:
    """Measure, print."""
    arguments = gpu_arguments(__doc__).parse_args()
    device = torch.device(arguments.device)
    size = (48, 64) if arguments.quick else SIZE
    record = Record(arguments.json)
    record.add(machine=machine(device), pixels=size[0] * size[1], classes=CLASSES, iterations=EVERY_CLASS.iterations)
    print(f"{size[1]} x {size[0]} pixels, {CLASSES} classes, {EVERY_CLASS.iterations} iterations, {machine(device)}")
    for count in (1, 4, 8):
        failed: dict[str, Any] = {}
        with going_on(f"batch_{count}", failed):
            record.add(**{f"batch_{count}": measure(count, size, device, arguments.quick)})
        record.add(**failed)
    equal = equal_labels(size, device)
    record.add(labels_as_on_the_cpu=rounded(equal, 6))
    print(f"{equal:.4%} of the labels as on the CPU")
    record.close()


if __name__ == "__main__":
    main()
