"""Settings that only trainings by steps on views read: another method refuses them, or says that it ignores them."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from typing import Any

from tagseg.config import Config, RunConfig

logger = logging.getLogger("tagseg")

SECTIONS = ("views", "beyond", "speed")
"""Sections of which only ``ALSO_READ`` is read."""
ALSO_READ = ("beyond.pool",)
"""It is the network's."""
INSTEAD = {
    "views.size": "--features.size",
    "beyond.labels": "--labels.source",
    "beyond.foreground_share": "--labels.foreground_share",
    "beyond.boundary_size": "--features.size",
}
"""What the method ``frozen`` has for settings that it does not read."""


@dataclass(frozen=True)
class Unread:
    """A setting of the section ``run`` that is not read.

    Attributes:
        fitting: values that what happens agrees with, or the default.
        because: what happens, as the end of "the method …, which …".
        harmless: another value changes neither result nor memory, so it is ignored with a warning, not refused.
    """

    fitting: tuple[Any, ...]
    because: str
    harmless: bool = False


RUN = {
    "accumulate": Unread((1,), "takes a batch as a whole"),
    "devices": Unread(("auto", 1, "1"), "trains on one device"),
    "nodes": Unread((1,), "trains on one machine"),
    "strategy": Unread(("auto",), "trains on one device"),
    "precision": Unread(("32", "32-true"), "computes in float32"),
    "matmul_precision": Unread(("high", "highest"), "leaves PyTorch's precision as it is", harmless=True),
    "validate_every": Unread((RunConfig.validate_every, 0), "scores once, at the end", harmless=True),
    "collapse": Unread(("stop", "off"), "does not change the encoder, so that it cannot collapse", harmless=True),
}
"""Settings of ``run`` by name; the others are read. ``tests/methods/test_unread.py`` lists both."""


def check_unread(config: Config) -> None:
    """Refuse or, where that is harmless, name in a warning what is set and would be ignored.

    Args:
        config: of a method that is not trained by steps on views.

    Raises:
        TagsegError: a setting has another value than its default, and only trainings by steps read it.
    """
    method = f"with the method {config.method.NAME}, which"
    for name, value in _set_in_vain(config).items():
        section, key = name.split(".")
        if section == "run" and RUN[key].harmless:
            logger.warning("%s is %r and is ignored %s %s", name, value, method, RUN[key].because)
        elif section == "run":
            fitting = " or ".join(repr(one) for one in RUN[key].fitting[:2])
            config.run.refuse(key, value, f"{fitting} {method} {RUN[key].because}")
        else:
            does = f"has {INSTEAD[name]} in its place" if name in INSTEAD else "does not read it"
            default = _defaults(config.sections()[section])[key]
            config.sections()[section].refuse(key, value, f"{default!r}, the default, {method} {does}")


def without_unread(config: Config) -> Config:
    """The configuration with the defaults of all settings that would be refused or ignored."""
    sections, changed = config.sections(), _set_in_vain(config)
    new: dict[str, Any] = {}
    for section in dict.fromkeys(name.split(".")[0] for name in changed):
        defaults = _defaults(sections[section])
        keys = [name.split(".")[1] for name in changed if name.startswith(f"{section}.")]
        new[section] = dataclasses.replace(sections[section], **{key: defaults[key] for key in keys})
    return dataclasses.replace(config, **new)


def _set_in_vain(config: Config) -> dict[str, Any]:
    """The settings, ``section.key``, that are not read and whose values are not what happens, with the values."""
    run = {key: getattr(config.run, key) for key in RUN}
    values = {f"run.{key}": value for key, value in run.items() if value not in RUN[key].fitting}
    for section in SECTIONS:
        own = getattr(config, section)
        for key, default in _defaults(own).items():
            name, value = f"{section}.{key}", getattr(own, key)
            if name not in ALSO_READ and value != default:
                values[name] = value
    return values


def _defaults(section: Any) -> dict[str, Any]:
    """The default of each field of a section."""
    return {item.name: getattr(type(section)(), item.name) for item in dataclasses.fields(section)}
