"""Settings of the method ``frozen``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from tagseg.settings import MethodConfig, NotNegative, Pixels, Positive, Section, Share


@dataclass(frozen=True)
class FeatureConfig(Section):
    """Features of the frozen encoder, computed once (docs/frozen.md)."""

    SECTION: ClassVar[str] = "features"

    size: Pixels = 320
    """Side in pixels that photos are resized to, rounded to a multiple of the patch size."""
    folder: str = ""
    """Where features are kept for other trainings; by default ``features`` beside the run's folder."""


@dataclass(frozen=True)
class FrozenLabelConfig(Section):
    """Pseudo-labels that the decoder is trained on."""

    SECTION: ClassVar[str] = "labels"

    source: Literal["spectral", "folder", "masks"] = "spectral"
    """``spectral``: from features and tags (``frozen/foreground.py``); ``folder``: class-agnostic masks or proposals in
    ``labels.folder``, each given the tag that the former vote for; ``masks``: ground truth, which is the fully
    supervised upper bound and not weak supervision."""
    folder: str = ""
    """Folder or COCO file of the masks or proposals of ``source: folder`` (docs/proposals.md)."""
    kind: Literal["auto", "binary", "segments", "saliency"] = "auto"
    """What those pictures are; ``auto`` finds out."""
    foreground_share: Share = 0.0
    """Share of the patches of tagged photos that are foreground; 0: estimated from the photos. Masks need none."""
    crf: bool = False
    """Whether a dense CRF moves the labels to the edges of the photos before the decoder learns them."""

    def __post_init__(self) -> None:
        """Check the fields and that those are set which the source of the labels reads."""
        super().__post_init__()
        if self.source != "folder" and self.folder:
            self.refuse("folder", self.folder, f"none with labels.source {self.source}, or labels.source folder")
        if self.source != "folder" and self.kind != "auto":
            self.refuse("kind", self.kind, f"auto with labels.source {self.source}, or labels.source folder")
        if self.source != "spectral" and self.crf:
            self.refuse("crf", self.crf, f"false with labels.source {self.source}, or labels.source spectral")
        if self.source == "folder" and not self.folder:
            self.refuse("folder", self.folder, "the folder of masks or proposals with labels.source folder")


@dataclass(frozen=True)
class DecoderConfig(Section):
    """Training of the decoder on frozen features; ``run.steps`` and ``run.batch`` say how long."""

    SECTION: ClassVar[str] = "decoder"

    rate: Positive = 1e-3
    """Learning rate of AdamW."""
    weight_decay: NotNegative = 0.05
    """Of all its parameters."""


@dataclass(frozen=True)
class FrozenConfig(MethodConfig):
    """A decoder on the features of a frozen encoder: the sections above."""

    NAME: ClassVar[str] = "frozen"
    STEPWISE: ClassVar[bool] = False

    features: FeatureConfig = field(default_factory=FeatureConfig)
    labels: FrozenLabelConfig = field(default_factory=FrozenLabelConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
