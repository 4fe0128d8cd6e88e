"""Measure ``predict`` with overlays: the plain path against the fast ones, in float32 and in bfloat16.

Needs the development data (``../shared/data/voc20mix`` and ``../shared/weights``). The full run takes about five
minutes on 2 cores with nothing else running:

    python benchmarks/predict.py
    python benchmarks/predict.py --model runs/voc20mix

Without ``--model``: DeiT-Ti with ImageNet weights and random heads, whose classes nearly tie, so that rounding changes
more labels than with a trained network. Two kinds of photos: those of voc20mix with ``predict``'s defaults, where the
network takes nearly all the time; and the same enlarged to 12 megapixels with one scale and no flip, where reading,
drawing and writing take longer. Prints tables and, last, one line of JSON. ``--quick``: fewer photos and rounds, under
a minute.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from shared import PHOTOS, WEIGHTS, arguments_of, machine, print_json, require, table, timed
from tagseg.data.images import read_image
from tagseg.data.listing import list_photos, photo_paths
from tagseg.data.voc import CLASSES
from tagseg.inference.predict import predict
from tagseg.inference.predictor import open_network
from tagseg.model.config import NetworkConfig
from tagseg.model.network import Network

LARGE = (4000, 3000)
"""Width and height in pixels of a 12-megapixel photo."""
ONE_VIEW: dict[str, Any] = {"scales": (1.0,), "mirror": False, "max_side": 512}
PLAIN = "plain"
WAYS: dict[str, dict[str, Any]] = {
    PLAIN: {"batch": 1, "writers": 0, "read_ahead": False},
    "read ahead": {"batch": 1, "writers": 0},
    "read ahead, 2 writers": {"batch": 1},
    "the same, batch 4": {"batch": 4},
    "plain, bf16": {"batch": 1, "writers": 0, "read_ahead": False, "precision": "bf16"},
    "read ahead, 2 writers, bf16": {"batch": 1, "precision": "bf16"},
    "the same, batch 4, bf16": {"batch": 4, "precision": "bf16"},
}
ON_GPU = {"automatic batch": {}, "automatic batch, bf16": {"precision": "bf16"}}


def network_of(model: str | None) -> Network:
    """A trained network, or DeiT-Ti with ImageNet weights and random heads."""
    if model:
        return open_network(model, "auto")
    torch.manual_seed(0)
    return Network(NetworkConfig(encoder="deit_tiny_patch16_224", weights=str(WEIGHTS)), CLASSES)


def photos(count: int, folder: Path, size: tuple[int, int] | None = None) -> list[Path]:
    """Photos of voc20mix, evenly sampled from its list; optionally enlarged to a width and height."""
    every = photo_paths(list_photos(PHOTOS / "JPEGImages"))
    chosen = [every[i] for i in np.linspace(0, len(every) - 1, count).round().astype(int)]
    if size is None:
        return chosen
    enlarged = [folder / path.name for path in chosen]
    for source, target in zip(chosen, enlarged, strict=True):
        Image.fromarray(read_image(source)).resize(size, Image.Resampling.BICUBIC).save(target, quality=90)
    return enlarged


def measure(
    title: str, network: Network, images: list[Path], ways: dict[str, dict[str, Any]], rounds: int, folder: Path
) -> dict[str, dict[str, float]]:
    """Photos a second of each way, the ways taking turns, and the share of labels equal to the plain path's."""

    def run(name: str, settings: dict[str, Any]) -> Callable[[], object]:
        return partial(predict, network, images, folder / name, quiet=True, **settings)

    seconds = timed({name: run(name, settings) for name, settings in ways.items()}, rounds)
    rows, figures = [], {}
    for name, values in seconds.items():
        middle, equal = statistics.median(values), equal_labels(folder / PLAIN, folder / name)
        speed = statistics.median(plain / own for plain, own in zip(seconds[PLAIN], values, strict=True))
        rate = f"{len(images) / max(values):.2f} to {len(images) / min(values):.2f}"
        rows.append([name, f"{len(images) / middle:.2f}", rate, f"{speed:.2f}", f"{100 * equal:.3f}"])
        figures[name] = {
            "photos_s": round(len(images) / middle, 3), "x_plain": round(speed, 3), "equal": round(equal, 6),
        }  # fmt: skip
    note = (
        f"{len(images)} photos with overlays; median of {rounds} rounds in which the ways take turns, their ratio too."
    )
    table(title, ("way", "photos/s", "slowest to fastest", "x plain", "% equal labels"), rows, note)
    return figures


def equal_labels(plain: Path, other: Path) -> float:
    """Share of the pixels of all masks that have the same label."""
    same = total = 0
    for path in sorted((plain / "masks").rglob("*.png")):
        with Image.open(path) as a, Image.open(other / "masks" / path.relative_to(plain / "masks")) as b:
            equal = np.asarray(a) == np.asarray(b)
        same, total = same + int(equal.sum()), total + equal.size
    return same / total


def main() -> None:
    """Measure and print."""
    parser = arguments_of(__doc__, "a few photos, under a minute")
    parser.add_argument("--model", help="run folder or .safetensors file of a trained network")
    arguments = parser.parse_args()
    require(PHOTOS, *([] if arguments.model else [WEIGHTS]))
    quick = bool(arguments.quick)
    network = network_of(arguments.model)
    gpu = torch.cuda.is_available()
    figures: dict[str, Any] = {"machine": machine(), "network": arguments.model or "DeiT-Ti, random heads"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ways = WAYS | (ON_GPU if gpu else {})
        images = photos(2 if quick else 8, folder)
        figures["voc20mix"] = measure(
            "voc20mix, three scales and mirror", network, images, ways, 1 if quick else 5, folder / "small_out"
        )
        large = {key: ways[key] | ONE_VIEW for key in list(ways)[:3]}
        (folder / "large").mkdir()
        images = photos(1 if quick else 3, folder / "large", LARGE)
        figures["12 megapixels"] = measure(
            "12 megapixels, one view", network, images, large, 1 if quick else 3, folder / "large_out"
        )
    if not gpu:
        print("\nnot measured on a GPU")
    print_json(figures)


if __name__ == "__main__":
    main()
