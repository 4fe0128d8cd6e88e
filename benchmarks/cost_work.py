"""The work that ``cost.py`` measures: drawn photos, a small network, and one call of each verb on them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tagseg import presets
from tagseg.check.check import check
from tagseg.config import Config, replace
from tagseg.data import sources
from tagseg.data.batch import ScoreBatch
from tagseg.data.config import DataConfig
from tagseg.data.loaders import score_loader
from tagseg.fast.ops import FAST
from tagseg.fsr.config import CamConfig
from tagseg.inference.evaluate import evaluate
from tagseg.inference.predict import predict
from tagseg.labelling.label import label
from tagseg.model.config import NetworkConfig
from tagseg.model.network import Network
from tagseg.training.train import train
from tagseg.training.validation import Validation

PATCH = 16
NETWORK = NetworkConfig(
    encoder="vit_tiny_patch16_224",
    weights="none",
    encoder_options={"img_size": 160, "patch_size": PATCH, "embed_dim": 48, "depth": 4, "num_heads": 3},
    decoder_width=16,
    projector_width=32,
    projector_bottleneck=16,
    prototypes=32,
)
SIDE = 160
"""Side of the network's input where the verb resizes photos."""


@dataclass(frozen=True)
class Point:
    """What the cost is measured at: photos, their width and height, classes and optimiser steps."""

    photos: int = 8
    size: tuple[int, int] = (160, 160)
    classes: int = 20
    steps: int = 4

    def names(self) -> tuple[str, ...]:
        """The classes."""
        return tuple(f"kind{number:03}" for number in range(self.classes))

    def network(self) -> Network:
        """A small network with random weights."""
        torch.manual_seed(0)
        return Network(NETWORK, self.names()).eval()


def draw(root: Path, point: Point) -> None:
    """Photos of coarse colours, all different, with two rectangles and the tags and masks of these."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    width, height = point.size
    names, rows = point.names(), ["image,labels,split"]
    for number in range(point.photos):
        rng = np.random.default_rng(number)
        coarse = Image.fromarray(rng.integers(20, 200, (6, 8, 3), np.uint8))
        pixels = np.array(coarse.resize(point.size, Image.Resampling.BICUBIC))
        mask = np.zeros((height, width), np.uint8)
        own = (number % point.classes, (7 * number + 1) % point.classes)
        for tag, left in zip(own, (width // 8, 5 * width // 8), strict=True):
            box = slice(height // 4, 3 * height // 4), slice(left, left + width // 4)
            pixels[box], mask[box] = 40 + 7 * (tag % 30), tag + 1
        Image.fromarray(pixels).save(root / "images" / f"{number:04}.jpg", quality=90)
        Image.fromarray(mask).save(root / "masks" / f"{number:04}.png")
        tags = ";".join(names[tag] for tag in sorted(set(own)))
        rows.append(f"{number:04}.jpg,{tags},train")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    (root / "classes.txt").write_text("\n".join(names) + "\n")


def _data(root: Path) -> DataConfig:
    return DataConfig(root=str(root), train_split="train", val_split="train")


def _config(preset: Config, root: Path, point: Point) -> Config:
    out = root / "run"
    shutil.rmtree(out, ignore_errors=True)
    own = {"root": str(root), "val_split": ""}
    run = {
        "output": str(out), "steps": point.steps, "batch": 4, "workers": 0, "accelerator": "cpu", "logger": "csv",
        "validate_every": 0,
    }  # fmt: skip
    return replace(preset, data=own, network=_own(), run=run)


def _own() -> dict[str, Any]:
    """The settings of the small encoder, for any preset."""
    return {name: getattr(NETWORK, name) for name in ("encoder", "weights", "encoder_options")}


def train_by_steps(root: Path, point: Point) -> None:
    """``tagseg train --preset folder``; views are squares of the photos' shorter side, in whole patches."""
    side = min(point.size) // PATCH * PATCH
    views = {"size": side, "scale": (0.9, 1.0)}
    train(replace(_config(presets.folder(), root, point), views=views, mask={"block": PATCH}))


def train_frozen(root: Path, point: Point) -> None:
    """``tagseg train`` on frozen features: features, labels and decoder."""
    shutil.rmtree(root / "features", ignore_errors=True)
    train(replace(_config(presets.frozen(), root, point), features={"size": SIDE}))


def validate(root: Path, point: Point) -> None:
    """One pass of the validation while training: CAM, auxiliary CAM and segmentation of one network."""
    images = sources.load(_data(root), "train")
    network = point.network()
    validation = Validation(("student",), ("segmentation", "cam", "aux_cam"), point.classes, CamConfig())
    for batch in score_loader(images, SIDE, 4, 0):
        assert isinstance(batch, ScoreBatch)
        validation.update("student", network, network.normalise(batch.images), batch, FAST)
    validation.compute()


def evaluate_segmentation(root: Path, point: Point) -> None:
    """``tagseg evaluate``, one scale, no flip."""
    evaluate(point.network(), _data(root), scales=(1.0,), mirror=False, output=root / "scores", quiet=True)


def evaluate_cam(root: Path, point: Point) -> None:
    """``tagseg evaluate --what cam``."""
    evaluate(point.network(), _data(root), what="cam", scales=(1.0,), size=SIDE, quiet=True)


def _predict(root: Path, point: Point, crf: bool) -> None:
    out = root / "predictions"
    shutil.rmtree(out, ignore_errors=True)
    predict(point.network(), root / "images", out, scales=(1.0,), mirror=False, crf=crf, writers=0, quiet=True)


def predict_plain(root: Path, point: Point) -> None:
    """``tagseg predict``, one scale, no flip."""
    _predict(root, point, crf=False)


def predict_crf(root: Path, point: Point) -> None:
    """``tagseg predict --crf``."""
    _predict(root, point, crf=True)


def label_frozen(root: Path, point: Point) -> None:
    """``tagseg label`` without a model: labels from frozen features."""
    shutil.rmtree(root / "labelled", ignore_errors=True)
    shutil.rmtree(root / "features", ignore_errors=True)
    features = {"size": SIDE, "folder": str(root / "features")}
    config = replace(presets.frozen(), data={"root": str(root), "val_split": ""}, network=_own(), features=features)
    label(config, root / "labelled", writers=0, device="cpu", quiet=True)


def check_data(root: Path, point: Point) -> None:
    """``tagseg check``."""
    check(_data(root), quiet=True)


WORK: Mapping[str, Callable[[Path, Point], None]] = {
    "train, steps": train_by_steps,
    "train, frozen": train_frozen,
    "validation while training": validate,
    "evaluate": evaluate_segmentation,
    "evaluate CAM": evaluate_cam,
    "predict": predict_plain,
    "predict CRF": predict_crf,
    "label": label_frozen,
    "check": check_data,
}
