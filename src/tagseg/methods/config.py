"""The methods that can be trained, by name, and the settings of the plain classifier."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import ClassVar

from tagseg.config import Config
from tagseg.frozen.config import FrozenConfig
from tagseg.fsr.config import CamConfig, FSRConfig, OptimiserConfig
from tagseg.methods.unread import ALSO_READ, SECTIONS, without_unread
from tagseg.settings import MethodConfig


@dataclass(frozen=True)
class ClassifierConfig(MethodConfig):
    """A plain classifier whose CAM is the baseline of the field: L_cls alone (``methods/classifier.py``)."""

    NAME: ClassVar[str] = "classifier"

    cam: CamConfig = field(default_factory=CamConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)


METHODS: dict[str, type[MethodConfig]] = {method.NAME: method for method in (FSRConfig, ClassifierConfig, FrozenConfig)}
"""To add a method, register its settings here and the method itself in ``methods/build.py``."""


def settings_of(name: str) -> frozenset[str]:
    """The settings of a method's configuration: ``mask.ratio`` and the like, and their sections."""
    sections = Config(method=METHODS[name]()).sections()
    keys = {f"{section}.{item.name}" for section, value in sections.items() for item in dataclasses.fields(value)}
    return frozenset(keys | sections.keys())


def settings_read_by(name: str) -> frozenset[str]:
    """Those of ``settings_of`` that a training by the method reads; of ``run`` all, as some of their values fit."""
    settings = settings_of(name)
    if METHODS[name].STEPWISE:
        return settings
    also = {*ALSO_READ, *(key.split(".")[0] for key in ALSO_READ)}
    return frozenset(key for key in settings if key.split(".")[0] not in SECTIONS or key in also)


def with_method(config: Config, name: str | None) -> Config:
    """The configuration with another method; its sections keep their settings where the former method has them too.

    What a method that does not train by steps on views would refuse or ignore gets its default.
    """
    if name is None or name == config.method.NAME:
        return config
    wanted = METHODS[name]
    former = {item.name: getattr(config.method, item.name) for item in dataclasses.fields(config.method)}
    new = wanted()
    kept = {name: value for name, value in former.items() if type(getattr(new, name, None)) is type(value)}
    changed = dataclasses.replace(config, method=dataclasses.replace(new, **kept))
    return changed if wanted.STEPWISE else without_unread(changed)
