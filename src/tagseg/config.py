"""The configuration of a training: data, network, views, a method's own settings, run.

``presets.py`` fills it with the published values. In YAML files and flags the method's sections stand beside the
others: ``mask: {ratio: 0.4}``, ``--mask.ratio 0.4``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from tagseg.arguments import refuse
from tagseg.beyond.config import BeyondConfig
from tagseg.data.config import DataConfig, ViewConfig
from tagseg.errors import TagsegError
from tagseg.fsr.config import FSRConfig
from tagseg.model.config import NetworkConfig
from tagseg.old_names import moved
from tagseg.settings import AtLeastOne, Count, MethodConfig, Section, Seed, When, Workers


@dataclass(frozen=True)
class SpeedConfig(Section):
    """How a step is computed, never what it computes (docs/speed.md)."""

    SECTION: ClassVar[str] = "speed"

    step: Literal["fast", "plain"] = "fast"
    """``fast``, or ``plain``: the method as it reads in ``fsr/``, without any shortcut, to compare with."""
    compile: bool = False
    """Compile the encoder's blocks with ``torch.compile``; the first steps then take minutes. Needs a C++ compiler on a
    CPU."""
    checkpoint: bool = False
    """Recompute the encoder's blocks in the backward pass (gradient checkpointing): less memory, a longer step."""

    def __post_init__(self) -> None:
        """Check the fields; the plain step takes no shortcut."""
        super().__post_init__()
        for name in ("compile", "checkpoint"):
            if self.step == "plain" and getattr(self, name):
                self.refuse(name, True, "false with speed.step plain")


@dataclass(frozen=True)
class RunConfig(Section):
    """Length, batch size, machine and output of one training."""

    SECTION: ClassVar[str] = "run"

    output: str = "runs/train"
    """Folder of the run: checkpoints, logs, resolved configuration."""
    steps: Count = 20_000
    """Optimiser steps; 0: by the number of photos."""
    batch: AtLeastOne = 8
    """Images a step, over all devices."""
    accumulate: AtLeastOne = 1
    """Number of parts a batch is split into on each device (gradient accumulation)."""
    seed: Seed = 0
    """Every random draw derives from it."""
    workers: Workers = -1
    """Loader workers a device; -1 chooses by the number of cores."""
    accelerator: str = "auto"
    """``auto``, ``cpu``, ``gpu`` … (Lightning's Trainer)."""
    devices: int | str = "auto"
    """Number of devices, or ``auto``."""
    nodes: AtLeastOne = 1
    """Number of machines."""
    strategy: str = "auto"
    """Lightning's strategy, e.g. ``ddp``."""
    precision: Literal["32", "32-true", "bf16-mixed", "16-mixed", "64-true", "bf16", "16", "64"] = "32"
    """Lightning's: ``32``, ``bf16-mixed``, ``16-mixed``; ``64-true`` with the plain step. The others are short for
    these."""
    matmul_precision: Literal["highest", "high", "medium"] = "high"
    """Precision of float32 matrix products while training (``torch.set_float32_matmul_precision``): ``high`` is TF32 on
    a GPU that has it, ``highest`` is float32 throughout. The former value is restored afterwards."""
    logger: Literal["tensorboard", "csv", "wandb", "none"] = "tensorboard"
    """Where losses and scores are logged; ``wandb`` if it is installed."""
    log_every: AtLeastOne = 10
    """Steps between two log lines."""
    validate_every: When = 0.1
    """Validate after this many steps, or this share of the training; 0 never validates."""
    val_limit: Count = 0
    """Score only the first so many images while training; 0 scores all."""
    val_batch: AtLeastOne = 8
    """Images scored at a time."""
    pictures: Count = 4
    """The same few photos through the training (docs/training_logs.md), at least so many times and at each scoring, in
    TensorBoard or wandb; 0: none."""
    collapse: Literal["stop", "warn", "off"] = "stop"
    """When outputs no longer depend on the images (docs/fine_tuning.md): warn and, if it lasts, ``stop``;
    ``warn`` and go on; or ``off``, which does not look."""

    def __post_init__(self) -> None:
        """Check the fields and that a batch divides into its parts."""
        super().__post_init__()
        if self.batch % self.accumulate:
            self.refuse("batch", self.batch, f"a multiple of run.accumulate = {self.accumulate}")


@dataclass(frozen=True)
class Config:
    """The resolved configuration of a training, saved with each run as ``config.yaml``."""

    data: DataConfig = field(default_factory=DataConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    views: ViewConfig = field(default_factory=ViewConfig)
    method: MethodConfig = field(default_factory=FSRConfig)
    beyond: BeyondConfig = field(default_factory=BeyondConfig)
    speed: SpeedConfig = field(default_factory=SpeedConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        """Refuse settings of different sections that do not go together."""
        method, size = self.method, self.views.size
        if isinstance(method, FSRConfig) and method.mask.choice != "none" and size % method.mask.block:
            fitting = ", ".join(str(block) for block in range(8, size + 1) if size % block == 0)
            method.mask.refuse("block", method.mask.block, f"a divisor of views.size = {size} ({fitting})")
        if self.run.precision.startswith("64") and type(method).STEPWISE and self.speed.step != "plain":
            self.run.refuse("precision", self.run.precision, "32, bf16-mixed or 16-mixed, or --speed.step plain")
        if self.beyond.labels == "network" and not self.network.start:
            self.network.refuse("start", "", "the network that makes the labels of beyond.labels network")
        if self.beyond.start_share and isinstance(method, FSRConfig) and not self.network.start:
            self.beyond.refuse("start_share", self.beyond.start_share, "0 without network.start")

    @property
    def fsr(self) -> FSRConfig:
        """The settings of FSR.

        Raises:
            TagsegError: another method is configured.
        """
        if not isinstance(self.method, FSRConfig):
            raise TagsegError(f"the method is {self.method.NAME!r}, expected 'fsr': choose it with --method fsr")
        return self.method

    def sections(self) -> dict[str, Section]:
        """All sections by name, the method's in place of ``method``."""
        sections: dict[str, Section] = {}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if isinstance(value, MethodConfig):
                sections |= {own.name: getattr(value, own.name) for own in dataclasses.fields(value)}
            else:
                sections[item.name] = value
        return sections

    @classmethod
    def of_sections(cls, method: type[MethodConfig], sections: dict[str, Any]) -> Config:
        """The configuration of a method from all its sections by name, the inverse of ``sections``."""
        own = {item.name for item in dataclasses.fields(method)}
        others = {name: section for name, section in sections.items() if name not in own}
        return cls(method=method(**{name: sections[name] for name in own if name in sections}), **others)


def replace(config: Config, **changes: dict[str, Any] | MethodConfig) -> Config:
    """A copy with some settings changed: ``replace(config, run={"steps": 800}, mask={"ratio": 0.2})``.

    Args:
        config: the configuration to copy.
        changes: settings by section; ``method`` takes another method's settings as a whole.

    Raises:
        TagsegError: a section or key that does not exist, named with the keys that do.
    """
    if not isinstance(config, Config):
        raise refuse("config", config, "a Config, e.g. tagseg.PRESETS['folder']()")
    method = changes.pop("method", config.method)
    if not isinstance(method, MethodConfig):
        raise TagsegError(f"config section 'method' is {method!r}, expected the settings of a method")
    sections = dataclasses.replace(config, method=method).sections()
    for name, values in changes.items():
        if name not in sections:
            known = ", ".join(sections)
            raise TagsegError(f"config section {name!r} does not exist, expected one of: {known}")
        if not isinstance(values, Mapping):
            raise refuse(f"config section {name!r}", values, "a dict of its settings that change")
        names = {item.name for item in dataclasses.fields(sections[name])}
        unknown = sorted(set(values) - names)
        if unknown:
            known = ", ".join(sorted(names))
            raise TagsegError(f"config key {name}.{unknown[0]} does not exist, expected one of: {known}")
        sections[name] = dataclasses.replace(sections[name], **values)
    return Config.of_sections(type(method), sections)


def __getattr__(name: str) -> Any:
    """Sections of a method and of the CRF by where they were in 0.1.0."""
    return moved(name)
