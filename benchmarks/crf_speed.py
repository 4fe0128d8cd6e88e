"""The parts of ``crf.py`` that take time: the CRF and its filter on the CPU and a GPU, and how their cost grows."""

from __future__ import annotations

import math
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy import ndarray

from crf_inputs import (
    CLASSES,
    RANDOM,
    Labels,
    Photo,
    Planes,
    peer_labels,
    random_probabilities,
    resized,
)
from shared import median_times, table, timed
from tagseg.fast.bilateral import gaussian_filter
from tagseg.fast.dense_crf import crf_labels, dense_crf
from tagseg.pairwise.bilateral import MOST_EXACT
from tagseg.pairwise.config import CrfConfig, FilterMethod
from tagseg.pairwise.lattice import pixel_features

OURS, ONE, PEER, TWO = "ours, 2 threads", "ours, 1 thread", "peer, one after the other", "peer, 2 processes"
FIRST_CALL = """
import time, numpy as np, torch
from tagseg.pairwise.config import CrfConfig
from tagseg.fast.dense_crf import crf_labels
probabilities, photo = torch.full((2, 8, 8), 0.5), np.zeros((8, 8, 3), np.uint8)
started = time.perf_counter()
crf_labels([probabilities], [photo], CrfConfig())
print(time.perf_counter() - started)
"""
_CASES: list[tuple[ndarray, Photo]] = []  # of a process of the pool


@contextmanager
def threads(count: int) -> Iterator[None]:
    """PyTorch, and with it our images, on so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def labels_with(count: int, planes: Sequence[Planes], photos: Sequence[Photo]) -> list[Labels]:
    """Our labels on so many threads."""
    with threads(count):
        return crf_labels(planes, photos, CrfConfig())


def first_calls() -> tuple[float, float]:
    """Seconds of the first CRF of a process: with nothing compiled before, and with what that one left on disk."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"NUMBA_CACHE_DIR": cache}
        command = [sys.executable, "-c", FIRST_CALL]
        runs = [subprocess.run(command, env=environment, capture_output=True, text=True, check=True) for _ in range(2)]
    return float(runs[0].stdout), float(runs[1].stdout)


def speed_cpu(
    kinds: dict[str, list[Planes]], photos: list[Photo], rounds: int, quick: bool
) -> dict[str, dict[str, float]]:
    """Images a second of both on the CPU, for each kind of probabilities; returns seconds an image of each way.

    ``quick``: ours with two threads and the peer one after the other, each photo twice; no other ways.
    """
    if quick:
        kinds, photos = {kind: planes * 2 for kind, planes in kinds.items()}, photos * 2
    rows: list[Sequence[object]] = []
    medians: dict[str, dict[str, float]] = {}
    for kind, planes in kinds.items():
        seconds = _time_quickly(planes, photos, rounds) if quick else _time_ways(planes, photos, rounds)
        medians[kind] = {way: statistics.median(values) for way, values in seconds.items()}
        for way, values in seconds.items():
            middle = medians[kind][way]
            ratios = [f"{medians[kind][peer] / middle:.2f}" if peer in seconds else "-" for peer in (PEER, TWO)]
            spread = f"{min(values):.3f} to {max(values):.3f}"
            rows.append((kind, way, f"{middle:.3f}", spread, f"{1 / middle:.2f}", *ratios))
    height, width = photos[0].shape[:2]
    table(
        "Speed on the CPU",
        ("probabilities", "way", "s an image", "fastest to slowest round", "images/s", f"x {PEER}", f"x {TWO}"),
        rows,
        f"{width} x {height} pixels, {CLASSES} classes, {CrfConfig().iterations} iterations, from probabilities to "
        f"labels; {len(photos)} images a round, wall time over images, median of {rounds} rounds in which the ways "
        "take turns.",
    )
    return medians


def _time_quickly(planes: list[Planes], photos: list[Photo], rounds: int) -> dict[str, list[float]]:
    """As ``_time_ways``, without one thread and without processes."""
    cases = [(plane.numpy(), photo) for plane, photo in zip(planes, photos, strict=True)]
    ways: dict[str, Callable[[], object]] = {
        OURS: lambda: labels_with(2, planes, photos),
        PEER: lambda: [peer_labels(*case) for case in cases],
    }
    return {way: [value / len(photos) for value in values] for way, values in timed(ways, rounds).items()}


def _time_ways(planes: list[Planes], photos: list[Photo], rounds: int) -> dict[str, list[float]]:
    """Seconds an image of each way in each round."""
    cases = [(plane.numpy(), photo) for plane, photo in zip(planes, photos, strict=True)]
    # The processes get their images as they start: handing them over is none of the time.
    with multiprocessing.get_context("spawn").Pool(2, _keep, (cases,)) as pool:
        ways: dict[str, Callable[[], object]] = {
            OURS: lambda: labels_with(2, planes, photos),
            PEER: lambda: [peer_labels(*case) for case in cases],
            TWO: lambda: pool.map(_peer_of, range(len(cases)), chunksize=1),
            ONE: lambda: labels_with(1, planes, photos),
        }
        seconds = timed(ways, rounds)
    return {way: [value / len(photos) for value in values] for way, values in seconds.items()}


def _keep(cases: list[tuple[ndarray, Photo]]) -> None:
    _CASES.extend(cases)


def _peer_of(index: int) -> Labels:
    return peer_labels(*_CASES[index])


def speed_gpu(
    kinds: dict[str, list[Planes]], photos: list[Photo], rounds: int, peer: dict[str, float], device: str = "cuda"
) -> dict[str, float]:
    """The CRF on a GPU: seconds an image, ratio to the peer and labels equal to the CPU's; the ratios at batch 8.

    Args:
        kinds: the photos' probabilities of each kind.
        photos: of one size.
        rounds: of the timing.
        peer: the peer's seconds an image for each kind.
        device: ``cuda``; anything else only to try the code.
    """
    rows: list[Sequence[object]] = []
    ratios: dict[str, float] = {}
    for kind, planes in kinds.items():
        on_cpu = np.stack(crf_labels(planes, photos, CrfConfig()))
        stacked = torch.stack(planes).to(device)
        images = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).to(device)
        cases: list[tuple[FilterMethod, int]] = [("lattice", 1), ("lattice", 8), ("exact", 1)]
        for method, batch in cases if device == "cuda" else cases[:2]:
            index = torch.arange(batch) % len(photos)
            run = _marginals(stacked[index], images[index], CrfConfig(method=method), device)
            equal = np.mean(run().argmax(dim=1).cpu().numpy() == on_cpu[index.numpy()])
            seconds = median_times({method: run}, rounds)[method] / batch
            if (method, batch) == ("lattice", 8):
                ratios[kind] = peer[kind] / seconds
            rows.append(
                (kind, method, batch, f"{1e3 * seconds:.1f}", f"{peer[kind] / seconds:.1f}", f"{100 * equal:.3f}")
            )
    header = ("probabilities", "method", "images at once", "ms an image", f"x {PEER}", "% labels as on the CPU")
    name = torch.cuda.get_device_name() if device == "cuda" else device
    note = f"{name}; to marginals, photos and probabilities on it already; median of at least {rounds}."
    table("Speed on the GPU", header, rows, note)
    return ratios


def _marginals(
    planes: torch.Tensor, images: torch.Tensor, config: CrfConfig, device: str
) -> Callable[[], torch.Tensor]:
    def run() -> torch.Tensor:
        marginals = dense_crf(planes, images, config)
        wait(device)
        return marginals

    return run


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def filter_cost(photo: Photo, counts: Sequence[int], device: str, rounds: int) -> dict[str, list[tuple[int, float]]]:
    """Seconds of one Gaussian filter against the number of points, exact and lattice; where they take as long."""
    config = CrfConfig()
    seconds: dict[str, list[tuple[int, float]]] = {"exact": [], "lattice": []}
    for count in counts:
        height = round(math.sqrt(0.75 * count))
        image = torch.from_numpy(resized(photo, (height, round(count / height)))).permute(2, 0, 1)[None].to(device)
        points = pixel_features(image.float(), config.bilateral_sigma_xy, config.bilateral_sigma_rgb)
        values = torch.rand(1, points.shape[1], CLASSES, generator=torch.Generator().manual_seed(0)).to(device)
        ways = {name: _filter(points, values, name, device) for name in seconds}
        for name, median in median_times(ways, rounds).items():
            seconds[name].append((points.shape[1], median))
    times = [(n, exact, lattice) for (n, exact), (_, lattice) in zip(*seconds.values(), strict=True)]
    rows = [(f"{n:,}", f"{1e3 * exact:.2f}", f"{1e3 * near:.2f}", f"{exact / near:.2f}") for n, exact, near in times]
    equal = crossing([n for n, _, _ in times], [exact / lattice for _, exact, lattice in times])
    table(
        f"Gaussian filter, exact or lattice, on the {'GPU' if device == 'cuda' else 'CPU'}",
        ("points", "exact, ms", "lattice, ms", "exact / lattice"),
        rows,
        f"One image of {CLASSES} channels, sigmas {config.bilateral_sigma_xy:g} px and {config.bilateral_sigma_rgb:g} "
        f"levels, the lattice built each time, median of at least {rounds}; on a CPU the exact sum has "
        f"{torch.get_num_threads()} threads, the lattice one an image. Both take as long {equal}; `auto` changes at "
        f"{MOST_EXACT[device]:,}.",
    )
    return seconds


def _filter(points: torch.Tensor, values: torch.Tensor, method: str, device: str) -> Callable[[], None]:
    def run() -> None:
        gaussian_filter(points, values, "exact" if method == "exact" else "lattice")
        wait(device)

    return run


def crossing(counts: Sequence[int], ratios: Sequence[float]) -> str:
    """Where the last ratio below 1 passes to one above, interpolated on logarithmic axes, in words."""
    below = [i for i, ratio in enumerate(ratios) if ratio < 1]
    if not below:
        return f"below {counts[0]:,} points"
    i = below[-1]
    if i == len(counts) - 1:
        return f"above {counts[i]:,} points"
    share = math.log(1 / ratios[i]) / math.log(ratios[i + 1] / ratios[i])
    return f"at {counts[i] * (counts[i + 1] / counts[i]) ** share:,.0f} points"


def sweep(
    photo: Photo, sizes: Sequence[tuple[int, int]], classes: Sequence[int], rounds: int
) -> tuple[list[tuple[int, float, float]], list[tuple[int, float, float]]]:
    """Cost of one image on one thread against its size and the number of classes: (x, ours, peer) in seconds."""
    by_size = [_both(photo, (h, w), CLASSES, rounds) for w, h in sizes]
    middle = sizes[len(sizes) // 2]
    by_class = [_both(photo, (middle[1], middle[0]), k, rounds) for k in classes]
    rows = [(f"{w} x {h}", CLASSES, *_cells(times)) for (w, h), times in zip(sizes, by_size, strict=True)]
    rows += [(f"{middle[0]} x {middle[1]}", k, *_cells(times)) for k, times in zip(classes, by_class, strict=True)]
    pixels = [(w * h, *times) for (w, h), times in zip(sizes, by_size, strict=True)]
    kinds = [(k, *times) for k, times in zip(classes, by_class, strict=True)]
    powers = [f"{growth([p[0] for p in pixels], [p[who] for p in pixels]):.2f}" for who in (1, 2)]
    table(
        "Cost against size and classes",
        ("pixels", "classes", "ours, s", "peer, s", "ratio"),
        rows,
        f"One image, one thread each, {RANDOM} probabilities (every class is filtered), median of at least {rounds}. "
        f"Time grows with the number of pixels to the power of {powers[0]} (ours) and {powers[1]} (peer).",
    )
    return pixels, kinds


def _both(photo: Photo, size: tuple[int, int], classes: int, rounds: int) -> tuple[float, float]:
    image, planes = resized(photo, size), random_probabilities(size, 0, classes)
    array = planes.numpy()
    ways: dict[str, Callable[[], object]] = {
        ONE: lambda: labels_with(1, [planes], [image]),
        PEER: lambda: peer_labels(array, image),
    }
    seconds = median_times(ways, rounds)
    return seconds[ONE], seconds[PEER]


def _cells(times: tuple[float, float]) -> tuple[str, str, str]:
    ours, peer = times
    return f"{ours:.4f}", f"{peer:.4f}", f"{peer / ours:.2f}"


def growth(x: Sequence[float], y: Sequence[float]) -> float:
    """The power of x with which y grows: the slope on logarithmic axes."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def draw(
    path: Path,
    size: tuple[int, int],
    pixels: list[tuple[int, float, float]],
    classes: list[tuple[int, float, float]],
    filters: dict[str, list[tuple[int, float]]],
) -> None:
    """Three panels side by side on logarithmic axes, to a PNG; ``size`` is the width and height of the middle one."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 4.4), layout="constrained")
    lines: list[tuple[str, str, dict[str, list[tuple[float, float]]]]] = [
        (f"CRF, {CLASSES} classes, one thread", "pixels of the image (thousands)", _curves(pixels, 1e3)),
        (f"CRF, {size[0]} x {size[1]} pixels, one thread", "classes", _curves(classes, 1)),
        (
            f"Gaussian filter, {CLASSES} channels",
            "points",
            {n: [(float(x), y) for x, y in v] for n, v in filters.items()},
        ),
    ]
    for axis, (title, label, curves) in zip(figure.subplots(1, len(lines)), lines, strict=True):
        for name, points in curves.items():
            axis.loglog(*zip(*points, strict=True), marker="o", label=name)
        axis.set(title=title, xlabel=label, ylabel="seconds")
        axis.grid(True, which="both", alpha=0.25)
        axis.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _curves(points: list[tuple[int, float, float]], unit: float) -> dict[str, list[tuple[float, float]]]:
    return {"ours": [(x / unit, o) for x, o, _ in points], "pydensecrf2": [(x / unit, p) for x, _, p in points]}


def warm_up() -> float:
    """Seconds of the first CRF of this process."""
    started = time.perf_counter()
    crf_labels([torch.full((2, 8, 8), 0.5)], [np.zeros((8, 8, 3), np.uint8)], CrfConfig())
    return time.perf_counter() - started


def measure_speed(
    kinds: dict[str, list[Planes]], photos: list[Photo], output: Path, quick: bool, warm: float
) -> dict[str, Any]:
    """Parts 3 to 5: the tables, the plot, and the figures of the JSON line."""
    rounds = 1 if quick else 5
    chosen = list(kinds)[-1]
    seconds = speed_cpu(kinds, photos, rounds, quick)
    first = f"First call in this process: {warm:.1f} s"
    figures: dict[str, Any] = {"first_call_s": round(warm, 1)}
    if not quick:
        nothing, cached = first_calls()
        first += (
            f"; of a fresh process with nothing compiled before {nothing:.1f} s, with its result on disk {cached:.1f} s"
        )
        figures |= {"first_call_uncached_s": round(nothing, 1), "first_call_cached_s": round(cached, 1)}
    print(f"\n{first}.")
    ratio = {kind: times[PEER] / times[OURS] for kind, times in seconds.items()}
    figures |= {
        "speedup_cpu": round(ratio[chosen], 2),
        "speedup_cpu_every_class": round(ratio[RANDOM], 2),
        "speedup_cpu_two_processes": None if quick else round(seconds[chosen][TWO] / seconds[chosen][OURS], 2),
        "images_per_second_cpu": round(1 / seconds[chosen][OURS], 2),
        "speedup_gpu": None,
    }
    sizes = [(64, 48), (96, 72), (125, 94)] if quick else [(125, 94), (250, 188), (500, 375), (707, 530), (1000, 750)]
    classes = (2, 5, 10) if quick else (2, 5, 10, 21, 41, 81)
    counts = (500, 1000, 2000) if quick else (500, 1000, 2000, 4000, 8000, 14000, 20000)
    if torch.cuda.is_available():
        peer = {kind: times[PEER] for kind, times in seconds.items()}
        figures["speedup_gpu"] = round(speed_gpu(kinds, photos, rounds, peer)[chosen], 1)
        filter_cost(photos[0], (*counts, 40000, 80000, 187500), "cuda", rounds)
    else:
        print("\n### Speed on the GPU\n\nnot measured: no GPU")
    pixels, by_class = sweep(photos[0], sizes, classes, 1 if quick else 3)
    filters = filter_cost(photos[0], counts, "cpu", 1 if quick else 5)
    draw(output / "cost.png", sizes[len(sizes) // 2], pixels, by_class, filters)
    return figures
