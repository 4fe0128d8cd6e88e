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


def joined(*several: Changes) -> Changes:
    """All of them, section by section; where two change the same key the later one counts."""
    sections = dict.fromkeys(section for changes in several for section in changes)
    return {name: {k: v for changes in several for k, v in changes.get(name, {}).items()} for name in sections}


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
        after: another variant whose trained student makes the masks this one trains on (``second_round.py``).
        against: the variant it is compared with; the experiment's first if none is named.
    """

    changes: Changes = field(default_factory=dict)
    hypothesis: str = ""
    after: str = ""
    against: str = ""


@dataclass(frozen=True)
class Experiment:
    """Variants to compare.

    Attributes:
        question: what it is to find out.
        base: the settings all variants share.
        variants: by name.
        chosen_on: ``dev``: a fifth of ``train``, not trained on, whose masks serve to choose settings and nothing else;
            ``val`` is scored too, to report. ``val``: nothing is chosen, all of ``train`` is trained on.
        baseline: the variant that has 0 % of the way, if any.
        bound: the variant trained on true masks, that has all of it.
    """

    question: str
    base: Callable[[], Config]
    variants: dict[str, Variant]
    chosen_on: str = "dev"
    baseline: str = ""
    bound: str = ""


def voc20mix() -> Config:
    """The setting of ``benchmarks/voc20mix.py``: DeiT-Ti, 224 px, batch 4, 800 steps."""
    return replace(
        presets.paper(),
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


START: Changes = {"network": {"decoder_start": 0.1}, "optimiser": {"fit_classifiers": True}}
BORDER: Changes = joined(SUPERVISED, START, {"labels": {"source": "border"}})
REPEATED: Changes = {"data": {"repeat_below": 0.1}}
FSR: Changes = {"mask": {"choice": "uncertain"}}
ENDS = ("no masking, no distillation", "true masks")
_MEASURE = {
    "no masking, no distillation": Variant(NO_FSR, "the baseline of the paper's ablations"),
    "FSR as published": Variant({}, "self-reinforcement adds to the baseline"),
    "border labels": Variant(BORDER, "labels from the border get closer to the true masks than CAMs"),
    "border labels, FSR": Variant(joined(BORDER, FSR), "self-reinforcement adds to them"),
    "true masks": Variant(joined(SUPERVISED, START), "the same network fully supervised: the upper bound"),
}
RATIOS = {
    ("random", "cam"): (0.2, 0.4, 0.6),
    ("uncertain", "cam"): (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
    ("uncertain", "edge"): (0.2, 0.4, 0.6),
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
        for ratio in RATIOS[choice, rule]
    },
    "CAM, stricter": Variant({"partition": {"low": 0.1, "high": 0.8}}, "a stricter choice of certain regions is worse"),
    "CAM, looser": Variant({"partition": {"low": 0.3, "high": 0.6}}, "a less strict one is better"),
    **{f"CAM, random until {until}": Variant({"mask": {"random_until": until}}) for until in (0.0, 0.5, 1.0)},
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
# 4,096 random directions in 256 dimensions have cosines of root mean square 1/16 with anything: at the published
# temperatures of 0.04 and 0.1 logits of 1.6 and 0.6, from which the centre takes what images share.
SHARPENED: Changes = {"distillation": {"teacher_sharpness": 1.5, "student_temperature": 0.05}}
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


POOLED: Changes = {"network": {"pool": 0.1}}
_CAM, _CAM_STARTED, _BORDER = (
    "no masking, no distillation",
    "better start, no masking, no distillation",
    "border labels",
)
_LADDER = {
    _CAM: Variant(NO_FSR, "the baseline of the paper's ablations"),
    "FSR as published": Variant({}, "self-reinforcement adds to it"),
    "true masks": Variant(SUPERVISED, "the same network fully supervised"),
    _CAM_STARTED: Variant(
        joined(START, NO_FSR), "classifiers that know the tags, a decoder that need not unlearn, from the first step"
    ),
    "better start": Variant(START, "self-reinforcement adds to it", against=_CAM_STARTED),
    "better start, pool 10 %": Variant(
        joined(START, POOLED),
        "the maximum trains one patch a class and image, a tenth more of the object",
        against="better start",
    ),
    "better start, sharpened teacher": Variant(
        joined(START, SHARPENED),
        "a target that is not uniform gives both distillation losses a say",
        against="better start",
    ),
    "second round": Variant(
        joined(SUPERVISED, START),
        "masks of a finished network beat CAMs on the fly",
        after="better start",
        against="better start",
    ),
    "true masks, better start": Variant(
        joined(SUPERVISED, START), "the upper bound at these settings", against=_CAM_STARTED
    ),
    _BORDER: Variant(
        BORDER, "CAMs of a ViT outline little of an object; what a border does not show does", against=_CAM_STARTED
    ),
    "border labels, FSR": Variant(joined(BORDER, FSR), "self-reinforcement adds to them", against=_BORDER),
    "border labels, FSR, random masks": Variant(
        joined(BORDER, {"mask": {"choice": "random"}}),
        "masks that CAMs choose are better than random ones",
        against="border labels, FSR",
    ),
    "border labels, FSR, sharpened teacher": Variant(
        joined(BORDER, FSR, SHARPENED),
        "a target that is not uniform gives both distillation losses a say",
        against="border labels, FSR",
    ),
    "border labels, L_aff and L_reg": Variant(
        joined(BORDER, {"losses": {"affinity": 0.2, "energy": 0.05}}),
        "both are of use to given labels too",
        against=_BORDER,
    ),
    "border labels, faster teacher": Variant(
        joined(BORDER, {"distillation": {"teacher_momentum": (0.95, 0.99)}}),
        "at 0.99 to 1 the teacher averages most of so short a training; one of the last steps beats the student",
        against=_BORDER,
    ),
    "border labels, second round": Variant(
        joined(SUPERVISED, START),
        "a network is more consistent than the labels it was trained on",
        after=_BORDER,
        against=_BORDER,
    ),
    "border labels, FSR, rare classes repeated": Variant(
        joined(BORDER, FSR, REPEATED),
        "classes that few photos show are never predicted",
        against="border labels, FSR",
    ),
    "true masks, rare classes repeated": Variant(
        joined(SUPERVISED, START, REPEATED), "the bound then", against="true masks, better start"
    ),
}


def _heads(factor: float) -> Changes:
    return joined(START, {"optimiser": {"head_factor": factor}})


CALM = _heads(2.0)
_RATES = {
    f"heads {factor:g} times as fast as the encoder": Variant(
        joined(_heads(factor), NO_FSR),
        "Adam's step of 0.001 in 192 weights moves a logit of max-pooled features by 0.5: fitted classifiers are lost",
    )
    for factor in (10.0, 5.0, 2.0, 1.0)
}
_CALM = {
    "no masking, no distillation": Variant(joined(CALM, NO_FSR), "the baseline"),
    "FSR": Variant(CALM, "self-reinforcement adds to the baseline"),
    "true masks": Variant(joined(CALM, SUPERVISED), "the same network fully supervised"),
    "second round": Variant(joined(CALM, SUPERVISED), "masks of a finished network beat CAMs on the fly", ENDS[0]),
    "FSR, sharpened teacher": Variant(joined(CALM, SHARPENED), "a target that is not uniform says something"),
    "FSR, pool 10 %": Variant(joined(CALM, POOLED), "more of an object is trained"),
}


def _published(base: Callable[[], Config], question: str) -> Experiment:
    def scored_once() -> Config:
        return replace(base(), run={"validate_every": 0, "val_limit": 0})

    return Experiment(question, scored_once, {"no masking, no distillation": Variant(NO_FSR), "FSR": Variant()}, "val")


def border_small() -> Config:
    """Two cores' setting with labels from the border, FSR and a teacher whose targets are not uniform.

    At the published temperatures they are, and which patches are hidden from such a distillation says nothing.
    """
    return replace(voc20mix_small(), **joined(BORDER, FSR, SHARPENED))


PUBLISHED: Changes = {"distillation": {"teacher_sharpness": 0.0, "student_temperature": 0.1}}
_ABLATIONS = {
    "FSR": Variant({}, "the whole method, where its distillation learns"),
    "nothing masked": Variant(NO_FSR, "masking and distillation help"),
    "published temperatures": Variant(PUBLISHED, "a target that is not uniform is the better one"),
    "random masks": _MASKS["random, ratio 0.4"],
    "edge masks": _MASKS["edge, ratio 0.4"],
    "ratio 0.2": _MASKS["CAM, ratio 0.2"],
    "ratio 0.6": _MASKS["CAM, ratio 0.6"],
    **{name: _PARTS[name] for name in ("without L_unc", "without L_cer", "average pooling", "max pooling")},
}


EXPERIMENTS: dict[str, Experiment] = {
    "measure": Experiment("How far do tags get, against true masks?", voc20mix, _MEASURE, "val", *ENDS),
    "measure_small": Experiment("The same, on two cores", voc20mix_small, _MEASURE, "val", *ENDS),
    "masks": Experiment("Which patches to hide, and how many?", voc20mix, _MASKS),
    "parts": Experiment("What does each part add?", voc20mix, _PARTS),
    "distillation": Experiment("What makes the distillation learn in a short training?", voc20mix, _DISTILLATION),
    "ladder_small": Experiment(
        "What helps a short training, step by step?",
        voc20mix_small,
        _LADDER,
        "dev",
        ENDS[0],
        "true masks, better start",
    ),
    "ablations_small": Experiment("What do masks and distillation add, on two cores?", border_small, _ABLATIONS),
    "input": Experiment("How large an input?", voc20mix, _INPUT),
    "encoders": Experiment("Which encoder?", voc20mix, _ENCODERS),
    "rates_small": Experiment("How fast may the heads learn?", voc20mix_small, _RATES),
    "calm_small": Experiment("With fitted classifiers and slower heads", voc20mix_small, _CALM, "dev", *ENDS),
    "voc2012": _published(presets.voc2012, "The paper's VOC table: 75.7 mIoU on val with FSR"),
    "coco2014": _published(presets.coco2014, "The paper's COCO table: 45.5 mIoU on val with FSR"),
}
