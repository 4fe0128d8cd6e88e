"""Measure the parts of the labels of the method ``frozen``: each score alone, and their sum step by step.

    python benchmarks/experiments/foreground.py [--quick] [--photos 1044] [--size 320] [--aux_layer -4]

Fits to the tags of evenly sampled photos of voc12_animals' ``train``; their masks score alone. Development data needed.
Prints a table (IoU in % of foreground as one class, at a share of foreground of 0.3) and, last, one line of JSON.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))  # for ``shared``

from shared import ANIMALS, WEIGHTS, arguments_of, print_json, require, table
from tagseg.beyond.boundary_prior import Scale, fit_boundary_prior, top_share_threshold
from tagseg.config import replace
from tagseg.data import sources
from tagseg.data.dataset import TaggedImages
from tagseg.frozen.features import FrozenFeatures, frozen_features
from tagseg.frozen.foreground import EVIDENCE, POSITION, Evidence, estimated_share
from tagseg.frozen.labels import mask_labels
from tagseg.frozen.normalised_cut import normalised_cut
from tagseg.frozen.random_walk import random_walk
from tagseg.frozen.whitening import Whitening
from tagseg.model.network import Network
from tagseg.presets import PRESETS

SHARE = 0.3


def in_parts(function: object, *inputs: Tensor) -> Tensor:
    """A function of 64 photos at a time."""
    assert callable(function)
    return torch.cat([function(*parts) for parts in zip(*(one.split(64) for one in inputs), strict=True)])


def standard(scores: Tensor) -> Tensor:
    """Mean 0, deviation 1."""
    return Scale.of(scores)(scores)


def scores_of(features: FrozenFeatures) -> dict[str, Tensor]:
    """The scores (n, h, w) by name."""
    final, auxiliary, tags = features.final(), features.auxiliary(), features.tags
    whitening = Whitening.fitted(final)
    white = in_parts(lambda part: whitening(part).half(), final)
    priors = {}
    for name, maps in (("auxiliary map", auxiliary), ("final map", final), ("half-whitened final map", white)):
        prior = fit_boundary_prior(maps, tags, SHARE)
        priors[f"boundary prior, {name}"] = standard(in_parts(prior.score, maps))
    cut = in_parts(normalised_cut, auxiliary)
    evidence = in_parts(Evidence.fitted(auxiliary, tags), auxiliary, tags)
    first = priors["boundary prior, half-whitened final map"] + cut
    position = standard(first.mean(dim=0))
    total = first + POSITION * position + EVIDENCE * evidence
    return priors | {
        "normalised cut": cut,
        "tag evidence": evidence,
        "boundary prior and cut": first,
        "+ position": first + POSITION * position,
        "+ position and tag evidence": total,
        "+ random walk": in_parts(random_walk, total, auxiliary),
    }


def foreground_iou(scores: Tensor, truth: Tensor, share: float) -> float:
    """IoU in % of the patches above the threshold that leaves ``share`` as foreground; truth of 255 does not count."""
    size = (truth.shape[1], truth.shape[2])
    full = torch.nn.functional.interpolate(scores[:, None], size, mode="bilinear", align_corners=False)[:, 0]
    counted = truth != 255
    predicted, true = (full > top_share_threshold(full[counted], share))[counted], (truth > 0)[counted]
    return 100 * float((predicted & true).sum() / (predicted | true).sum())


def sampled(images: TaggedImages, count: int) -> TaggedImages:
    """Evenly sampled images."""
    chosen = [images.samples[index * len(images) // count] for index in range(min(count, len(images)))]
    return TaggedImages(images.source, images.classes, tuple(chosen), images.tags_from)


def main() -> None:
    """Fit, score, print."""
    parser = arguments_of(__doc__, "100 photos at 160 px")
    parser.add_argument("--photos", type=int, default=1_044, help="number of photos")
    parser.add_argument("--size", type=int, default=320, help="side in pixels for the features")
    parser.add_argument("--aux_layer", type=int, default=-4, help="block of the auxiliary map, from the end")
    arguments = parser.parse_args()
    require(ANIMALS, WEIGHTS)
    photos, size = (100, 160) if arguments.quick else (arguments.photos, arguments.size)
    network = {"encoder": "deit_tiny_patch16_224", "weights": str(WEIGHTS), "aux_layer": arguments.aux_layer}
    config = replace(PRESETS["frozen"](), data={"root": str(ANIMALS)}, network=network)
    images = sampled(sources.load(config.data, "train"), photos)
    with tempfile.TemporaryDirectory() as scratch:
        encoder = Network(config.network, images.classes)
        features = frozen_features(encoder, images, size, Path(scratch), config.run, torch.device("cpu"))
        scores = scores_of(features)
        truth = mask_labels(images, (4 * features.grid[0], 4 * features.grid[1]))
    figures = {name: foreground_iou(one, truth, SHARE) for name, one in scores.items()}
    share = estimated_share(scores["+ random walk"])
    figures[f"the same, share estimated ({share:.2f})"] = foreground_iou(scores["+ random walk"], truth, share)
    title = f"{len(images)} photos, {size} px, auxiliary map of block {arguments.aux_layer}"
    table(title, ("score", "foreground IoU %"), [(name, f"{value:.1f}") for name, value in figures.items()])
    print_json({"photos": len(images), "foreground_iou": {name: round(value, 2) for name, value in figures.items()}})


if __name__ == "__main__":
    main()
