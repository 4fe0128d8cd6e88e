"""Pseudo-labels of the method ``frozen``, refined (PAR, dense CRF, class thresholds), and what they teach.

    python benchmarks/experiments/refined_labels.py [--quick] [--photos 1044] [--dev 447] [--steps 400] [--seeds 1]
        [--features FOLDER] [--ways NAME,NAME]

Fits to the tags of evenly sampled photos of voc12_animals' ``train``, trains a decoder with the tag prior on each way's
labels, and scores it on other photos of ``train`` (``dev``). Labels are scored on their own photos. Both at four times
the patch grid. ``--features`` keeps the features. Development data needed. Prints a table (%) and, last, one line of
JSON: labels' mIoU and foreground IoU, and the decoders' mIoU and foreground IoU, seed by seed.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[1]))  # for ``shared``

from shared import ANIMALS, WEIGHTS, arguments_of, machine, print_json, require, table
from tagseg.config import Config, replace
from tagseg.data import sources
from tagseg.data.dataset import IGNORE, TaggedImages
from tagseg.data.images import read_image
from tagseg.fast.par import refine
from tagseg.frozen.config import DecoderConfig
from tagseg.frozen.crf_labels import labels_after_crf, probabilities
from tagseg.frozen.decoder import DecoderRun, standardise, train_decoder
from tagseg.frozen.features import FrozenFeatures, frozen_features
from tagseg.frozen.foreground import estimated_share
from tagseg.frozen.labels import fit_to_some, foreground_planes, label_of_planes, mask_labels
from tagseg.frozen.tag_classifiers import fit_tag_prior
from tagseg.fsr.config import LabelConfig
from tagseg.metrics.segmentation import SegmentationScore
from tagseg.model.network import Network
from tagseg.presets import PRESETS
from tagseg.progress import with_progress

SCORED = 4
"""Pixels to a patch, along each side, that are scored."""
REFINED = 8
"""The same for PAR, whose neighbours are up to 24 pixels away."""

Labels = Tensor
"""uint8 (n, H, W), 255 ignored."""


@dataclass(frozen=True)
class Photos:
    """The photos to label.

    Attributes:
        images: their files.
        features: of them.
        planes: (n, C, h, w) scores whose argmax is the label.
    """

    images: TaggedImages
    features: FrozenFeatures
    planes: Tensor

    def parts(self, size: int = 16) -> Iterator[range]:
        """The indices of a few photos at a time."""
        for first in range(0, len(self.planes), size):
            yield range(first, min(first + size, len(self.planes)))

    def sides(self, times: int) -> tuple[int, int]:
        """H and W of so many pixels to a patch."""
        return times * self.features.grid[0], times * self.features.grid[1]

    def pixels(self, index: int, size: tuple[int, int]) -> Tensor:
        """A photo resized, float (3, H, W), 0 to 255."""
        photo = torch.from_numpy(read_image(self.images.samples[index].image).copy()).permute(2, 0, 1)[None].float()
        return F.interpolate(photo, size, mode="bilinear", antialias=True)[0].clamp(0, 255)


class Row(NamedTuple):
    """mIoU and IoU of foreground as one class, %, of labels and of the decoders trained on them."""

    labels: tuple[float, float]
    decoders: list[tuple[float, float]]


def as_they_are(photos: Photos, times: int) -> Labels:
    """The argmax of the scores."""
    return torch.cat([label_of_planes(photos.planes[part.start : part.stop], photos.sides(times))
                      for part in photos.parts()])  # fmt: skip


def by_par(photos: Photos, times: int) -> Labels:
    """Probabilities refined by PAR with the method's settings."""
    size, labels = photos.sides(REFINED), []
    for part in with_progress(list(photos.parts()), "PAR", "batch"):
        images = torch.stack([photos.pixels(index, size) for index in part]) / 255
        maps = torch.stack([probabilities(planes, size) for planes in photos.planes[part.start : part.stop]])
        refined = refine(images, maps, LabelConfig())
        labels.append(label_of_planes(refined, photos.sides(times)))
    return torch.cat(labels)


def by_crf(photos: Photos, times: int) -> Labels:
    """After the published dense CRF: what ``--labels.crf true`` gives."""
    labels = []
    for part in with_progress(list(photos.parts(8)), "CRF", "batch"):
        some = slice(part.start, part.stop)
        paths = [photos.images.samples[index].image for index in part]
        labels.append(labels_after_crf(photos.planes[some], photos.features.tags[some], paths, photos.sides(times)))
    return torch.cat(labels)


def agreed(photos: Photos, times: int) -> Labels:
    """The labels where the CRF leaves them as they are, the rest ignored."""
    plain, refined = as_they_are(photos, times), by_crf(photos, times)
    return torch.where(plain == refined, plain, torch.full_like(plain, IGNORE))


def by_class(photos: Photos, times: int) -> Labels:
    """A threshold for each class: its photos have the share of foreground that separates their scores best."""
    planes = photos.planes.clone()
    for k in range(photos.features.tags.shape[1]):
        alone = (photos.features.tags[:, k] == 1) & (photos.features.tags.sum(dim=1) == 1)
        if not alone.any():
            continue
        scores = planes[alone, k + 1]
        planes[:, k + 1] -= scores.flatten().quantile(1 - estimated_share(scores)) if len(scores) else 0
    return torch.cat([label_of_planes(planes[part.start : part.stop], photos.sides(times)) for part in photos.parts()])


WAYS: dict[str, tuple[Callable[[Photos, int], Labels], int]] = {
    "as they are": (as_they_are, 2),
    "as they are (four to a patch)": (as_they_are, 4),
    "PAR": (by_par, 2),
    "PAR (four to a patch)": (by_par, 4),
    "dense CRF": (by_crf, 2),
    "dense CRF (four to a patch)": (by_crf, 4),
    "ignored where the CRF disagrees": (agreed, 2),
    "a threshold for each class": (by_class, 2),
}
"""How labels are made, and how many there are to a patch along each side."""


def nearest(labels: Labels, size: tuple[int, int]) -> Labels:
    """Labels at another size, each from the nearest."""
    return F.interpolate(labels[:, None].float(), size, mode="nearest-exact")[:, 0].byte()


def scores_of(labels: Labels, truth: Labels, classes: int) -> tuple[float, float]:
    """mIoU and IoU of foreground as one class, %."""
    score, foreground = SegmentationScore(classes + 1), SegmentationScore(2)
    for label, true in zip(nearest(labels, (truth.shape[1], truth.shape[2])), truth, strict=True):
        counted = (label != IGNORE) & (true != IGNORE)
        true = torch.where(counted, true, torch.full_like(true, IGNORE)).long()
        label = torch.where(counted, label, torch.zeros_like(label)).long()
        score.update(label, true)
        foreground.update(label.clamp(max=1), torch.where(true == IGNORE, true, true.clamp(max=1)))
    return 100 * score.compute().mean_iou, 100 * float(foreground.compute().iou[1])


@torch.no_grad()
def predicted(network: Network, features: FrozenFeatures, times: int) -> Labels:
    """The network's labels of photos whose features are given."""
    size, labels = (times * features.grid[0], times * features.grid[1]), []
    for maps in features.batches():
        logits = network.decoder(maps.float())
        if network.tag_prior is not None:
            logits = network.tag_prior(logits, maps.float())
        labels.append(F.interpolate(logits, size, mode="bilinear", align_corners=False).argmax(dim=1).byte())
    return torch.cat(labels)


def split(config: Config, photos: int, dev: int) -> tuple[TaggedImages, TaggedImages]:
    """Evenly sampled photos to train on, and evenly sampled others."""
    images = sources.load(config.data, "train")
    chosen = {index * len(images) // photos for index in range(photos)}
    rest = [index for index in range(len(images)) if index not in chosen]
    others = [rest[index * len(rest) // dev] for index in range(dev)]

    def some(indices: list[int]) -> TaggedImages:
        samples = tuple(images.samples[index] for index in indices)
        return TaggedImages(images.source, images.classes, samples, images.tags_from)

    return some(sorted(chosen)), some(others)


def parsed() -> argparse.Namespace:
    """The arguments."""
    parser = arguments_of(__doc__, "60 photos at 160 px, 30 steps, 20 photos of dev")
    parser.add_argument("--photos", type=int, default=1_044, help="number of training photos")
    parser.add_argument("--dev", type=int, default=447, help="number of other photos")
    parser.add_argument("--steps", type=int, default=400, help="steps of each decoder")
    parser.add_argument("--seeds", type=int, default=1, help="number of decoders")
    parser.add_argument("--features", default="", help="folder to keep the features in")
    parser.add_argument("--ways", default=",".join(WAYS), help="which ways, by name")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.photos, arguments.dev, arguments.steps = 60, 20, 30
    return arguments


def main() -> None:
    """Fit, refine, train, score, print."""
    arguments = parsed()
    require(ANIMALS, WEIGHTS)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    network = {"encoder": "deit_tiny_patch16_224", "weights": str(WEIGHTS)}
    config = replace(PRESETS["frozen"](), data={"root": str(ANIMALS)}, network=network)
    training, dev = split(config, arguments.photos, arguments.dev)
    figures: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as scratch:
        made = Network(config.network, training.classes)
        place, size = Path(arguments.features or scratch), 160 if arguments.quick else 320
        fitted, scored = (frozen_features(made, images, size, place, config.run, torch.device("cpu"))
                          for images in (training, dev))  # fmt: skip
        foreground = fit_to_some(fitted, 0.0)
        parts = [range(first, min(first + 64, len(fitted))) for first in range(0, len(fitted), 64)]
        photos = Photos(training, fitted, torch.cat([foreground_planes(fitted, foreground, part) for part in parts]))
        truth, dev_truth = (mask_labels(one, photos.sides(SCORED)) for one in (training, dev))
        for name in arguments.ways.split(","):
            way, times = WAYS[name.strip()]
            labels = way(photos, times)
            decoders: list[tuple[float, float]] = []
            for seed in range(arguments.seeds):
                decoder = trained(config, training, fitted, labels, DecoderRun(arguments.steps, 16, seed))
                found = predicted(decoder, scored, SCORED)
                decoders.append(scores_of(found, dev_truth, len(training.classes)))
            figures[name] = Row(scores_of(labels, truth, len(training.classes)), decoders)
            logging.info("%s: %s", name, figures[name])
    show(figures, arguments)


def trained(config: Config, images: TaggedImages, features: FrozenFeatures, labels: Labels, run: DecoderRun) -> Network:
    """A network whose decoder was trained on the labels."""
    torch.manual_seed(run.seed)
    network = Network(config.network, images.classes)
    if network.tag_prior is not None:
        fit_tag_prior(network.tag_prior, features)
    standardise(network.decoder, features)
    train_decoder(network.decoder, features, labels, DecoderConfig(), run, torch.device("cpu"))
    return network.eval()


def show(figures: dict[str, Row], arguments: argparse.Namespace) -> None:
    """Print the table and the JSON line."""
    rows = []
    for name, row in figures.items():
        means = [mean(one[place] for one in row.decoders) for place in (0, 1)]
        rows.append((name, *(f"{value:.1f}" for value in (*row.labels, *means))))
    title = f"{arguments.photos} photos, {arguments.steps} steps, {arguments.seeds} seed(s), {machine()}"
    table(title, ("labels", "their mIoU %", "foreground IoU %", "decoder mIoU %", "foreground IoU %"), rows)
    print_json({
        name: {"labels": [round(v, 2) for v in row.labels],
               "decoders": [[round(v, 2) for v in one] for one in row.decoders]}
        for name, row in figures.items()
    })  # fmt: skip


if __name__ == "__main__":
    main()
