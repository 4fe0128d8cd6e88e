"""Settings of 0.1.0 under the names they have now, in files and on the command line."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Container, Sequence
from importlib import import_module
from typing import Any

logger = logging.getLogger("tagseg")

RENAMED = {
    "network.pool": "beyond.pool",
    "network.decoder_start": "beyond.decoder_start",
    "labels.source": "beyond.labels",
    "labels.border_size": "beyond.boundary_size",
    "labels.foreground_share": "beyond.foreground_share",
    "distillation.teacher_sharpness": "beyond.teacher_sharpness",
    "optimiser.fit_classifiers": "beyond.fit_classifiers",
    "data.repeat_below": "beyond.repeat_below",
}
"""Settings of 0.1.0 and what they are called now. A method that has a setting of such a name keeps it as its own."""

MOVED = {
    **dict.fromkeys(
        ("CamConfig", "PartitionConfig", "MaskConfig", "LabelConfig", "EnergyConfig", "LossConfig",
         "DistillationConfig", "OptimiserConfig"),
        "tagseg.fsr.config",
    ),
    **dict.fromkeys(("CrfConfig", "PUBLISHED_CRF"), "tagseg.pairwise.config"),
}  # fmt: skip
"""What ``tagseg.config`` of 0.1.0 held, and the module it is in now."""

_RENAMED_VALUES = {("beyond.labels", "border"): "boundary"}


def with_new_names(values: dict[str, dict[str, Any]], own: Container[str]) -> dict[str, dict[str, Any]]:
    """Settings by section and key, those of 0.1.0 under their new names.

    Args:
        values: settings by section and key.
        own: the settings of the method, ``section.key``, which are no old names.
    """
    renamed: dict[str, dict[str, Any]] = {}
    for section, settings in values.items():
        renamed.setdefault(section, {})
        for key, value in settings.items():
            new = _new_name(f"{section}.{key}", own) or f"{section}.{key}"
            new_section, new_key = new.split(".", 1)
            renamed.setdefault(new_section, {})[new_key] = _RENAMED_VALUES.get((new, str(value)), value)
    return renamed


def flags_with_new_names(arguments: Sequence[str], own: Container[str]) -> list[str]:
    """A command line, its flags of 0.1.0 and their values under the new names, which one warning says.

    Args:
        arguments: words such as ``--labels.source``, ``border`` or ``--labels.source=border``.
        own: the settings of the method, ``section.key``, which are no old names.
    """
    translated: list[str] = []
    said: list[str] = []
    former = setting = ""  # the last flag, if it was renamed, and its setting: the next word is its value
    for word in arguments:
        name, equals, value = word.partition("=")
        new = _new_name(name.removeprefix("--"), own) if name.startswith("--") else None
        if new is not None:
            new_value = _RENAMED_VALUES.get((new, value), value)
            translated.append(f"--{new}{equals}{new_value}")
            said.append(f"{word} is now {translated[-1]}" if new_value != value else f"{name} is now --{new}")
            former, setting = ("", "") if equals else (name, new)
            continue
        if setting and (setting, word) in _RENAMED_VALUES:
            translated.append(_RENAMED_VALUES[setting, word])
            said[-1] = f"{former} {word} is now --{setting} {translated[-1]}"
        else:
            translated.append(word)
        former = setting = ""
    if said:
        logger.warning("settings of 0.1.0 were renamed: %s", ", ".join(dict.fromkeys(said)))
    return translated


def _new_name(setting: str, own: Container[str]) -> str | None:
    return None if setting in own else RENAMED.get(setting)


def moved(name: str) -> Any:
    """What ``tagseg.config`` of 0.1.0 held under a name, from where it is now.

    Raises:
        AttributeError: there was no such name.
    """
    if name not in MOVED:
        raise AttributeError(f"module 'tagseg.config' has no attribute {name!r}")
    warnings.warn(f"tagseg.config.{name} is now in {MOVED[name]}", DeprecationWarning, stacklevel=3)
    return getattr(import_module(MOVED[name]), name)
