"""What exported networks cost and give: mIoU, equal labels, size, and photos a second on this machine.

    python benchmarks/export.py [--quick] [--model RUN] [--size 320] [--formats onnx,onnx-float16,onnx-int8,openvino]

Without ``--model`` a network is trained on tags first (1,044 photos of voc12_animals' ``train``, DeiT-Ti, frozen
features). Each format is made by ``tagseg.export`` at one fixed size, compared and calibrated on 20 photos of
``train``, and scored on ``val`` (445 photos, resized to a square, one scale, not mirrored, labels at native size).
Speed is that of the network alone, one photo at a time, the ways taking turns, medians of the rounds; the ratio to
PyTorch is of the same round. ``--quick``: a network of 40 photos and 40 steps, compared and
calibrated on 6 photos, scored on 24. Development data needed. Prints a table and, last, one line of JSON: by format
``mean_iou``, ``lost`` (points), ``equal_labels`` (%), ``megabytes``, ``photos_a_second`` and ``speed`` (times PyTorch).
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray

import tagseg
from minutes import configuration, subset
from shared import ANIMALS, WEIGHTS, arguments_of, machine, print_json, require, table
from tagseg.config import replace
from tagseg.data.dataset import Sample
from tagseg.data.images import read_image
from tagseg.data.sources import load
from tagseg.exporting.formats import FORMATS
from tagseg.exporting.graph import ExportGraph
from tagseg.inference.segment import label_map
from tagseg.metrics.segmentation import SegmentationScore
from tagseg.model.network import Network
from tagseg.progress import progress

TORCH = "torch (PyTorch, float32)"
Run = Callable[[ndarray], ndarray]


def main() -> None:
    """Export, score, time, print."""
    arguments = parsed()
    require(ANIMALS, WEIGHTS)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as scratch:
        data = configuration(subset(Path(scratch) / "photos", 40 if arguments.quick else 1_044), Path(scratch), 320, 0)
        if arguments.quick:
            data = replace(data, run={"steps": 40})
        model = Path(arguments.model) if arguments.model else tagseg.train(data).network
        training = [sample.image for sample in load(data.data, "train", masks=False).samples]
        compared = 6 if arguments.quick else 20
        exported = tagseg.export(
            model, Path(scratch) / "export", format=arguments.formats, size=arguments.size,
            photos=training[:: max(1, len(training) // compared)][:compared],
        )  # fmt: skip
        network = tagseg.load_network(model)
        graph = ExportGraph(network, arguments.size)
        runs = {TORCH: by_torch(network)} | {
            name: FORMATS[name].open(files[0]) for name, files in exported.files.items()
        }
        megabytes = {name: sum(file.stat().st_size for file in files) / 1e6 for name, files in exported.files.items()}
        samples = load(data.data, "val").with_masks().samples
        samples = samples[:: max(1, len(samples) // arguments.photos)][: arguments.photos]
        results = scored(runs, graph, samples)
        speeds = timed(runs, [graph.input_of(read_image(sample.image)) for sample in samples[:8]], arguments.rounds)
    show(arguments, results, speeds, megabytes, len(samples))


def parsed() -> argparse.Namespace:
    """The arguments."""
    parser = arguments_of(__doc__, "a network of 40 photos, 24 photos of val, 3 rounds")
    parser.add_argument("--model", default="", help="run folder or .safetensors file of a network for voc12_animals")
    parser.add_argument("--size", type=int, default=320, help="side in pixels of the square input")
    parser.add_argument("--formats", default="onnx,onnx-float16,onnx-int8,openvino", help="formats of tagseg export")
    parser.add_argument("--photos", type=int, default=0, help="photos of val that are scored; default 445")
    parser.add_argument("--rounds", type=int, default=0, help="rounds of the timing; default 9")
    arguments = parser.parse_args()
    arguments.photos = arguments.photos or (24 if arguments.quick else 445)
    arguments.rounds = arguments.rounds or (3 if arguments.quick else 9)
    return arguments


def by_torch(network: Network) -> Run:
    """The network itself, from the graph's input."""

    @torch.inference_mode()
    def run(image: Float[ndarray, "1 H W 3"]) -> Float[ndarray, "1 C h w"]:
        logits: ndarray = network.segment_logits(network.normalise(torch.from_numpy(image).permute(0, 3, 1, 2))).numpy()
        return logits

    return run


def scored(runs: Mapping[str, Run], graph: ExportGraph, samples: tuple[Sample, ...]) -> dict[str, dict[str, float]]:
    """mIoU in %, and share of labels equal to PyTorch's in %, of each way."""
    classes = len(graph.network.classes) + 1
    scores = {name: SegmentationScore(classes) for name in runs}
    equal, pixels = dict.fromkeys(runs, 0), 0
    with progress(len(samples), "score") as bar:
        for sample in samples:
            assert sample.mask is not None
            photo, truth = read_image(sample.image), sample.mask()
            image, size = graph.input_of(photo), (photo.shape[0], photo.shape[1])
            labels = {name: labels_of(run(image), size) for name, run in runs.items()}
            for name, found in labels.items():
                scores[name].update(found, truth)
                equal[name] += int((found == labels[TORCH]).sum())
            pixels += truth.size
            bar.update()
    return {
        name: {"mean_iou": 100 * score.compute().mean_iou, "equal_labels": 100 * equal[name] / pixels}
        for name, score in scores.items()
    }


def labels_of(logits: Float[ndarray, "1 C h w"], size: tuple[int, int]) -> UInt8[ndarray, "H W"]:
    """The label map at the photo's size."""
    return label_map([torch.from_numpy(logits[0].astype(np.float32))], size)


def timed(runs: Mapping[str, Run], images: list[ndarray], rounds: int) -> dict[str, tuple[float, float]]:
    """Photos a second, and how many times that of PyTorch; medians of rounds in which the ways take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            for image in images:
                run(image)
            if number:  # the first one warms up
                seconds[name].append((time.perf_counter() - started) / len(images))
    return {
        name: (
            1 / statistics.median(taken),
            statistics.median(theirs / own for theirs, own in zip(seconds[TORCH], taken, strict=True)),
        )
        for name, taken in seconds.items()
    }


def show(
    arguments: argparse.Namespace,
    results: Mapping[str, dict[str, float]],
    speeds: Mapping[str, tuple[float, float]],
    megabytes: Mapping[str, float],
    photos: int,
) -> None:
    """Print the table and the line of JSON."""
    rows, figures = [], {}
    best = results[TORCH]["mean_iou"]
    for name, result in results.items():
        size = f"{megabytes[name]:.1f}" if name in megabytes else ""
        lost = f"{round(best - result['mean_iou'], 2) + 0.0:.2f}"  # 0.0 is added as -0.0 would read like a gain
        speed = (f"{speeds[name][0]:.1f}", f"{speeds[name][1]:.2f}")
        rows.append((name, f"{result['mean_iou']:.2f}", lost, f"{result['equal_labels']:.3f}", size, *speed))
        figures[name] = {
            "mean_iou": round(result["mean_iou"], 2), "lost": round(best - result["mean_iou"], 2) + 0.0,
            "equal_labels": round(result["equal_labels"], 3), "megabytes": round(megabytes.get(name, 0.0), 1),
            "photos_a_second": round(speeds[name][0], 2), "speed": round(speeds[name][1], 2),
        }  # fmt: skip
    header = ("format", "mIoU %", "lost", "labels equal %", "MB", "photos a second", "times PyTorch")
    title = f"{photos} photos of val, {arguments.size} x {arguments.size} px, {machine()}"
    table(title, header, rows, versions())
    print_json({"photos": photos, "size": arguments.size, "formats": figures})


def versions() -> str:
    """Versions of the runtimes."""
    from importlib.metadata import version

    return ", ".join(f"{name} {version(name)}" for name in ("onnx", "onnxruntime", "openvino"))


if __name__ == "__main__":
    main()
