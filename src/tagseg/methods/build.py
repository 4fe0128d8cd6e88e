"""From a configuration to the method it chooses."""

from __future__ import annotations

from collections.abc import Callable

from tagseg.config import Config
from tagseg.methods.classifier import Classifier
from tagseg.methods.config import METHODS
from tagseg.methods.fsr import FSR
from tagseg.methods.method import Method

BUILDERS: dict[str, Callable[[Config, tuple[str, ...]], Method]] = {"fsr": FSR, "classifier": Classifier}
"""The methods by name; ``methods/config.py`` registers their settings."""


def build_method(config: Config, classes: tuple[str, ...]) -> Method:
    """The method that the configuration chooses, with networks for these foreground classes.

    Raises:
        TagsegError: the encoder cannot be created.
    """
    stepwise = {name for name, method in METHODS.items() if method.STEPWISE}
    assert BUILDERS.keys() == stepwise  # a method that is registered in one place only is a mistake of ours
    return BUILDERS[config.method.NAME](config, classes)
