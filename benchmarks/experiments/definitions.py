"""The experiments: which variants of which settings, and what each is to find out.

A variant changes some settings of its experiment's base. Seeds, steps and folders are the runner's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tagseg import presets
from tagseg.config import Config, replace

SHARED = Path(__file__).resolve().parents[3] / "shared"
Changes = dict[str, dict[str, Any]]

NO_FSR: Changes = {"mask": {"choice": "none"}}
SUPERVISED: Changes = {
    "labels": {"source": "masks"},
    "mask": {"choice": "none"},
    "losses": {"affinity": 0.0, "energy": 0.0, "segmentation": 1.0, "segmentation_from": 0},
}


@dataclass(frozen=True)
class Variant:
    """One column of an experiment.

    Attributes:
        changes: settings by section, on top of the base.
        hypothesis: what is expected of it, in a sentence.
    """

    changes: Changes = field(default_factory=dict)
    hypothesis: str = ""


@dataclass(frozen=True)
class Experiment:
    """Variants to compare.

    Attributes:
        question: what it is to find out.
        base: the settings all variants share.
        variants: by name; the first is what the others are compared with.
        chosen_on: the split that scores. ``dev`` is a fifth of ``train`` whose masks serve to choose settings and
            nothing else; ``val`` only reports.
    """

    question: str
    base: Callable[[], Config]
    variants: dict[str, Variant]
    chosen_on: str = "dev"


def voc20mix() -> Config:
    """The setting of ``benchmarks/voc20mix.py``: DeiT-Ti, 224 px, batch 4, 800 steps."""
    return replace(
        presets.folder(),
        data={"source": "folder", "root": str(SHARED / "data" / "voc20mix")},
        network={
            "encoder": "deit_tiny_patch16_224",
            "weights": str(SHARED / "weights" / "deit_tiny_patch16_224.safetensors"),
        },
        views={"size": 224},
        cam={"scales": (1.0, 0.5), "background_threshold": 0.5},
        mask={"choice": "uncertain", "block": 32, "random_until": 0.2},
        labels={"high": 0.7, "low": 0.25},
        losses={"segmentation_from": 0.1},
        distillation={"teacher_momentum": (0.99, 1.0), "temperature_warmup": 0.125},
        optimiser={"rate": 1e-4, "warmup": 0.075},
        run={"steps": 800, "batch": 4, "workers": 1, "validate_every": 0, "logger": "csv"},
    )


def voc20mix_small() -> Config:
    """The same at 160 px for 300 steps: what two cores can repeat."""
    config = replace(voc20mix(), views={"size": 160}, mask={"block": 32})
    return replace(config, run={"steps": 300})


_MEASURE = {
    "no masking, no distillation": Variant(NO_FSR, "the baseline of the paper's ablations"),
    "FSR as published": Variant({}, "self-reinforcement adds to the baseline"),
    "true masks": Variant(SUPERVISED, "the same network fully supervised: the upper bound"),
}
_MASKS = {
    "no masking, no distillation": Variant(NO_FSR),
    **{
        f"{name}, ratio {ratio}": Variant({"mask": {"choice": choice, "ratio": ratio}, "partition": {"rule": rule}})
        for name, choice, rule in (
            ("random", "random", "cam"),
            ("CAM", "uncertain", "cam"),
            ("edge", "uncertain", "edge"),
        )
        for ratio in (0.2, 0.4, 0.6)
    },
    "CAM, stricter": Variant({"partition": {"low": 0.1, "high": 0.8}}, "a stricter choice of certain regions is worse"),
    "CAM, looser": Variant({"partition": {"low": 0.3, "high": 0.6}}, "a less strict one is better"),
}
_PARTS = {
    "FSR as published": Variant(),
    "without L_unc": Variant({"losses": {"uncertain": 0.0}}, "L_unc helps labels and predictions"),
    "without L_cer": Variant({"losses": {"certain": 0.0}}, "L_cer adds to both"),
    "average pooling": Variant({"network": {"aggregation": "average"}}, "attention beats average pooling"),
    "max pooling": Variant({"network": {"aggregation": "max"}}, "average beats max pooling"),
    "without L_aff": Variant({"losses": {"affinity": 0.0}}),
    "without L_reg": Variant({"losses": {"energy": 0.0}}),
    "without PAR": Variant({"labels": {"refine": False}}),
}
_DISTILLATION = {
    "FSR as published": Variant(),
    "P = 256": Variant({"network": {"prototypes": 256}}, "fewer prototypes: a less flat target"),
    "colder teacher": Variant({"distillation": {"teacher_temperature": (0.01, 0.02)}}, "a target that is not uniform"),
    "slower centre": Variant({"distillation": {"centre_momentum": 0.99}}),
    "heads as fast as the encoder": Variant({"optimiser": {"head_factor": 1.0}}),
}


def _published(base: Callable[[], Config], question: str) -> Experiment:
    return Experiment(question, base, {"no masking, no distillation": Variant(NO_FSR), "FSR": Variant()}, "val")


EXPERIMENTS: dict[str, Experiment] = {
    "measure": Experiment("How far do tags get, against true masks?", voc20mix, _MEASURE, "val"),
    "measure_small": Experiment("The same, on two cores", voc20mix_small, _MEASURE, "val"),
    "masks": Experiment("Which patches to hide, and how many?", voc20mix, _MASKS),
    "parts": Experiment("What does each part add?", voc20mix, _PARTS),
    "distillation": Experiment("What makes the distillation learn in a short training?", voc20mix, _DISTILLATION),
    "voc2012": _published(presets.voc2012, "The paper's VOC table: 75.7 mIoU on val with FSR"),
    "coco2014": _published(presets.coco2014, "The paper's COCO table: 45.5 mIoU on val with FSR"),
}
