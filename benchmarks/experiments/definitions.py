"""The experiments: which variants of which settings, and what each is expected to show.

A variant changes some settings of its experiment's base. Seeds, steps and folders are the runner's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # for ``shared``

from shared import ANIMALS, voc20mix
from tagseg import presets
from tagseg.config import Config, replace

Changes = dict[str, dict[str, Any]]
RENAMED = {
    "border labels": "boundary prior",
    "true masks": "ground truth",
    "told_segmentation": "segmentation_with_tags",
}
"""Former parts of the names of variants and scores, as they stand in committed results → present ones."""


def joined(*several: Changes) -> Changes:
    """All changes, section by section; where two change the same key the later one counts."""
    sections = dict.fromkeys(section for changes in several for section in changes)
    return {name: {k: v for changes in several for k, v in changes.get(name, {}).items()} for name in sections}


@dataclass(frozen=True)
class Variant:
    """One row of an experiment.

    Attributes:
        changes: settings by section, on top of the base.
        hypothesis: what is expected, in a sentence.
        against: the variant it is compared with; default: the experiment's first.
        retired: measured once and dropped; it stays in the tables but cannot be run.
    """

    changes: Changes = field(default_factory=dict)
    hypothesis: str = ""
    against: str = ""
    retired: bool = False


@dataclass(frozen=True)
class Experiment:
    """Variants to compare.

    Attributes:
        question: what it is to find out.
        base: the settings that all variants share.
        variants: by name.
        chosen_on: ``dev``: a fifth of ``train``, not trained on, whose masks serve to choose settings and nothing else;
            ``val`` is scored too, to report. ``val``: nothing is chosen, all of ``train`` is trained on.
        baseline: the variant that counts as 0 %, if any.
        bound: the variant trained on ground truth, which counts as 100 %.
    """

    question: str
    base: Callable[[], Config]
    variants: dict[str, Variant]
    chosen_on: str = "dev"
    baseline: str = ""
    bound: str = ""


def voc20mix_small() -> Config:
    """voc20mix at 160 px for 300 steps, which two cores can repeat."""
    return voc20mix(views={"size": 160}, run={"steps": 300})


def animals() -> Config:
    """The published recipe on voc12_animals for the paper's 15 passes over the photos: DeiT-Ti, 224 px."""
    return voc20mix(data={"root": str(ANIMALS)}, run={"steps": 5_871, "batch": 8})


NO_FSR: Changes = {"mask": {"choice": "none"}}
FSR: Changes = {"mask": {"choice": "uncertain"}}
SUPERVISED: Changes = {
    "beyond": {"labels": "masks"},
    "mask": {"choice": "none"},
    "losses": {"affinity": 0.0, "energy": 0.0, "segmentation": 1.0, "segmentation_from": 0},
}
START: Changes = {"beyond": {"decoder_start": 0.1, "fit_classifiers": True}}
BOUNDARY: Changes = joined(SUPERVISED, START, {"beyond": {"labels": "boundary"}})
REPEATED: Changes = {"beyond": {"repeat_below": 0.1}}
POOLED: Changes = {"beyond": {"pool": 0.1}}
# 4,096 random directions in 256 dimensions have cosines of root mean square 1/16 with any vector: at the published
# temperatures of 0.04 and 0.1 logits of 1.6 and 0.6, of which the centre removes what images have in common.
SHARPENED: Changes = {"beyond": {"teacher_sharpness": 1.5}, "distillation": {"student_temperature": 0.05}}
PUBLISHED: Changes = {"beyond": {"teacher_sharpness": 0.0}, "distillation": {"student_temperature": 0.1}}
BASELINE = "no masking, no distillation"
ENDS = (BASELINE, "ground truth")
_MEASURE = {
    BASELINE: Variant(NO_FSR, "the baseline of the paper's ablations"),
    "FSR as published": Variant({}, "self-reinforcement adds to the baseline"),
    "boundary prior": Variant(BOUNDARY, "labels of the boundary prior get closer to the ground truth than CAMs"),
    "boundary prior, FSR": Variant(joined(BOUNDARY, FSR), "self-reinforcement adds to them"),
    "ground truth": Variant(joined(SUPERVISED, START), "the same network fully supervised: the upper bound"),
}
RATIOS = {
    ("random", "cam"): (0.2, 0.4, 0.6),
    ("uncertain", "cam"): (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
    ("uncertain", "edge"): (0.2, 0.4, 0.6),
}
_MASKS = {
    BASELINE: Variant(NO_FSR),
    **{
        f"{name}, ratio {ratio}": Variant({"mask": {"choice": choice, "ratio": ratio}, "partition": {"rule": rule}})
        for name, choice, rule in (
            ("random", "random", "cam"),
            ("CAM", "uncertain", "cam"),
            ("edge", "uncertain", "edge"),
        )
        for ratio in RATIOS[choice, rule]
    },
    "CAM, stricter": Variant({"partition": {"low": 0.1, "high": 0.8}}, "a stricter choice of certain regions is worse"),
    "CAM, looser": Variant({"partition": {"low": 0.3, "high": 0.6}}, "a less strict one is better"),
    **{f"CAM, random until {until}": Variant({"mask": {"random_until": until}}) for until in (0.0, 0.5, 1.0)},
}
_PARTS = {
    "FSR as published": Variant(),
    "without L_unc": Variant({"losses": {"uncertain": 0.0}}, "L_unc improves labels and predictions"),
    "without L_cer": Variant({"losses": {"certain": 0.0}}, "L_cer improves both"),
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
    "head of 512": Variant({"network": {"projector_width": 512}}, "a smaller head learns sooner"),
    **{
        f"momentum {first} to {last}": Variant({"distillation": {"teacher_momentum": (first, last)}})
        for first, last in ((0.9995, 1.0), (0.99, 0.99), (0.95, 1.0))
    },
    "sharpened teacher": Variant(SHARPENED, "a target that is never uniform"),
}
_INPUT = {
    f"{size} px": Variant({"views": {"size": size}}, "more patches on an object, better outlines")
    for size in (224, 160, 288, 352)
}
_ENCODERS = {
    name: Variant({"network": {"encoder": name, "weights": "hub"}}, "better features, better CAMs")
    for name in (
        "deit_tiny_patch16_224",
        "deit_small_patch16_224",
        "vit_small_patch14_dinov2.lvd142m",
        "vit_base_patch16_224.augreg_in21k_ft_in1k",
    )
}
_STARTED, _PRIOR, _PRIOR_FSR = f"better start, {BASELINE}", "boundary prior", "boundary prior, FSR"
_LADDER = {
    BASELINE: Variant(NO_FSR, "the baseline of the paper's ablations"),
    "FSR as published": Variant({}, "self-reinforcement adds to it"),
    "ground truth": Variant(SUPERVISED, "the same network fully supervised"),
    _STARTED: Variant(joined(START, NO_FSR), "fitted classifiers and a small decoder start save the first steps"),
    "better start": Variant(START, "self-reinforcement adds to it", _STARTED),
    "better start, pool 10 %": Variant(
        joined(START, POOLED),
        "max pooling trains one patch of a class, a tenth trains more of the object",
        "better start",
    ),
    "better start, sharpened teacher": Variant(
        joined(START, SHARPENED), "both distillation losses need targets that are not uniform", "better start"
    ),
    "second round": Variant(
        {}, "labels of a trained network beat CAMs of the current one", "better start", retired=True
    ),
    "ground truth, better start": Variant(joined(SUPERVISED, START), "the upper bound at these settings", _STARTED),
    _PRIOR: Variant(BOUNDARY, "a boundary prior outlines objects better than CAMs of a ViT", _STARTED),
    _PRIOR_FSR: Variant(joined(BOUNDARY, FSR), "self-reinforcement adds to it", _PRIOR),
    "boundary prior, FSR, random masks": Variant(
        joined(BOUNDARY, {"mask": {"choice": "random"}}), "masks by the CAM are better than random ones", _PRIOR_FSR
    ),
    "boundary prior, FSR, sharpened teacher": Variant(
        joined(BOUNDARY, FSR, SHARPENED), "both distillation losses need targets that are not uniform", _PRIOR_FSR
    ),
    "boundary prior, L_aff and L_reg": Variant(
        joined(BOUNDARY, {"losses": {"affinity": 0.2, "energy": 0.05}}), "both also improve labels made offline", _PRIOR
    ),
    "boundary prior, faster teacher": Variant(
        joined(BOUNDARY, {"distillation": {"teacher_momentum": (0.95, 0.99)}}),
        "an average of the last steps beats the student; at 0.99 to 1 it covers most of so short a training",
        _PRIOR,
    ),
    "boundary prior, second round": Variant(
        {}, "a network is more consistent than the labels it was trained on", _PRIOR, retired=True
    ),
    "boundary prior, FSR, rare classes repeated": Variant(
        joined(BOUNDARY, FSR, REPEATED), "classes of few photos are otherwise never predicted", _PRIOR_FSR
    ),
    "ground truth, rare classes repeated": Variant(
        joined(SUPERVISED, START, REPEATED), "the bound then", "ground truth, better start"
    ),
}
_RATES = {
    f"heads {factor:g} times as fast as the encoder": Variant(
        joined(START, NO_FSR, {"optimiser": {"head_factor": factor}}),
        "Adam's step of 0.001 in 192 weights moves a logit of max-pooled features by 0.5: fitted classifiers are lost",
    )
    for factor in (10.0, 5.0, 2.0, 1.0)
}
_ABLATIONS = {
    "FSR": Variant({}, "the whole method, with a distillation that learns"),
    "nothing masked": Variant(NO_FSR, "masking and distillation help"),
    "published temperatures": Variant(PUBLISHED, "a target that is not uniform is better"),
    "random masks": _MASKS["random, ratio 0.4"],
    "edge masks": _MASKS["edge, ratio 0.4"],
    "ratio 0.2": _MASKS["CAM, ratio 0.2"],
    "ratio 0.6": _MASKS["CAM, ratio 0.6"],
    **{name: _PARTS[name] for name in ("without L_unc", "without L_cer", "average pooling", "max pooling")},
}


def boundary_small() -> Config:
    """``voc20mix_small`` with labels of the boundary prior, FSR, and a teacher whose targets are not uniform.

    At the published temperatures they are uniform, so that it would not matter which patches are masked.
    """
    return replace(voc20mix_small(), **joined(BOUNDARY, FSR, SHARPENED))


def _published(preset: Callable[[], Config], question: str) -> Experiment:
    def scored_once() -> Config:
        return replace(preset(), run={"validate_every": 0, "val_limit": 0})

    return Experiment(question, scored_once, {BASELINE: Variant(NO_FSR), "FSR": Variant()}, "val")


EXPERIMENTS: dict[str, Experiment] = {
    "measure": Experiment("How close do tags get to the ground truth?", voc20mix, _MEASURE, "val", *ENDS),
    "measure_small": Experiment("The same, on two cores", voc20mix_small, _MEASURE, "val", *ENDS),
    "masks": Experiment("Which patches to mask, and how many?", voc20mix, _MASKS),
    "parts": Experiment("What does each part add?", voc20mix, _PARTS),
    "distillation": Experiment("What makes the distillation learn in a short training?", voc20mix, _DISTILLATION),
    "ladder_small": Experiment(
        "What helps a short training, step by step?",
        voc20mix_small,
        _LADDER,
        "dev",
        BASELINE,
        "ground truth, better start",
    ),
    "ablations_small": Experiment("What do masks and distillation add, on two cores?", boundary_small, _ABLATIONS),
    "input": Experiment("Which input size?", voc20mix, _INPUT),
    "encoders": Experiment("Which encoder?", voc20mix, _ENCODERS),
    "rates_small": Experiment("How fast may the heads learn?", voc20mix_small, _RATES),
    "animals": _published(animals, "Does FSR add to its baseline in the paper's 15 epochs?"),
    "voc2012": _published(presets.voc2012, "The paper's VOC table: 75.7 mIoU on val with FSR"),
    "coco2014": _published(presets.coco2014, "The paper's COCO table: 45.5 mIoU on val with FSR"),
}
