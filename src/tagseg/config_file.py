"""A configuration as a YAML file that a person can read, edit and train from again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from tagseg.config import Config, replace
from tagseg.errors import TagsegError
from tagseg.methods.config import METHODS

NAME = "config.yaml"
"""What a run folder's resolved configuration is called."""

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
"""Settings of 0.1.0 and what they are called now."""

_RENAMED_VALUES = {("beyond.labels", "border"): "boundary"}


def read_config(path: Path) -> Config:
    """Read a configuration; settings that the file does not name have their defaults.

    Settings of 0.1.0 are read under their new names (``RENAMED``).

    Raises:
        TagsegError: not such a file, or unknown sections or keys.
    """
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise TagsegError(f"{path}: cannot be read as YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(values, dict):
        raise TagsegError(f"{path}: expected sections such as data: and network:, each with settings")
    method = values.pop("method", "fsr")
    if not isinstance(method, str) or method not in METHODS:
        raise TagsegError(f"{path}: method is {method!r}, expected one of: {', '.join(METHODS)}")
    if not all(isinstance(settings, dict) for settings in values.values()):
        raise TagsegError(f"{path}: expected sections such as data: and network:, each with settings")
    sections = {section: _tuples(settings) for section, settings in with_new_names(values).items()}
    return replace(Config(method=METHODS[method]()), **sections)


def with_new_names(values: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Settings by section and key, those of 0.1.0 under their new names."""
    renamed: dict[str, dict[str, Any]] = {}
    for section, settings in values.items():
        renamed.setdefault(section, {})
        for key, value in settings.items():
            new = RENAMED.get(f"{section}.{key}", f"{section}.{key}")
            new_section, new_key = new.split(".", 1)
            renamed.setdefault(new_section, {})[new_key] = _RENAMED_VALUES.get((new, str(value)), value)
    return renamed


def text_with_new_names(file: str) -> str:
    """The text, with the new names, of a file with settings of 0.1.0; of any other file its path."""
    import yaml

    try:
        values = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        settings = {section: value for section, value in values.items() if isinstance(value, dict)}
        renamed = with_new_names(settings)
    except (OSError, yaml.YAMLError, UnicodeDecodeError, AttributeError):
        return file  # whoever reads it reports the error
    return file if renamed == settings else yaml.safe_dump(values | renamed, sort_keys=False, allow_unicode=True)


def save_config(config: Config, folder: Path) -> None:
    """Write the resolved configuration to a run folder, which is made if need be.

    Raises:
        TagsegError: the folder cannot be written.
    """
    import yaml

    sections = {name: _lists(dataclasses.asdict(section)) for name, section in config.sections().items()}
    text = yaml.safe_dump({"method": config.method.NAME, **sections}, sort_keys=False, allow_unicode=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / NAME).write_text(text, encoding="utf-8")
    except OSError as error:
        raise TagsegError(f"{folder}: cannot be written ({error}): choose another --run.output") from error


def _tuples(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}


def _lists(value: Any) -> Any:
    """YAML has lists, not tuples."""
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, tuple | list) else value
