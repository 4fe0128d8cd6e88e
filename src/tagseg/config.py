"""Every setting of the method and of a run, as frozen dataclasses that check themselves.

``presets.py`` fills them with the published values. A *when* is either a step number (``int``) or a share of the
training (``float`` between 0 and 1), so that a schedule follows the length of the run unless it is pinned.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from tagseg.errors import TagsegError

When: TypeAlias = int | float

Method = Literal["auto", "exact", "lattice"]
"""How a Gaussian filter over position and colour is evaluated (``pairwise.bilateral``)."""


def step_of(when: When, steps: int) -> int:
    """Turn a *when* into a step number: an ``int`` is one already, a ``float`` is a share of ``steps``."""
    return when if isinstance(when, int) else round(when * steps)


def _check(ok: bool, name: str, value: object, expected: str) -> None:
    if not ok:
        raise TagsegError(f"{name} is {value!r}, expected {expected}: change it in the config file or by its flag")


def _check_share(name: str, value: float) -> None:
    _check(0 <= value <= 1, name, value, "a number from 0 to 1")


def _check_when(name: str, value: When) -> None:
    ok = value >= 0 and (isinstance(value, int) or value <= 1)
    _check(ok, name, value, "a step number (integer) or a share of the training (a float from 0 to 1)")


def _check_method(name: str, value: str) -> None:
    _check(value in get_args(Method), name, value, "auto, exact or lattice")


@dataclass(frozen=True)
class NetworkConfig:
    """The network (METHOD §1): encoder, aggregation, heads.

    Attributes:
        encoder: name of a plain ViT in timm, e.g. ``vit_base_patch16_224.augreg_in21k_ft_in1k``.
        weights: where its pretrained weights come from: ``hub`` (timm downloads them), ``none`` (random), or a path
            to a ``.safetensors`` or ``.pth`` file with timm's names.
        encoder_options: keyword arguments for ``timm.create_model``, e.g. ``{"depth": 4, "embed_dim": 48}``.
        drop_path: stochastic depth rate of the last block, linear in depth.
        aux_layer: block whose output feeds the auxiliary head, negative from the end (-3: the 10th of 12).
        aggregation: how patch tokens become the global token: ``attention`` (the paper's multi-token
            cross-attention), ``average`` or ``max`` pooling.
        aggregation_depth: number of cross-attention blocks.
        pool: share of an image's patches whose highest values, channel by channel, are averaged for the tag logits; 0:
            the maximum alone, as in the paper; 1: the average of all.
        decoder_width: channels of the LargeFOV decoder.
        decoder_dilation: dilation of its two 3×3 convolutions.
        decoder_start: factor of its last layer's initial weights: 1 in the paper; less starts from nearly equal scores.
        projector_width: hidden width of the projector.
        projector_bottleneck: width before its last layer.
        prototypes: P, number of outputs of the projector.
        mean: per channel, subtracted from an image in [0, 1]; ImageNet's, as in the paper, whatever the encoder.
        std: per channel, divides it.
    """

    encoder: str = "vit_base_patch16_224.augreg_in21k_ft_in1k"
    weights: str = "hub"
    encoder_options: dict[str, Any] = field(default_factory=dict)
    drop_path: float = 0.1
    aux_layer: int = -3
    aggregation: Literal["attention", "average", "max"] = "attention"
    aggregation_depth: int = 2
    pool: float = 0.0
    decoder_width: int = 512
    decoder_dilation: int = 5
    decoder_start: float = 1.0
    projector_width: int = 2048
    projector_bottleneck: int = 256
    prototypes: int = 4096
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        _check(self.aux_layer < 0, "network.aux_layer", self.aux_layer, "a negative number, counted from the end")
        _check(self.prototypes >= 2, "network.prototypes", self.prototypes, "at least 2")
        _check_share("network.drop_path", self.drop_path)
        _check_share("network.pool", self.pool)
        _check(self.decoder_start >= 0, "network.decoder_start", self.decoder_start, "0 or more")


@dataclass(frozen=True)
class ViewConfig:
    """How two random views are drawn from an image (METHOD §5.1).

    Attributes:
        size: side of a view in pixels; a multiple of the encoder's patch and of ``mask.block``.
        scale: share of the image's area that a random crop covers, least and most.
        flip: probability of a mirror image.
        jitter: strength of brightness, contrast, saturation and hue.
        jitter_probability: probability of the colour jitter.
        blur_probability: probability of a Gaussian blur (the paper: changes little).
        solarise_probability: probability of solarising (the paper: changes little).
        local_crops: number of additional small crops for L_cer.
        local_size: side of a local crop in pixels.
        local_scale: share of the area that a local crop covers, least and most.
        draft: decode a large JPEG at 1/2, 1/4 or 1/8 of its size where no view needs more. The views are the same parts
            of the image within about a pixel of the reduced one; their pixels differ a little.
        augment: where views are mirrored, jittered, blurred and solarised: by the ``loader``'s processes, or by the
            ``device`` that trains, for all images of a batch together. The draws are the same.
    """

    size: int = 448
    scale: tuple[float, float] = (0.32, 1.0)
    flip: float = 0.5
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.2, 0.1)
    jitter_probability: float = 0.5
    blur_probability: float = 0.0
    solarise_probability: float = 0.0
    local_crops: int = 0
    local_size: int = 96
    local_scale: tuple[float, float] = (0.05, 0.32)
    draft: bool = True
    augment: Literal["loader", "device"] = "loader"

    def __post_init__(self) -> None:
        _check(self.size > 0, "views.size", self.size, "a positive number of pixels")
        _check(0 < self.scale[0] <= self.scale[1] <= 1, "views.scale", self.scale, "0 < least <= most <= 1")
        for name in ("flip", "jitter_probability", "blur_probability", "solarise_probability"):
            _check_share(f"views.{name}", getattr(self, name))
        _check(self.local_crops >= 0, "views.local_crops", self.local_crops, "0 or more")
        _check(self.augment in ("loader", "device"), "views.augment", self.augment, "loader or device")


@dataclass(frozen=True)
class CamConfig:
    """Multi-scale class activation maps (METHOD §2).

    Attributes:
        scales: factors of the input size at which CAMs are computed and summed.
        background_threshold: when a CAM is scored, a pixel at or below this value is background.
    """

    scales: tuple[float, ...] = (1.0, 0.5, 1.5)
    background_threshold: float = 0.5

    def __post_init__(self) -> None:
        _check(len(self.scales) > 0 and min(self.scales) > 0, "cam.scales", self.scales, "one or more positive factors")
        _check_share("cam.background_threshold", self.background_threshold)


@dataclass(frozen=True)
class PartitionConfig:
    """Certain and uncertain regions (METHOD §3).

    Attributes:
        rule: ``cam`` (thresholds on the CAM) or ``edge`` (bands around the image's strongest edges).
        low: a pixel whose highest present-class CAM is at or below this is certain background.
        high: at or above this it is certain foreground; between the two it is uncertain.
        edge_share: share of an image's pixels that the edge rule calls uncertain.
    """

    rule: Literal["cam", "edge"] = "cam"
    low: float = 0.2
    high: float = 0.7
    edge_share: float = 0.4

    def __post_init__(self) -> None:
        _check(0 <= self.low < self.high <= 1, "partition.low and .high", (self.low, self.high), "0 <= low < high <= 1")
        _check_share("partition.edge_share", self.edge_share)


@dataclass(frozen=True)
class MaskConfig:
    """Which patches of view 2 are hidden from the student (METHOD §4).

    Attributes:
        choice: ``uncertain`` (uncertain blocks first), ``random``, or ``none`` (no masking and no distillation).
        ratio: share of the blocks that are masked, rounded up.
        block: side of a block in pixels.
        random_until: until then the choice is random (CAMs are not yet to be trusted).
    """

    choice: Literal["uncertain", "random", "none"] = "uncertain"
    ratio: float = 0.4
    block: int = 64
    random_until: When = 0.2

    def __post_init__(self) -> None:
        _check_share("mask.ratio", self.ratio)
        _check(self.block > 0, "mask.block", self.block, "a positive number of pixels")
        _check_when("mask.random_until", self.random_until)


@dataclass(frozen=True)
class LabelConfig:
    """Pseudo-labels from CAMs (METHOD §6).

    Attributes:
        source: what L_seg and L_reg are told: ``cam``, labels made from the CAMs in every step; ``border``, labels made
            once, of what the pretrained encoder sees that an image's border does not show (not in the paper); or
            ``masks``, the true masks of the training images. That is the fully supervised network to compare with, not
            the method.
        high: a pixel needs more than this for a foreground class.
        low: at or below this it is background; between the two it is ignored (255).
        refine: refine the CAMs with PAR before they are thresholded.
        refine_iterations: iterations of PAR.
        refine_dilations: its neighbour distances in pixels (of the half-size image).
        refine_spatial_weight: weight of its position term.
        refine_sharpness: divisor of the normalised differences; smaller is more selective.
        border_size: side in pixels at which images are seen for labels from the border.
        foreground_share: of all patches of images with tags, how many are of a class; VOC's photos have a quarter.
    """

    source: Literal["cam", "border", "masks"] = "cam"
    high: float = 0.7
    low: float = 0.25
    refine: bool = True
    refine_iterations: int = 10
    refine_dilations: tuple[int, ...] = (1, 2, 4, 8, 12, 24)
    refine_spatial_weight: float = 0.01
    refine_sharpness: float = 0.3
    border_size: int = 320
    foreground_share: float = 0.3

    @property
    def ready(self) -> bool:
        """Whether labels are there before a step begins, and are cut as the views are."""
        return self.source != "cam"

    def __post_init__(self) -> None:
        _check(self.source in ("cam", "border", "masks"), "labels.source", self.source, "cam, border or masks")
        _check(self.border_size > 0, "labels.border_size", self.border_size, "a size in pixels")
        _check(0 < self.foreground_share < 1, "labels.foreground_share", self.foreground_share, "between 0 and 1")
        _check(0 <= self.low < self.high <= 1, "labels.low and .high", (self.low, self.high), "0 <= low < high <= 1")
        _check(self.refine_iterations >= 0, "labels.refine_iterations", self.refine_iterations, "0 or more")
        _check(
            len(self.refine_dilations) > 0, "labels.refine_dilations", self.refine_dilations, "one or more distances"
        )


@dataclass(frozen=True)
class EnergyConfig:
    """Dense energy, the regularised loss (METHOD §7).

    Attributes:
        sigma_xy: width of its kernel in pixels of the full-size view; the image is halved, so half of it applies.
        sigma_rgb: width in colour levels (0 to 255).
        scale: factor of the energy; 1e-7 in the paper.
        method: how its filter is evaluated: ``lattice`` (as published), ``exact`` (time grows with the fourth power of
            the side; calibrated to the lattice's scale) or ``auto`` (the faster of the two).
    """

    sigma_xy: float = 100.0
    sigma_rgb: float = 15.0
    scale: float = 1e-7
    method: Method = "lattice"

    def __post_init__(self) -> None:
        _check(self.sigma_xy > 0, "energy.sigma_xy", self.sigma_xy, "a positive number")
        _check(self.sigma_rgb > 0, "energy.sigma_rgb", self.sigma_rgb, "a positive number")
        _check_method("energy.method", self.method)


@dataclass(frozen=True)
class CrfConfig:
    """Dense CRF over the predicted probabilities (METHOD §9; Krähenbühl & Koltun 2011).

    Attributes:
        iterations: of mean field.
        gaussian_sigma: width of the position-only kernel in pixels.
        gaussian_weight: its weight.
        bilateral_sigma_xy: width of the position-and-colour kernel in pixels.
        bilateral_sigma_rgb: its width in colour levels (0 to 255).
        bilateral_weight: its weight.
        method: how the bilateral kernel is evaluated: ``lattice`` (as the common C++ implementation does), ``exact``
            (small images, or a GPU) or ``auto`` (the faster of the two).
        negligible: a class whose probability nowhere exceeds this share of the most probable one's is not filtered; it
            could not win (``pairwise.relevant``). 0 filters every class.
    """

    iterations: int = 10
    gaussian_sigma: float = 1.0
    gaussian_weight: float = 1.0
    bilateral_sigma_xy: float = 121.0
    bilateral_sigma_rgb: float = 5.0
    bilateral_weight: float = 4.0
    method: Method = "lattice"
    negligible: float = 1e-3

    def __post_init__(self) -> None:
        _check(self.iterations >= 0, "crf_settings.iterations", self.iterations, "0 or more")
        for name in ("gaussian_sigma", "bilateral_sigma_xy", "bilateral_sigma_rgb"):
            _check(getattr(self, name) > 0, f"crf_settings.{name}", getattr(self, name), "a positive number")
        for name in ("gaussian_weight", "bilateral_weight"):
            _check(getattr(self, name) >= 0, f"crf_settings.{name}", getattr(self, name), "0 or more")
        _check(0 <= self.negligible <= 0.1, "crf_settings.negligible", self.negligible, "a share from 0 to 0.1")
        _check_method("crf_settings.method", self.method)


PUBLISHED_CRF = CrfConfig()
"""The dense CRF of METHOD §9."""


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses and when each starts (METHOD §5 and §8). L_cls has weight 1 from the start.

    Attributes:
        uncertain: weight of L_unc, the masked-patch cross-entropy.
        certain: weight of L_cer, the class-token cross-entropy.
        affinity: weight of L_aff.
        segmentation: weight of L_seg.
        energy: weight of L_reg.
        segmentation_from: L_seg and L_reg start after this.
        affinity_from: L_aff starts after this.
    """

    uncertain: float = 0.1
    certain: float = 0.1
    affinity: float = 0.2
    segmentation: float = 0.1
    energy: float = 0.05
    segmentation_from: When = 0.1
    affinity_from: When = 0

    def __post_init__(self) -> None:
        for name in ("uncertain", "certain", "affinity", "segmentation", "energy"):
            _check(getattr(self, name) >= 0, f"losses.{name}", getattr(self, name), "0 or more")
        _check_when("losses.segmentation_from", self.segmentation_from)
        _check_when("losses.affinity_from", self.affinity_from)


@dataclass(frozen=True)
class DistillationConfig:
    """Student, teacher and the temperatures between them (METHOD §1, §5).

    Attributes:
        student_temperature: divisor of the student's projection.
        teacher_temperature: divisor of the teacher's projection, first and last.
        temperature_warmup: the teacher's rises linearly until then.
        teacher_sharpness: 0: these temperatures, as in the paper. Otherwise the root mean square of the teacher's
            logits, kept by a temperature that follows how much its projections vary: a target that is never uniform.
        centre_momentum: EMA of the teacher's batch mean.
        teacher_momentum: EMA of the teacher's weights, first and last, cosine over the training.
    """

    student_temperature: float = 0.1
    teacher_temperature: tuple[float, float] = (0.04, 0.07)
    temperature_warmup: When = 0.125
    teacher_sharpness: float = 0.0
    centre_momentum: float = 0.9
    teacher_momentum: tuple[float, float] = (0.9995, 1.0)

    def __post_init__(self) -> None:
        _check(self.student_temperature > 0, "distillation.student_temperature", self.student_temperature, "positive")
        lowest = min(self.teacher_temperature)
        _check(lowest > 0, "distillation.teacher_temperature", self.teacher_temperature, "positive numbers")
        _check(self.teacher_sharpness >= 0, "distillation.teacher_sharpness", self.teacher_sharpness, "0 or more")
        _check_share("distillation.centre_momentum", self.centre_momentum)
        _check_when("distillation.temperature_warmup", self.temperature_warmup)
        for value in self.teacher_momentum:
            _check_share("distillation.teacher_momentum", value)


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW and its learning rate (METHOD §8).

    Attributes:
        rate: base learning rate (encoder and aggregation).
        head_factor: decoder, projector and classifiers learn this many times faster.
        weight_decay: none for 1-D parameters, biases, class token, position embedding and mask token.
        betas: AdamW's momenta.
        fit_classifiers: before the first step, fit both classifiers to the features that the pretrained encoder has of
            the training images (``training/start.py``; not in the paper): a start for short trainings.
        warmup: linear warm-up until then.
        warmup_ratio: the warm-up starts from this share of the rate.
    """

    rate: float = 6e-5
    head_factor: float = 10.0
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.999)
    fit_classifiers: bool = False
    warmup: When = 0.075
    warmup_ratio: float = 0.1

    def __post_init__(self) -> None:
        _check(self.rate > 0, "optimiser.rate", self.rate, "a positive number")
        _check(self.weight_decay >= 0, "optimiser.weight_decay", self.weight_decay, "0 or more")
        _check_share("optimiser.warmup_ratio", self.warmup_ratio)
        _check_when("optimiser.warmup", self.warmup)


@dataclass(frozen=True)
class SpeedConfig:
    """How a step is computed, never what (docs/speed.md). Precision and accumulation are in ``run``.

    Attributes:
        step: ``fast``, or ``plain``: METHOD §5 word for word, nothing shared and nothing skipped, to compare with.
        compile: compile the encoder's blocks with ``torch.compile``; the first steps then take minutes. Needs a C++
            compiler on a CPU.
        checkpoint: keep nothing inside the encoder's blocks for the backward pass but compute it again: less memory,
            a longer step.
    """

    step: Literal["fast", "plain"] = "fast"
    compile: bool = False
    checkpoint: bool = False

    def __post_init__(self) -> None:
        _check(self.step in ("fast", "plain"), "speed.step", self.step, "fast or plain")


@dataclass(frozen=True)
class DataConfig:
    """Where the images, tags and (for scoring) masks are (``data/sources.py``).

    Attributes:
        source: layout of the data: ``folder``, ``voc``, ``coco`` or ``scenes``.
        root: the data's folder (``scenes`` needs none: it draws its own).
        train_split: split whose tags are trained on.
        val_split: split that is scored; the empty string scores nothing.
        tags: where tags come from. folder: a CSV or JSON-lines file (``auto`` finds ``labels.csv``, ``tags.csv`` or
            their ``.jsonl``). voc: ``auto``, ``xml``, ``masks``, a ``.npy`` or a CSV file. coco: ``auto``.
        images: folder of the images, relative to the root; ``auto`` finds it.
        masks: folder of the masks, relative to the root; ``auto`` finds it, ``none`` ignores them.
        classes: class names, or the path of a file with one a line; empty: from the data.
        skip_missing: leave out rows whose image is absent, instead of stopping.
        untagged: keep images without tags, which are pure background; the published COCO lists leave them out.
        repeat_below: images of classes that fewer than this share of the images show are seen more often (not in the
            paper: 0).
        scenes: number of scenes that the ``scenes`` source draws for training; a quarter of it for scoring.
    """

    source: Literal["folder", "voc", "coco", "scenes"] = "folder"
    root: str = "."
    train_split: str = "train"
    val_split: str = "val"
    tags: str = "auto"
    images: str = "auto"
    masks: str = "auto"
    classes: str | tuple[str, ...] = ()
    skip_missing: bool = False
    untagged: bool = True
    repeat_below: float = 0.0
    scenes: int = 400

    def __post_init__(self) -> None:
        _check_share("data.repeat_below", self.repeat_below)


@dataclass(frozen=True)
class RunConfig:
    """Length, batch, machine and output of one training.

    Attributes:
        output: folder of the run: checkpoints, log, resolved configuration.
        steps: optimiser steps.
        batch: images a step, over all devices.
        accumulate: number of parts a batch is split into on each device (gradient accumulation).
        seed: every random draw derives from it.
        workers: loader processes per device; -1 chooses by the number of cores.
        accelerator: ``auto``, ``cpu``, ``gpu`` … (Lightning's Trainer).
        devices: number of devices, or ``auto``.
        nodes: number of machines.
        strategy: Lightning's strategy, e.g. ``ddp``.
        precision: ``32``, ``bf16-mixed``, ``16-mixed`` … (Lightning's Trainer).
        logger: ``tensorboard``, ``csv``, ``wandb`` (if installed) or ``none``.
        log_every: steps between two log lines.
        validate_every: validate after this many steps, or this share of the training.
        val_limit: score only the first so many images while training; 0 scores all.
        val_batch: images scored at a time.
    """

    output: str = "runs/train"
    steps: int = 20_000
    batch: int = 8
    accumulate: int = 1
    seed: int = 0
    workers: int = -1
    accelerator: str = "auto"
    devices: int | str = "auto"
    nodes: int = 1
    strategy: str = "auto"
    precision: str = "32"
    logger: Literal["tensorboard", "csv", "wandb", "none"] = "tensorboard"
    log_every: int = 10
    validate_every: When = 0.1
    val_limit: int = 0
    val_batch: int = 8

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulate", "nodes", "log_every", "val_batch"):
            _check(getattr(self, name) >= 1, f"run.{name}", getattr(self, name), "1 or more")
        _check_when("run.validate_every", self.validate_every)
        _check(self.val_limit >= 0, "run.val_limit", self.val_limit, "0 (all) or more")


@dataclass(frozen=True)
class Config:
    """The resolved configuration of a training, saved with each run as ``config.yaml``."""

    data: DataConfig = field(default_factory=DataConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    views: ViewConfig = field(default_factory=ViewConfig)
    cam: CamConfig = field(default_factory=CamConfig)
    partition: PartitionConfig = field(default_factory=PartitionConfig)
    mask: MaskConfig = field(default_factory=MaskConfig)
    labels: LabelConfig = field(default_factory=LabelConfig)
    energy: EnergyConfig = field(default_factory=EnergyConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    speed: SpeedConfig = field(default_factory=SpeedConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        if self.mask.choice != "none":
            expected = f"a divisor of views.size = {self.views.size}"
            _check(self.views.size % self.mask.block == 0, "mask.block", self.mask.block, expected)
        parts = self.run.accumulate
        _check(self.run.batch % parts == 0, "run.batch", self.run.batch, f"a multiple of run.accumulate = {parts}")


def replace(config: Config, **changes: dict[str, Any]) -> Config:
    """A copy with some settings changed: ``replace(config, run={"steps": 800}, views={"size": 224})``.

    Raises:
        TagsegError: a section or key that does not exist, named with the keys that do.
    """
    sections = {}
    for section, values in changes.items():
        if section not in {f.name for f in dataclasses.fields(config)}:
            known = ", ".join(f.name for f in dataclasses.fields(config))
            raise TagsegError(f"config section {section!r} does not exist, expected one of: {known}")
        part = getattr(config, section)
        names = {f.name for f in dataclasses.fields(part)}
        unknown = sorted(set(values) - names)
        if unknown:
            known = ", ".join(sorted(names))
            raise TagsegError(f"config key {section}.{unknown[0]} does not exist, expected one of: {known}")
        sections[section] = dataclasses.replace(part, **values)
    return dataclasses.replace(config, **sections)
