"""Does the review queue predict the IoU of each photo, and its estimate the mean? Told neither mask nor score.

    python benchmarks/review.py [--quick] [--data animals|voc20mix] [--run RUN] [--split val] [--photos N] [--scales S]
                                [--save FILE] [--fit FILE ...]

Without ``--run`` a decoder on frozen features is trained on 200 photos of voc12_animals' ``train`` first. Then photos
with masks are reviewed, and the estimates compared with their IoU: Spearman's rank correlation with its 95 % interval
(percentiles of 1,000 bootstrap samples), beside the entropy alone and a random rank, with tags known and without.
``--quick``: 100 photos at one scale. ``--save`` keeps signals and IoUs; ``--fit`` writes the numbers that the package
comes with (``src/tagseg/reviewing/fitted.json``) from such files of photos of ``train``. Development data needed. The
last line is JSON; ``spearman`` and ``estimated_mean_iou`` (%) are with tags and labels.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

import tagseg
from minutes import QUICK_PHOTOS, configuration, subset
from shared import ANIMALS, PHOTOS, ROOT, WEIGHTS, arguments_of, machine, print_json, require, stop, table
from tagseg.data import sources
from tagseg.data.config import DataConfig
from tagseg.data.relabel import in_classes_of
from tagseg.inference.batches import Batches
from tagseg.inference.multi_scale import MultiScale
from tagseg.inference.predictor import open_network
from tagseg.inference.segment import NATIVE, SCALES, label_map
from tagseg.model.network import Network
from tagseg.progress import progress
from tagseg.reviewing.agreement import photo_iou
from tagseg.reviewing.estimate import Fitted, as_json, fitted
from tagseg.reviewing.measure import NAMES, Measured, measure
from tagseg.reviewing.told_tags import labels_told_tags
from tagseg.reviewing.views import Views, photo_views

DATA = {"animals": ANIMALS, "voc20mix": PHOTOS}
USED = ("expected_iou", "tags", "labels")
"""What estimates are made from: of the sets tried on photos of ``train``, the smallest that none was better than."""
SHIFT = 0.05
"""Standard deviation of the error of a mean on photos of another kind than those fitted to (docs/review.md)."""
WITHOUT_TAGS = ("tags", "labels")
HEADER = (
    "known", "Spearman with the IoU (95 %)", "estimated mean IoU %", "mean IoU % after the first fifth is corrected",
)  # fmt: skip
SAMPLES = 1000
"""Bootstrap samples."""


@dataclass(frozen=True)
class Scored:
    """Signals and IoUs of n photos; ``seconds`` are of the network and of the signals, a photo."""

    signals: Float64[ndarray, "n m"]
    ious: Float64[ndarray, " n"]
    seconds: tuple[float, float] = (0.0, 0.0)

    def estimates(self, fit: Fitted, without: Sequence[str] = ()) -> Float64[ndarray, " n"]:
        """What photos are ranked by, as if some signals were not known."""
        known = [{name: value for name, value in zip(NAMES, row, strict=True) if name not in without}
                 for row in self.signals]  # fmt: skip
        return np.array([fit(signals).value for signals in known])

    def signal(self, name: str) -> Float64[ndarray, " n"]:
        """One signal."""
        return self.signals[:, NAMES.index(name)]


def main() -> None:
    """Train if need be, review, compare, print."""
    arguments = parsed()
    if arguments.fit:
        write_fit([Path(name) for name in arguments.fit])
        return
    require(DATA[arguments.data], WEIGHTS)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as scratch:
        network = open_network(arguments.run or trained(Path(scratch)), "cpu")
        scored = score(network, arguments, Path(scratch) / "features")
    if arguments.save:
        np.savez(arguments.save, signals=scored.signals, ious=scored.ious)
    report(scored, arguments)


def parsed() -> argparse.Namespace:
    """The arguments."""
    parser = arguments_of(__doc__, "100 photos at one scale")
    parser.add_argument("--data", choices=list(DATA), default="animals", help="photos to review")
    parser.add_argument("--run", default="", help="run folder or network; default: one is trained on 200 animals")
    parser.add_argument("--split", default="val", help="of the photos to review")
    parser.add_argument("--photos", type=int, default=0, help="number of photos, sampled evenly; default: all")
    parser.add_argument("--scales", type=float, nargs="+", default=[], help="default 1 1.25 1.5")
    parser.add_argument("--save", default="", help="keep signals and IoUs in this .npz file")
    parser.add_argument("--fit", nargs="+", default=[], help="saved files to fit to, and nothing else")
    arguments = parser.parse_args()
    arguments.photos = arguments.photos or (100 if arguments.quick else 0)
    arguments.scales = tuple(arguments.scales) or ((1.0,) if arguments.quick else SCALES)
    if arguments.data == "voc20mix" and not arguments.run:
        stop("--data voc20mix needs --run, a network with its classes")
    return arguments


def trained(folder: Path) -> Path:
    """A network trained on the tags of 200 animals."""
    data = subset(folder / "photos", QUICK_PHOTOS)
    return tagseg.train(configuration(data, folder, 320, 0)).network


def score(network: Network, arguments: argparse.Namespace, features: Path) -> Scored:
    """Signals and IoU of each photo; masks are read for the IoU alone."""
    data = DataConfig(root=str(DATA[arguments.data]))
    images = in_classes_of(sources.load(data, arguments.split), network.classes).with_masks()
    count = min(arguments.photos or len(images), len(images))
    samples = [images.samples[index * len(images) // count] for index in range(count)]
    multi_scale = MultiScale(arguments.scales, True, NATIVE)
    sizes = partial(multi_scale.sizes, patch=network.patch_size)
    measured: dict[int, Measured] = {}
    ious: dict[int, float] = {}
    times = np.zeros(2)

    def views(photos: list[ndarray]) -> list[Views]:
        started = time.perf_counter()
        made = photo_views(network, photos, multi_scale)
        times[0] += time.perf_counter() - started
        return made

    with progress(count, "review") as bar:
        device = next(network.parameters()).device
        for index, seen in Batches().each([sample.image for sample in samples], sizes, views, device):
            if isinstance(seen, str):
                stop(seen)
            assert isinstance(seen, Views)  # stop does not return
            tags = np.zeros(len(network.classes), bool)
            tags[list(samples[index].tags)] = True
            started = time.perf_counter()
            measured[index] = measure(seen, tags)
            times[1] += time.perf_counter() - started
            mask = samples[index].mask
            assert mask is not None  # with_masks() left no other
            ious[index] = photo_iou(label_map([grid.mean(dim=0) for grid in seen.grids], seen.size), mask())
            bar.update()
    labels = labels_told_tags(network, [replace(sample, mask=None) for sample in samples], features)
    told = [measured[index].told(labels[index]).signals for index in range(count)]
    signals = np.array([[one[name] for name in NAMES] for one in told])
    return Scored(signals, np.array([ious[index] for index in range(count)]), (times[0] / count, times[1] / count))


def report(scored: Scored, arguments: argparse.Namespace) -> None:
    """The tables and the line of JSON."""
    fit, count = fitted(), len(scored.ious)
    ways = {
        "tags and labels": scored.estimates(fit),
        "tags": scored.estimates(fit, ("labels",)),
        "photos alone": scored.estimates(fit, WITHOUT_TAGS),
        "entropy alone": -scored.signal("entropy"),
        "random": np.random.default_rng(0).permutation(count).astype(float),
    }
    rows, found = [], {}
    for name, values in ways.items():
        found[name] = spearman(values, scored.ious)
        low, high = interval(values, scored.ious)
        estimate = f"{100 * values.clip(0, 1).mean():.1f}" if name not in ("entropy alone", "random") else ""
        after = f"{100 * corrected(values, scored.ious):.1f}"
        rows.append((name, f"{found[name]:.2f} ({low:.2f} to {high:.2f})", estimate, after))
    rows.append(("the IoU itself", "1", "", f"{100 * corrected(scored.ious, scored.ious):.1f}"))
    title = f"{arguments.data} {arguments.split}, {count} photos, scales {arguments.scales}, {machine()}"
    truth = f"mean IoU of a photo: {100 * scored.ious.mean():.1f} %"
    table(title, HEADER, rows, truth)
    singly = [(name, f"{spearman(scored.signal(name), scored.ious):.2f}") for name in NAMES
              if np.isfinite(scored.signal(name)).all()]  # fmt: skip
    times = f"seconds a photo: network {scored.seconds[0]:.3f}, signals {scored.seconds[1]:.3f}"
    table("each signal alone", ("signal", "Spearman"), singly, times)
    print_json({
        "spearman": round(found["tags and labels"], 3),
        "spearman_photos_alone": round(found["photos alone"], 3),
        "spearman_entropy": round(found["entropy alone"], 3),
        "spearman_random": round(found["random"], 3),
        "estimated_mean_iou": round(100 * float(ways["tags and labels"].clip(0, 1).mean()), 2),
        "mean_iou": round(100 * float(scored.ious.mean()), 2),
        "photos": count,
    })  # fmt: skip


def corrected(values: Float64[ndarray, " n"], ious: Float64[ndarray, " n"]) -> float:
    """Mean IoU if the fifth of the photos with the lowest values had perfect masks."""
    after = ious.copy()
    after[np.argsort(values, kind="stable")[: len(values) // 5]] = 1
    return float(after.mean())


def spearman(one: Float64[ndarray, " n"], other: Float64[ndarray, " n"]) -> float:
    """Spearman's rank correlation; equal values share their mean rank. nan where all are equal."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _ranks(values: Float64[ndarray, " n"]) -> Float64[ndarray, " n"]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place.reshape(-1)]


def interval(one: Float64[ndarray, " n"], other: Float64[ndarray, " n"]) -> tuple[float, float]:
    """95 % interval of ``spearman`` by bootstrap over photos."""
    generator = np.random.default_rng(0)
    drawn = generator.integers(0, len(one), (SAMPLES, len(one)))
    low, high = np.nanpercentile([spearman(one[row], other[row]) for row in drawn], [2.5, 97.5])
    return float(low), float(high)


def write_fit(files: Sequence[Path]) -> None:
    """Write the numbers that the package comes with."""
    saved = [np.load(file) for file in files]
    signals, ious = (np.concatenate([one[name] for one in saved]) for name in ("signals", "ious"))
    fit = Fitted.of(NAMES, USED, signals, ious, SHIFT)
    path = ROOT / "src" / "tagseg" / "reviewing" / "fitted.json"
    path.write_text(as_json(fit), encoding="utf-8")
    print(f"{path}: {fit.photos} photos, error of one photo {100 * fit.scatter(USED):.1f} points")


if __name__ == "__main__":
    main()
