"""Measure the dense CRF and the dense energy against pydensecrf2 in the same run: agreement, speed, cost, memory.

Needs the development data (``../shared``) and the peer (``uv pip install pydensecrf2``). The full run takes ten to
fifteen minutes on 2 cores with nothing else running:

    python benchmarks/crf.py --model runs/voc20mix

Prints markdown tables and, last, one line of JSON; writes the plot to ``--output``. Two kinds of probabilities:
``random`` (every class wins somewhere, so none can be left out) and, with ``--model``, ``network`` (of a trained
network at three scales). ``--quick`` takes fewer photos and rounds, about a minute; for its photos, logits of a trained
network are stored in ``crf_logits.npz`` (written by ``--model RUN --store``).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from crf_inputs import (
    CLASSES,
    COCO,
    Labels,
    Photo,
    Planes,
    Probabilities,
    coco_photos,
    golden_crf,
    peer_labels,
    plain_marginals,
    planes_of,
    random_probabilities,
    resized,
    resized_planes,
    sources,
    store,
    voc_photos,
)
from crf_speed import growth, measure_speed, wait, warm_up
from shared import GOLDEN, PHOTOS, arguments_of, machine, median_times, print_json, require, stop, table
from tagseg.data.dataset import IGNORE
from tagseg.errors import TagsegError
from tagseg.fast.bilateral import lattice_scale_filter
from tagseg.fast.dense_crf import crf_labels, dense_crf
from tagseg.fast.mean_field import cpu_mean_field
from tagseg.fsr.config import EnergyConfig
from tagseg.fsr.energy import dense_energy
from tagseg.pairwise.config import CrfConfig, FilterMethod

QUICK_PHOTOS = 2
METHODS: tuple[FilterMethod, ...] = ("lattice", "exact")
Row = list[object]
MEMORY = """
import sys, torch
from tagseg.fsr.config import EnergyConfig
from tagseg.data.dataset import IGNORE
from tagseg.fast.bilateral import lattice_scale_filter
from tagseg.fsr.energy import dense_energy

def peak():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

def grown(side):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 21, side, side, generator=generator).requires_grad_()
    image = 255 * torch.rand(1, 3, side, side, generator=generator)
    label = torch.full((1, side, side), IGNORE)
    before = peak()
    dense_energy(logits, image, label, EnergyConfig(), lattice_scale_filter).backward()
    return peak() - before

grown(16)
print(grown(int(sys.argv[1])))
"""
"""Prints by how many kB the process's peak grows; its image is noise: hardly two pixels share a corner of the lattice.
Not ``ru_maxrss``: a process starts with its parent's. Needs Linux."""


def agreement(kinds: dict[str, Probabilities], photos: int) -> tuple[dict[str, Any], dict[str, Photo]]:
    """Labels equal to the peer's, and what leaving classes out changes; also returns a photo of each set."""
    golden = golden_crf()
    sets = {"voc20mix": voc_photos(photos), "500 x 375": coco_photos(photos)}
    rows, agreements, differing = [], {}, 0
    shares, row, differ = _compare([golden.photo], [golden.probabilities], [golden.labels])
    rows.append(["golden", "stored", *row])
    agreements["golden"] = shares
    differing += differ
    for name, images in sets.items():
        for kind, source in kinds.items():
            planes = [source(photo, seed) for seed, photo in enumerate(images)]
            theirs = [peer_labels(plane.numpy(), photo) for plane, photo in zip(planes, images, strict=True)]
            shares, row, differ = _compare(images, planes, theirs)
            rows.append([name, kind, *row])
            agreements[f"{name}, {kind}"] = shares
            differing += differ
    table(
        "Agreement with the C++ implementation",
        ("photos", "probabilities", "count", "% equal labels, mean", "minimum", "labels changed by leaving classes out",
         "classes filtered, mean", "least to most"),
        rows,
        "`golden`: stored probabilities and labels; the others: pydensecrf2 in this run. `random`: every class wins "
        "somewhere; `network`: a trained network's at its three scales. A class is left out of an image where it can "
        f"win no pixel (`negligible` {CrfConfig().negligible:g}); changed: in pixels, against filtering every class.",
    )  # fmt: skip
    chosen = list(kinds)[-1]
    means = {name: float(np.mean(shares)) for name, shares in agreements.items()}
    of_chosen = [value for name, value in means.items() if name == "golden" or name.endswith(chosen)]
    figures = {
        "agreement": round(min(of_chosen), 6),
        "agreement_worst_kind": round(min(means.values()), 6),
        "agreement_worst_photo": round(min(min(shares) for shares in agreements.values()), 6),
        "labels_changed_by_leaving_out": differing,
    }
    return figures, {"golden": golden.photo} | {name: images[0] for name, images in sets.items()}


def _compare(photos: list[Photo], planes: list[Planes], theirs: list[Labels]) -> tuple[list[float], Row, int]:
    """Share of equal labels of each photo, the cells of the table, pixels that leaving classes out changes."""
    config = CrfConfig()
    ours, every = crf_labels(planes, photos, config), crf_labels(planes, photos, CrfConfig(negligible=0))
    shares = [float(np.mean(a == b)) for a, b in zip(ours, theirs, strict=True)]
    differ = sum(int(np.sum(a != b)) for a, b in zip(ours, every, strict=True))
    pairs = zip(planes, photos, strict=True)
    counts = [len(cpu_mean_field(plane.numpy(), photo, config).classes) for plane, photo in pairs]
    of = f"{np.mean(counts):.1f} of {len(planes[0])}"
    row: Row = [len(photos), f"{100 * np.mean(shares):.3f}", f"{100 * min(shares):.3f}", differ, of]
    return shares, [*row, f"{min(counts)} to {max(counts)}"], differ


def exactness(kinds: dict[str, list[Planes]], photos: list[Photo], few: dict[str, Photo], quick: bool) -> float:
    """Distance of the lattice from the exact form and of the exact form from plain float64; the latter's largest."""
    small = (36, 48) if quick else (72, 96)
    rows: list[Row] = []
    for kind, large in kinds.items():
        equal, distance = [], []
        for photo, plane in zip(photos, large, strict=True):
            shrunk = torch.from_numpy(resized(photo, small)).permute(2, 0, 1)[None]
            planes = resized_planes(plane, small)[None]
            lattice, exact = (dense_crf(planes, shrunk, CrfConfig(method=method)) for method in METHODS)
            equal.append(float((lattice.argmax(dim=1) == exact.argmax(dim=1)).float().mean()))
            distance.append(float((lattice - exact).abs().mean()))
        cells = [f"{100 * np.mean(equal):.2f}", f"{100 * min(equal):.2f}", f"{np.mean(distance):.5f}"]
        rows.append([kind, len(photos), *cells])
    table(
        "The lattice against the exact sum",
        ("probabilities", "photos", "% equal labels, mean", "minimum", "mean abs(ΔQ)"),
        rows,
        f"500 x 375 pixels, photo and probabilities shrunk to {small[1]} x {small[0]}: the exact sum is quadratic. The "
        "published sigmas are kept, so they reach farther in the photo than at its own size.",
    )
    errors = {name: _brute_force_error(photo) for name, photo in few.items()}
    table(
        "The exact sum against brute force",
        ("photo", "largest abs(ΔQ)"),
        [[name, f"{error:.1e}"] for name, error in errors.items()],
        "32 x 24 pixels, 6 classes, random probabilities; brute force: both N x N kernels in float64.",
    )
    return max(errors.values())


def _brute_force_error(photo: Photo) -> float:
    size = (24, 32)
    image, planes, config = resized(photo, size), random_probabilities(size, 0, 6), CrfConfig(method="exact")
    ours = dense_crf(planes[None], torch.from_numpy(image).permute(2, 0, 1)[None], config)[0]
    return float((ours.double() - plain_marginals(planes, image, config)).abs().max())


def energy_golden() -> dict[str, float]:
    """The dense energy's loss and gradient against the published implementation's stored ones."""
    with np.load(GOLDEN / "losses.npz") as arrays:
        stored = {
            name: torch.from_numpy(arrays[f"energy_{name}"]) for name in ("logits_small", "label", "loss", "grad")
        }
    with np.load(GOLDEN / "labels.npz") as arrays:
        image = torch.from_numpy(arrays["image_u8"]).float()
    label = stored["label"].long()
    size = label.shape[-2:]
    figures: dict[str, float] = {}
    rows: list[Row] = []
    for method in METHODS:
        logits = F.interpolate(stored["logits_small"], size=size, mode="bilinear", align_corners=False)
        logits.requires_grad_()
        loss = dense_energy(logits, image, label, EnergyConfig(method=method), lattice_scale_filter)
        (gradient,) = torch.autograd.grad(loss, logits)
        ratio = loss.item() / stored["loss"].item()
        cosine = F.cosine_similarity(gradient.flatten().double(), stored["grad"].flatten().double(), dim=0).item()
        length = (gradient.norm() / stored["grad"].norm()).item()
        rows.append([method, f"{ratio:.4f}", f"{cosine:.6f}", f"{length:.4f}"])
        figures |= {f"energy_loss_ratio_{method}": round(ratio, 5), f"energy_cosine_{method}": round(cosine, 6)}
    header = ("method", "loss / published", "cosine of the gradients", "gradient's length / published")
    table("Dense energy against the published implementation", header, rows, "Golden values, 2 images of 192 px.")
    return figures


def energy_time(photos: list[Photo], sides: Sequence[int], rounds: int, device: str) -> dict[str, float]:
    """Seconds of the dense energy forward and backward, a batch of four."""
    rows: list[Row] = []
    figures: dict[str, float] = {}
    for side in sides:
        chosen = [resized(photos[i % len(photos)], (side, side)) for i in range(4)]
        images = torch.from_numpy(np.stack(chosen)).permute(0, 3, 1, 2).float().to(device)
        planes = [random_probabilities((side, side), seed) for seed in range(4)]
        logits = torch.stack(planes).log().to(device).requires_grad_()
        label = torch.where(logits.detach().amax(dim=1) < -0.5, IGNORE, 0)
        cells: Row = []
        for method in METHODS:
            try:
                ways = {"": _energy_step(logits, images, label, method, device)}
                seconds = median_times(ways, rounds)[""]
            except TagsegError:
                cells.append("refused")
                continue
            cells.append(f"{seconds:.3f}")
            figures[f"energy_{device}_{method}_{side}_s"] = round(seconds, 4)
        rows.append([side, *cells])
    name = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    table(
        f"Dense energy, forward and backward on the {'GPU' if device == 'cuda' else 'CPU'}",
        ("side, px", "lattice, s", "exact, s"),
        rows,
        f"4 images, {CLASSES} classes, {name}, median of {rounds}; the filter runs at half the side.",
    )
    return figures


def _energy_step(
    logits: torch.Tensor, images: torch.Tensor, label: torch.Tensor, method: FilterMethod, device: str
) -> Callable[[], None]:
    def run() -> None:
        energy = dense_energy(logits, images, label, EnergyConfig(method=method), lattice_scale_filter)
        torch.autograd.grad(energy, logits)
        wait(device)

    return run


def energy_memory(sides: Sequence[int]) -> dict[str, float]:
    """By how much the energy raises a process's peak memory, against the image's size; a fresh process each."""
    grown = []
    for side in sides:
        command = [sys.executable, "-c", MEMORY, str(side)]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        grown.append(int(result.stdout) * 1024 / 1e6)
    power = growth([side * side for side in sides], grown)
    table(
        "Dense energy, memory",
        ("side, px", "MB", "bytes a pixel and class"),
        [[side, f"{mb:.1f}", f"{mb * 1e6 / side**2 / CLASSES:.1f}"] for side, mb in zip(sides, grown, strict=True)],
        "Growth of the peak by forward and backward, the inputs not counted: lattice, one image of noise (the worst "
        f"case), {CLASSES} classes. It grows with the number of pixels to the power of {power:.2f}.",
    )
    return {"energy_memory_power": round(power, 3), f"energy_memory_mb_{sides[-1]}": round(grown[-1], 1)}


def measure(arguments: argparse.Namespace, output: Path) -> dict[str, Any]:
    """Every part in turn; returns the figures of the JSON line."""
    quick = arguments.quick
    print(f"{machine()}, pydensecrf2 {version('pydensecrf2')}")
    warm = warm_up()
    kinds = sources(arguments.model, quick)
    figures: dict[str, Any] = {"machine": machine(), "probabilities": list(kinds)[-1]}
    agreed, few = agreement(kinds, QUICK_PHOTOS if quick else 20)
    photos = coco_photos(2 if quick else 6)
    planes = planes_of(kinds, photos)
    figures |= agreed
    figures["exact_brute_force_error"] = float(f"{exactness(planes, photos, few, quick):.2e}")
    figures |= measure_speed(planes, photos, output, quick, warm)
    figures |= energy_golden()
    sides, rounds = ((96, 448), 1) if quick else ((224, 448), 5)
    figures |= energy_time(photos, sides, rounds, "cpu")
    if torch.cuda.is_available():
        figures |= energy_time(photos, sides, rounds, "cuda")
    if not quick and sys.platform == "linux":
        figures |= energy_memory((112, 224, 448, 896))
    return figures


def main() -> None:
    """Measure and print."""
    parser = arguments_of(__doc__, "fewer photos and rounds, smaller sizes, no memory")
    parser.add_argument("--model", help="run folder or .safetensors of a network with 20 classes")
    parser.add_argument("--output", help="folder of the plot; default: docs/pairwise, with --quick none is kept")
    parser.add_argument("--store", action="store_true", help="keep the model's logits for --quick and stop")
    arguments = parser.parse_args()
    if find_spec("pydensecrf") is None:
        stop("the peer is not installed: uv pip install pydensecrf2")
    require(PHOTOS, COCO)
    if arguments.store:
        store(arguments.model, [*voc_photos(QUICK_PHOTOS), *coco_photos(QUICK_PHOTOS)])
        return
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(arguments.output or (scratch if arguments.quick else "docs/pairwise"))
        figures = measure(arguments, output)
    print()
    print_json(figures)


if __name__ == "__main__":
    main()
