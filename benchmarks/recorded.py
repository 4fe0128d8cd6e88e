"""A small training with every loss on whose numbers are recorded, to compare ways of sharing its batches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from tagseg import presets
from tagseg.config import Config, replace

FILE = "recorded.pt"
"""In a run's folder: losses by step, scores, and the networks' state."""
UNDETERMINED = ("qkv.bias", "key.bias")
"""Biases of attention keys: a softmax does not see them, so their gradient is rounding alone, which AdamW enlarges to
whole steps."""


def configuration(root: Path, steps: int, batch: int = 8) -> Config:
    """The demo's encoder on 28 drawn scenes, scored on 7; every loss from the first step, masks by the CAM."""
    return replace(
        presets.demo(),
        data={"root": str(root), "scenes": 28},
        views={"size": 64},
        network={"drop_path": 0.1},
        beyond={"labels": "cam", "fit_classifiers": False},
        cam={"scales": (1.0,)},
        mask={"random_until": 0, "block": 16},
        losses={"affinity": 0.2, "energy": 0.05, "segmentation_from": 0},
        optimiser={"rate": 1e-4, "warmup": 0},
        run={
            "steps": steps, "batch": batch, "workers": 0, "log_every": 1, "logger": "none", "pictures": 0,
            "validate_every": steps, "accelerator": "cpu", "devices": 1,
        },
    )  # fmt: skip


class Record(Callback):
    """Records the losses of all steps, the scores and the state of a training in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.losses: list[dict[str, float]] = []

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Listen to what the module logs: Lightning keeps it in float32."""
        log = pl_module.log_dict

        def log_dict(values: dict[str, Any], *arguments: Any, **options: Any) -> None:
            if "train/loss" in values:
                self.losses.append({name: float(value) for name, value in values.items()})
            log(values, *arguments, **options)

        pl_module.log_dict = log_dict

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Write the file, in the first process."""
        if trainer.is_global_zero:
            scores = {name: float(v) for name, v in trainer.callback_metrics.items() if name.startswith("val/")}
            torch.save({"losses": self.losses, "scores": scores, "state": pl_module.state_dict()}, self.folder / FILE)


@dataclass(frozen=True)
class Apart:
    """How far two trainings are from each other.

    Attributes:
        first: largest relative difference of a loss of the first step.
        losses: the same of all steps.
        centres: largest difference of a centre.
        weights: largest difference of a weight of student or teacher that the losses determine.
        scores: largest difference of a score, 0 to 1.
    """

    first: float
    losses: float
    centres: float
    weights: float
    scores: float


def apart(ours: Path, theirs: Path) -> Apart:
    """Compare the recorded numbers of two runs, given by their folders."""
    mine, whole = (torch.load(folder / FILE, weights_only=True) for folder in (ours, theirs))
    if len(mine["losses"]) != len(whole["losses"]):
        raise SystemExit(f"{ours} has logged {len(mine['losses'])} steps, {theirs} {len(whole['losses'])}")
    by_step = [
        max(abs(a[name] - value) / (abs(value) or 1.0) for name, value in b.items() if not name.startswith("signs/"))
        for a, b in zip(mine["losses"], whole["losses"], strict=True)
    ]
    state = {
        name: float((mine["state"][name] - value).abs().max())
        for name, value in whole["state"].items()
        if not name.endswith(UNDETERMINED) and not name.startswith("validation.")
    }
    return Apart(
        first=by_step[0],
        losses=max(by_step),
        centres=max(value for name, value in state.items() if "centres." in name),
        weights=max(value for name, value in state.items() if "centres." not in name),
        scores=max(abs(mine["scores"][name] - value) for name, value in whole["scores"].items()),
    )
