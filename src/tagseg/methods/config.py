"""The methods that can be trained, by name, and the settings of the plain classifier."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import ClassVar

from tagseg.config import Config
from tagseg.fsr.config import CamConfig, FSRConfig, OptimiserConfig
from tagseg.settings import MethodConfig


@dataclass(frozen=True)
class ClassifierConfig(MethodConfig):
    """A plain classifier whose CAM is the baseline of the field: L_cls alone (``methods/classifier.py``)."""

    NAME: ClassVar[str] = "classifier"

    cam: CamConfig = field(default_factory=CamConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)


METHODS: dict[str, type[MethodConfig]] = {method.NAME: method for method in (FSRConfig, ClassifierConfig)}
"""To add a method, register its settings here and the method itself in ``methods/build.py``."""


def with_method(config: Config, name: str | None) -> Config:
    """The configuration with another method; its sections keep their settings where the former method has them too."""
    if name is None or name == config.method.NAME:
        return config
    wanted = METHODS[name]
    former = {item.name: getattr(config.method, item.name) for item in dataclasses.fields(config.method)}
    kept = {item.name: former[item.name] for item in dataclasses.fields(wanted) if item.name in former}
    return dataclasses.replace(config, method=wanted(**kept))
