"""Settings of FSR, a section for each step; the defaults are the published values for PASCAL VOC 2012."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from tagseg.pairwise.config import FilterMethod
from tagseg.settings import (
    Count,
    MethodConfig,
    NotEmpty,
    NotNegative,
    OpenShare,
    Pixels,
    Positive,
    Section,
    Share,
    When,
)


@dataclass(frozen=True)
class CamConfig(Section):
    """Multi-scale class activation maps (section 2 of docs/method.md)."""

    SECTION: ClassVar[str] = "cam"

    scales: Annotated[tuple[Positive, ...], NotEmpty("one or more positive factors")] = (1.0, 0.5, 1.5)
    """Factors of the input size at which CAMs are computed and summed."""
    background_threshold: Share = 0.5
    """When a CAM is scored, a pixel at or below this value is background."""


@dataclass(frozen=True)
class PartitionConfig(Section):
    """Certain and uncertain regions (section 3 of docs/method.md)."""

    SECTION: ClassVar[str] = "partition"

    rule: Literal["cam", "edge"] = "cam"
    """``cam``: thresholds on the CAM; ``edge``: the surroundings of the image's strongest edges are uncertain."""
    low: Share = 0.2
    """At or below this CAM value a pixel is certain background."""
    high: Share = 0.7
    """At or above it a pixel is certain foreground; between both it is uncertain."""
    edge_share: Share = 0.4
    """Share of an image's pixels that the edge rule calls uncertain."""

    def __post_init__(self) -> None:
        """Check the fields and the order of the thresholds."""
        super().__post_init__()
        if not self.low < self.high:
            self.refuse("low and .high", (self.low, self.high), "0 <= low < high <= 1")


@dataclass(frozen=True)
class MaskConfig(Section):
    """Which patches of view 2 are masked (section 4 of docs/method.md)."""

    SECTION: ClassVar[str] = "mask"

    choice: Literal["uncertain", "random", "none"] = "uncertain"
    """``uncertain`` (uncertain blocks first), ``random``, or ``none`` (no masks and no distillation)."""
    ratio: Share = 0.4
    """Share of the blocks that are masked, rounded up."""
    block: Pixels = 64
    """Side of a block in pixels."""
    random_until: When = 0.2
    """Until then blocks are masked at random, as CAMs are not yet reliable."""


@dataclass(frozen=True)
class LabelConfig(Section):
    """Pseudo-labels from CAMs (section 6 of docs/method.md)."""

    SECTION: ClassVar[str] = "labels"

    high: Share = 0.7
    """A pixel needs more than this for a foreground class."""
    low: Share = 0.25
    """At or below this it is background; between both it is ignored (255)."""
    refine: bool = True
    """Refine the CAMs with PAR before they are thresholded."""
    refine_iterations: Count = 10
    """Iterations of PAR."""
    refine_dilations: Annotated[tuple[int, ...], NotEmpty("one or more distances")] = (1, 2, 4, 8, 12, 24)
    """Distances of PAR's neighbours in pixels of the half-size image."""
    refine_spatial_weight: float = 0.01
    """Weight of PAR's position term."""
    refine_sharpness: float = 0.3
    """Divisor of PAR's normalised differences; smaller is more selective."""

    def __post_init__(self) -> None:
        """Check the fields and the order of the thresholds."""
        super().__post_init__()
        if not self.low < self.high:
            self.refuse("low and .high", (self.low, self.high), "0 <= low < high <= 1")


@dataclass(frozen=True)
class EnergyConfig(Section):
    """Dense energy, the regularised loss (section 7 of docs/method.md)."""

    SECTION: ClassVar[str] = "energy"

    sigma_xy: Positive = 100.0
    """Standard deviation of its kernel in pixels of the view; the image is halved, so half of it applies."""
    sigma_rgb: Positive = 15.0
    """Standard deviation in colour levels (0 to 255)."""
    scale: float = 1e-7
    """Factor of the energy."""
    method: FilterMethod = "lattice"
    """How the kernel is evaluated: ``lattice`` (as published), ``exact`` (time grows with the fourth power of the side;
    calibrated to the lattice's scale) or ``auto`` (the faster of the two)."""


@dataclass(frozen=True)
class LossConfig(Section):
    """Weights of the losses and when each starts (sections 5 and 8 of docs/method.md). L_cls always has weight 1."""

    SECTION: ClassVar[str] = "losses"

    uncertain: NotNegative = 0.1
    """Weight of L_unc, the cross-entropy of masked patches."""
    certain: NotNegative = 0.1
    """Weight of L_cer, the cross-entropy of global tokens."""
    affinity: NotNegative = 0.2
    """Weight of L_aff."""
    segmentation: NotNegative = 0.1
    """Weight of L_seg."""
    energy: NotNegative = 0.05
    """Weight of L_reg."""
    segmentation_from: When = 0.1
    """L_seg and L_reg start here."""
    affinity_from: When = 0
    """L_aff starts here."""


@dataclass(frozen=True)
class DistillationConfig(Section):
    """Student, teacher and the temperatures between them (sections 1 and 5 of docs/method.md)."""

    SECTION: ClassVar[str] = "distillation"

    student_temperature: Positive = 0.1
    """Divisor of the student's projection."""
    teacher_temperature: tuple[Positive, Positive] = (0.04, 0.07)
    """Divisor of the teacher's projection, first and last."""
    temperature_warmup: When = 0.125
    """The teacher's temperature rises linearly until then."""
    centre_momentum: Share = 0.9
    """Momentum of the centres: EMA of the teacher's batch means."""
    teacher_momentum: tuple[Share, Share] = (0.9995, 1.0)
    """Momentum of the teacher's weights, first and last; cosine schedule."""


@dataclass(frozen=True)
class OptimiserConfig(Section):
    """AdamW and its learning rate (section 8 of docs/method.md)."""

    SECTION: ClassVar[str] = "optimiser"

    rate: NotNegative = 6e-5
    """Base learning rate: encoder and aggregation. 0: that of the encoder's family, and its layer decay (the table in
    docs/fine_tuning.md)."""
    head_factor: float = 10.0
    """Decoder, projector and classifiers learn this many times faster."""
    weight_decay: NotNegative = 0.05
    """None for 1-D parameters, biases, class token, position embedding and mask token."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW's momenta."""
    warmup: When = 0.075
    """Linear warm-up until then."""
    warmup_ratio: Share = 0.1
    """The warm-up starts at this share of the rate."""
    layer_decay: OpenShare = 1.0
    """Factor of the rate from each block of the encoder to the one before it, down to patch embedding and positions; 1:
    the same rate everywhere, as in the paper."""
    heads_first: When = 0
    """Until then only the heads learn; the encoder's warm-up begins then. 0: all learn from the first step."""


@dataclass(frozen=True)
class FSRConfig(MethodConfig):
    """Progressive feature self-reinforcement: the sections above."""

    NAME: ClassVar[str] = "fsr"

    cam: CamConfig = field(default_factory=CamConfig)
    partition: PartitionConfig = field(default_factory=PartitionConfig)
    mask: MaskConfig = field(default_factory=MaskConfig)
    labels: LabelConfig = field(default_factory=LabelConfig)
    energy: EnergyConfig = field(default_factory=EnergyConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
