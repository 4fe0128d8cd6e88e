"""Measure labels of training images before any training: CAMs of fitted classifiers, and labels from the border.

    python benchmarks/experiments/first_labels.py [--size 320] [--quick]

Fits to the tags of four fifths of voc20mix's ``train`` and labels the other fifth, ``dev``, whose masks score alone and
serve to choose settings. Then collections of a few photos of ``dev``, each fitted to itself. Development data needed.
Prints a table (mIoU over 21 labels, and IoU of foreground as one class) and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace as with_changes
from pathlib import Path

import torch
from definitions import SHARED, voc20mix
from splits import with_dev_split
from torch import Tensor
from torch.nn import functional as F

from tagseg.config import Config, replace
from tagseg.data import sources
from tagseg.data.dataset import TaggedImages
from tagseg.inference.metrics import SegmentationScore
from tagseg.model.network import Network
from tagseg.pseudo import border
from tagseg.pseudo.border import BorderModel, border_label, fit_border_model, ridge, upper
from tagseg.pseudo.cam import normalise
from tagseg.pseudo.labels import cam_to_score
from tagseg.training.first_labels import encoded
from tagseg.training.start import logistic_regression

Labels = Callable[[Tensor, Tensor, tuple[int, int]], Tensor]


@dataclass(frozen=True)
class Part:
    """Images to score, by one way to label them; features are (n, D, h, w), tags (n, K)."""

    labels: Labels
    images: TaggedImages
    features: Tensor
    tags: Tensor


def features_of(images: TaggedImages, config: Config) -> tuple[Tensor, Tensor]:
    """Auxiliary features (n, D, h, w) and tags (n, K) of whole images."""
    torch.manual_seed(0)
    network = Network(config.network, images.classes).eval()
    features, tags = (torch.cat(parts) for parts in zip(*encoded(network, images, config), strict=True))
    return features.float(), tags


def scored(*parts: Part) -> tuple[float, float]:
    """mIoU in % of the labels of images, and IoU of all foreground as one class; over all parts together."""
    score, ground = SegmentationScore(len(parts[0].images.classes) + 1), SegmentationScore(2)
    for part in parts:
        for sample, seen, told in zip(part.images.samples, part.features, part.tags, strict=True):
            if sample.mask is None:
                continue
            truth = torch.from_numpy(sample.mask()).long()
            label = part.labels(seen, told, (truth.shape[0], truth.shape[1]))
            score.update(label, truth)
            ground.update((label > 0).long(), torch.where(truth == 255, truth, (truth > 0).long()))
    return 100 * score.compute().mean_iou, 100 * float(ground.compute().iou[1])


def collections(images: TaggedImages, features: Tensor, tags: Tensor, count: int) -> list[Part]:
    """So many images at a time, each collection fitted to itself alone."""
    parts = []
    for first in range(0, len(images) - count + 1, count):
        some = slice(first, first + count)
        model = fit_border_model(features[some], tags[some], 0.3)
        few = with_changes(images, samples=images.samples[some])
        parts.append(Part(border_labels(model), few, features[some], tags[some]))
    return parts


def cam_labels(fitted: tuple[Tensor, Tensor], threshold: float) -> Labels:
    """By the auxiliary CAM of a classifier fitted to max-pooled features."""
    weights = logistic_regression(fitted[0].amax(dim=(2, 3)), fitted[1])

    def label(features: Tensor, tags: Tensor, size: tuple[int, int]) -> Tensor:
        cam = normalise(F.relu(torch.einsum("dhw,kd->khw", features, weights))[None])
        cam = F.interpolate(cam, size, mode="bilinear", align_corners=False)
        return cam_to_score(cam * tags[None, :, None, None], tags[None], threshold)[0]

    return label


def border_labels(model: BorderModel) -> Labels:
    """By a model of the border."""
    return lambda features, tags, size: border_label(model, features, tags, size)


def contrast_alone(model: BorderModel, fitted: tuple[Tensor, Tensor], share: float) -> BorderModel:
    """Without what was learned of foreground."""
    plain = with_changes(model, foreground=torch.zeros_like(model.foreground))
    above = upper(plain.score(fitted[0])[fitted[1].sum(dim=1) > 0], share)
    return with_changes(plain, threshold=plain.threshold + above)


def unbalanced(model: BorderModel, fitted: tuple[Tensor, Tensor]) -> BorderModel:
    """Common classes count more."""
    features, tags = fitted
    found = ((model.score(features) > 0) & (tags.sum(dim=1) > 0)[:, None, None]).float()
    told = (tags / tags.sum(dim=1, keepdim=True).clamp(min=1))[:, :, None, None].expand(-1, -1, *found.shape[1:])
    return with_changes(
        model, classes=ridge(features, told, found, lambda some: (some - model.position) / model.deviation)
    )


def main() -> None:
    """Fit, label, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=320, help="side in pixels at which images are seen")
    parser.add_argument("--quick", action="store_true", help="64 px, some of the images")
    arguments = parser.parse_args()
    if not (SHARED / "data" / "voc20mix").exists():
        raise SystemExit(f"{SHARED / 'data' / 'voc20mix'} is absent: this benchmark needs the development data")
    size = 64 if arguments.quick else arguments.size
    config = replace(voc20mix(), labels={"source": "border", "border_size": size}, run={"val_batch": 8})
    with tempfile.TemporaryDirectory() as scratch:
        config = with_dev_split(config, Path(scratch))
        fit, dev = (sources.load(config.data, split).every(4 if arguments.quick else 1) for split in ("fit", "dev"))
        fitted, seen = (features_of(images, config) for images in (fit, dev))
        model = fit_border_model(*fitted, 0.3)
        ways = {f"CAM, background below {low}": cam_labels(fitted, low) for low in (0.1, 0.2, 0.3, 0.5)}
        ways["border contrast alone"] = border_labels(contrast_alone(model, fitted, 0.3))
        ways["classes not balanced"] = border_labels(unbalanced(model, fitted))
        for share in (0.2, 0.25, 0.3, 0.35):
            ways[f"border labels, share {share}"] = border_labels(fit_border_model(*fitted, share))
        found = {name: scored(Part(way, dev, *seen)) for name, way in ways.items()}
        for few, how in ((border.FEW, ""), (0, ", without the ten images more")):
            border.FEW = few
            for count in (1, 2, 5, 20, len(dev)):
                found[f"border labels, share 0.3, {count} at a time{how}"] = scored(*collections(dev, *seen, count))
    print(f"{size} px, {len(fit)} images fitted, {len(dev)} scored; in %\n")
    print("| labels | mIoU | foreground IoU |\n| --- | --- | --- |")
    for name, (mean, foreground) in found.items():
        print(f"| {name} | {mean:.1f} | {foreground:.1f} |")
    print(json.dumps({"size": size, "labels": {name: [round(v, 2) for v in values] for name, values in found.items()}}))


if __name__ == "__main__":
    main()
