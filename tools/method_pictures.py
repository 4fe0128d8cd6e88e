"""The picture of docs/pictures.md: what the default training makes of real photos, step by step.

    python tools/method_pictures.py RUN [PHOTOS]      writes docs/frozen_steps.jpg

RUN is the folder of a run of the method ``frozen`` whose photos and weights are still there, with the classes of
``docs/photos/labels.csv``. Its scores are fitted anew to PHOTOS (300) of its photos, evenly sampled, and applied to
those of ``docs/photos``.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

import tagseg
from tagseg.config import Config
from tagseg.config_file import read_config
from tagseg.data import sources
from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.frozen.config import FrozenConfig
from tagseg.frozen.features import FrozenFeatures, frozen_features, side_of
from tagseg.frozen.foreground import Foreground, fit_foreground
from tagseg.frozen.labels import label_of_planes
from tagseg.frozen.normalised_cut import normalised_cut
from tagseg.model.network import Network
from tagseg.reporting.pictures import draw_heat, draw_labels

DOCS = Path(__file__).parents[1] / "docs"
WIDTH, HEIGHT, GAP, LINE = 168, 126, 4, 24
HEADINGS = ("photo and its tags", "boundary prior", "normalised cut", "tag evidence", "all, after the walk",
            "label", "network, photo alone")  # fmt: skip


def sampled(images: TaggedImages, count: int) -> TaggedImages:
    """Evenly sampled images."""
    chosen = [images.samples[index * len(images) // count] for index in range(min(count, len(images)))]
    return dataclasses.replace(images, samples=tuple(chosen))


def features_of(network: Network, images: TaggedImages, config: Config, folder: Path) -> FrozenFeatures:
    """Features of images, from a folder or into it."""
    assert isinstance(config.method, FrozenConfig)
    side = side_of(config.method.features.size, network.patch_size)
    return frozen_features(network, images, side, folder, config.run, torch.device("cpu"))


def between(scores: Tensor, size: tuple[int, int]) -> np.ndarray:
    """A score (h, w) as 0 to 1, from its 2nd to its 98th percentile, interpolated to a size (H, W)."""
    low, high = scores.quantile(0.02), scores.quantile(0.98)
    scaled = ((scores - low) / (high - low + 1e-8)).clamp(0, 1)
    return F.interpolate(scaled[None, None], size, mode="bilinear", align_corners=False)[0, 0].numpy()


def steps_of(photo: np.ndarray, index: int, features: FrozenFeatures, fitted: Foreground) -> list[np.ndarray]:
    """Pictures (H, W, 3) of the scores and the label of one photo."""
    height, width = photo.shape[:2]
    final, auxiliary = (maps.float() for maps in features.maps([index]))
    tags = features.tags[index : index + 1]
    scores = (
        fitted.contrast(fitted.prior.score(fitted.whitening(final))),
        normalised_cut(auxiliary),
        fitted.evidence(auxiliary, tags),
        fitted.score(final, auxiliary, tags),
    )
    label = label_of_planes(fitted.planes(final, auxiliary, tags).clamp(min=-1e4), (height, width))[0].numpy()
    heats = [draw_heat(photo, between(score[0], (height, width))) for score in scores]
    return [photo, *heats, draw_labels(photo, label)]


def sheet(rows: list[tuple[str, list[np.ndarray]]]) -> Image.Image:
    """A row for each photo, with its tags below it."""
    picture = Image.new("RGB", (GAP + len(HEADINGS) * (WIDTH + GAP), LINE + len(rows) * (HEIGHT + LINE)), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=13)
    for place, heading in enumerate(HEADINGS):
        draw.text((GAP + place * (WIDTH + GAP), 4), heading, fill=(40, 40, 40), font=font)
    for number, (tags, pictures) in enumerate(rows):
        top = LINE + number * (HEIGHT + LINE)
        draw.text((GAP, top + HEIGHT + 3), tags, fill=(40, 40, 40), font=font)
        for place, one in enumerate(pictures):
            shown = Image.fromarray(one)
            shown.thumbnail((WIDTH, HEIGHT))
            left = GAP + place * (WIDTH + GAP)
            picture.paste(shown, (left + (WIDTH - shown.width) // 2, top + (HEIGHT - shown.height) // 2))
    return picture


def main(run: Path, photos: int) -> None:
    """Write the picture."""
    config = read_config(run / "config.yaml")
    model = tagseg.load(run, scales=(1.0,))
    ours = sources.load(DataConfig(root=str(DOCS / "photos"), val_split="", classes=model.classes), "train")
    theirs = sampled(sources.load(config.data, config.data.train_split, masks=False), photos)
    network = Network(config.network, theirs.classes)
    with tempfile.TemporaryDirectory() as folder:
        known = features_of(network, theirs, config, run.parent / "features")
        assert isinstance(config.method, FrozenConfig)
        fitted = fit_foreground(known.final(), known.auxiliary(), known.tags, config.method.labels.foreground_share)
        features = features_of(network, ours, config, Path(folder))
        rows = []
        for index, sample in enumerate(ours.samples):
            photo = np.asarray(Image.open(sample.image).convert("RGB"))
            pictures = steps_of(photo, index, features, fitted)
            alone = draw_labels(photo, model(sample.image).mask)
            rows.append((", ".join(ours.classes[tag] for tag in sample.tags), [*pictures, alone]))
    sheet(rows).save(DOCS / "frozen_steps.jpg", quality=86, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python tools/method_pictures.py RUN [PHOTOS]")
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 300)
