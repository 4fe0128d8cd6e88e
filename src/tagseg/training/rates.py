"""Learning rates by encoder family, used where ``optimiser.rate`` is 0. The one table of them.

A rate at which a supervised encoder learns can destroy a self-supervised one within some hundred steps. Batches are of
8 images here and of 16 to 64 in the sources.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from tagseg.fsr.config import OptimiserConfig


@dataclass(frozen=True)
class Family:
    """Encoders that are pretrained alike.

    Attributes:
        name: what they are called.
        pattern: of their names in timm.
        rate: base learning rate; heads have ``optimiser.head_factor`` times it.
        layer_decay: factor of the rate from each block to the one before it.
        measured: whether the rate was tried in this package.
        source: where the values are from.
    """

    name: str
    pattern: str
    rate: float
    layer_decay: float
    measured: bool
    source: str


FAMILIES = (
    Family("DINOv2 and DINOv3", r"dinov[23]", 5e-6, 1.0, False, "Depth Anything (Yang et al. 2024), section 4.1"),
    Family("CLIP, SigLIP and PE", r"clip|siglip|^vit_pe_", 5e-6, 1.0, False, "a cautious guess: as DINOv2"),
    Family("EVA and EVA-02", r"^eva", 6e-5, 0.85, False, "EVA-02 (Fang et al. 2023), UperNet on ADE20K, base size"),
    Family("MAE", r"\.mae", 1e-4, 0.65, False, "MAE (He et al. 2022), UperNet on ADE20K as in MMSegmentation"),
    Family("BEiT", r"^beit", 1e-4, 0.65, False, "as MAE, which follows it"),
    Family("DINO", r"\.dino$", 5e-6, 1.0, False, "as DINOv2"),
    Family("DeiT", r"^deit", 1e-4, 1.0, True, "trainings of docs/voc20mix.md and docs/experiments.md"),
)
"""The first one whose pattern is found in the name counts."""

SUPERVISED = Family("supervised ViT", "", 6e-5, 1.0, False, "FSR (He et al. 2024), ViT-B/16 with AugReg weights")
"""Every other name."""


def family_of(encoder: str) -> Family:
    """The family of an encoder by its name in timm."""
    return next((family for family in FAMILIES if re.search(family.pattern, encoder)), SUPERVISED)


def with_rates(settings: OptimiserConfig, encoder: str) -> OptimiserConfig:
    """The settings with the family's rate where theirs is 0, and with its layer decay unless they have one."""
    if settings.rate:
        return settings
    family = family_of(encoder)
    decay = family.layer_decay if settings.layer_decay == 1 else settings.layer_decay
    return dataclasses.replace(settings, rate=family.rate, layer_decay=decay)
