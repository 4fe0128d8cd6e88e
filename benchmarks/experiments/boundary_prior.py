"""Measure pseudo-labels made before the training: CAMs of fitted classifiers, and the boundary prior.

    python benchmarks/experiments/boundary_prior.py [--size 320] [--quick]

Fits to the tags of four fifths of voc20mix's ``train`` and labels the other fifth, ``dev``, whose masks score alone.
Then collections of a few photos of ``dev``, each fitted to itself. Development data needed. Prints a table (mIoU over
21 labels, and IoU of foreground as one class) and, last, one line of JSON.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace as with_changes
from pathlib import Path

import torch
from definitions import voc20mix
from splits import with_dev_split
from torch import Tensor
from torch.nn import functional as F

from shared import PHOTOS, WEIGHTS, arguments_of, print_json, require, table
from tagseg.beyond import boundary_prior
from tagseg.beyond.boundary_prior import BoundaryPrior, fit_boundary_prior, pseudo_label, ridge, top_share_threshold
from tagseg.beyond.linear_probe import logistic_regression
from tagseg.beyond.offline_labels import encoded
from tagseg.config import Config
from tagseg.data import sources
from tagseg.data.dataset import IGNORE, TaggedImages
from tagseg.fsr.cam import normalise
from tagseg.fsr.pseudo_labels import cam_to_score
from tagseg.metrics.segmentation import SegmentationScore
from tagseg.model.network import Network

Labels = Callable[[Tensor, Tensor, tuple[int, int]], Tensor]
"""Features (D, h, w), tags (K,) and size of an image → its label map."""
Fitted = tuple[Tensor, Tensor]
"""Features (n, D, h, w) and tags (n, K) of the images that are fitted."""


@dataclass(frozen=True)
class Part:
    """Images to score with one kind of labels; features are (n, D, h, w), tags (n, K)."""

    labels: Labels
    images: TaggedImages
    features: Tensor
    tags: Tensor


def features_of(images: TaggedImages, config: Config) -> Fitted:
    """Auxiliary features (n, D, h, w) and tags (n, K) of whole images."""
    torch.manual_seed(0)
    network = Network(config.network, images.classes).eval()
    batches = encoded(network, images, config.beyond, config.run)
    features, tags = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return features.float(), tags


def scored(*parts: Part) -> tuple[float, float]:
    """mIoU in % of labels over all parts, and IoU of foreground as one class."""
    score, foreground = SegmentationScore(len(parts[0].images.classes) + 1), SegmentationScore(2)
    for part in parts:
        for sample, features, tags in zip(part.images.samples, part.features, part.tags, strict=True):
            if sample.mask is None:
                continue
            truth = torch.from_numpy(sample.mask()).long()
            label = part.labels(features, tags, (truth.shape[0], truth.shape[1]))
            score.update(label, truth)
            foreground.update((label > 0).long(), torch.where(truth == IGNORE, truth, (truth > 0).long()))
    return 100 * score.compute().mean_iou, 100 * float(foreground.compute().iou[1])


def collections(images: TaggedImages, features: Tensor, tags: Tensor, count: int) -> list[Part]:
    """Collections of ``count`` images, each with a prior fitted to itself alone."""
    parts = []
    for first in range(0, len(images) - count + 1, count):
        some = slice(first, first + count)
        prior = fit_boundary_prior(features[some], tags[some], 0.3)
        few = with_changes(images, samples=images.samples[some])
        parts.append(Part(prior_labels(prior), few, features[some], tags[some]))
    return parts


def cam_labels(fitted: Fitted, threshold: float) -> Labels:
    """Labels of the auxiliary CAM of a classifier fitted to max-pooled features."""
    weights = logistic_regression(fitted[0].amax(dim=(2, 3)), fitted[1])

    def label(features: Tensor, tags: Tensor, size: tuple[int, int]) -> Tensor:
        cam = normalise(F.relu(torch.einsum("dhw,kd->khw", features, weights))[None])
        cam = F.interpolate(cam, size, mode="bilinear", align_corners=False)
        return cam_to_score(cam * tags[None, :, None, None], tags[None], threshold)[0]

    return label


def prior_labels(prior: BoundaryPrior) -> Labels:
    """Labels of a boundary prior."""
    return lambda features, tags, size: pseudo_label(prior, features, tags, size)


def contrast_alone(prior: BoundaryPrior, fitted: Fitted, share: float) -> BoundaryPrior:
    """Without the learned foreground."""
    plain = with_changes(prior, foreground=torch.zeros_like(prior.foreground))
    above = top_share_threshold(plain.score(fitted[0])[fitted[1].sum(dim=1) > 0], share)
    return with_changes(plain, threshold=plain.threshold + above)


def unbalanced(prior: BoundaryPrior, fitted: Fitted) -> BoundaryPrior:
    """Without the balance of classes: common ones count more."""
    features, tags = fitted
    foreground = ((prior.score(features) > 0) & (tags.sum(dim=1) > 0)[:, None, None]).float()
    shares = (tags / tags.sum(dim=1, keepdim=True).clamp(min=1))[:, :, None, None]
    planes = shares.expand(-1, -1, *foreground.shape[1:])
    classes = ridge(features, planes, foreground, lambda some: (some - prior.position) / prior.deviation)
    return with_changes(prior, classes=classes)


def ways_of(fitted: Fitted) -> dict[str, Labels]:
    """The kinds of labels by name."""
    prior = fit_boundary_prior(*fitted, 0.3)
    ways = {f"CAM, background below {low}": cam_labels(fitted, low) for low in (0.1, 0.2, 0.3, 0.5)}
    ways["boundary contrast alone"] = prior_labels(contrast_alone(prior, fitted, 0.3))
    ways["classes not balanced"] = prior_labels(unbalanced(prior, fitted))
    for share in (0.2, 0.25, 0.3, 0.35):
        ways[f"boundary prior, share {share}"] = prior_labels(fit_boundary_prior(*fitted, share))
    return ways


def main() -> None:
    """Fit, label, score, print."""
    parser = arguments_of(__doc__, "64 px, some of the images")
    parser.add_argument("--size", type=int, default=320, help="side in pixels at which images are encoded")
    arguments = parser.parse_args()
    require(PHOTOS, WEIGHTS)
    size = 64 if arguments.quick else arguments.size
    config = voc20mix(beyond={"labels": "boundary", "boundary_size": size}, run={"val_batch": 8})
    with tempfile.TemporaryDirectory() as scratch:
        config = with_dev_split(config, Path(scratch))
        fit, dev = (sources.load(config.data, split).every(4 if arguments.quick else 1) for split in ("fit", "dev"))
        fitted, encoded_dev = (features_of(images, config) for images in (fit, dev))
        scores = {name: scored(Part(labels, dev, *encoded_dev)) for name, labels in ways_of(fitted).items()}
        for few, how in ((boundary_prior.FEW, ""), (0, ", without pseudo-observations")):
            boundary_prior.FEW = few
            for count in (1, 2, 5, 20, len(dev)):
                name = f"boundary prior, share 0.3, {count} at a time{how}"
                scores[name] = scored(*collections(dev, *encoded_dev, count))
    rows = [(name, f"{mean:.1f}", f"{foreground:.1f}") for name, (mean, foreground) in scores.items()]
    title = f"{size} px, {len(fit)} images fitted, {len(dev)} scored; in %"
    table(title, ("labels", "mIoU", "foreground IoU"), rows)
    print_json({"size": size, "labels": {name: [round(v, 2) for v in values] for name, values in scores.items()}})


if __name__ == "__main__":
    main()
