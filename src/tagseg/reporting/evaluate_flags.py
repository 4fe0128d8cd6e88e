"""The command line that gives the scores of a report again."""

from __future__ import annotations

import dataclasses
import inspect
import shlex
from collections.abc import Mapping

from tagseg.data.config import DataConfig
from tagseg.inference.evaluate import evaluate
from tagseg.inference.segment import SCALES


def evaluate_flags(settings: Mapping[str, object], data: DataConfig | None) -> tuple[str, ...]:
    """Flags of ``tagseg evaluate``, each with its value, of all settings that are not its defaults.

    Args:
        settings: arguments of ``evaluate`` by name.
        data: settings in place of those of the run; ``None``: none.
    """
    usual = {name: one.default for name, one in inspect.signature(evaluate).parameters.items()} | {"scales": SCALES}
    found = [f"--{key} {_value(value)}" for key, value in settings.items() if value != usual[key]]
    if data is not None:
        plain = DataConfig()
        chosen = {item.name: getattr(data, item.name) for item in dataclasses.fields(data)}
        found += [f"--data.{key} {_value(value)}" for key, value in chosen.items() if value != getattr(plain, key)]
    return tuple(found)


def _value(value: object) -> str:
    """As jsonargparse reads it: numbers and lists as they are printed, switches in lower case."""
    if isinstance(value, bool):
        return str(value).lower()
    return shlex.quote(str(list(value) if isinstance(value, tuple) else "null" if value is None else value))
