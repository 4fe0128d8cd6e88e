"""A configuration as a YAML file that a person can read, edit and train from again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from tagseg.config import Config, replace
from tagseg.errors import TagsegError

NAME = "config.yaml"
"""What a run folder's resolved configuration is called."""


def read_config(path: Path) -> Config:
    """Read a configuration; settings it does not name have the dataclasses' defaults.

    Raises:
        TagsegError: not such a file, or unknown sections or keys.
    """
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise TagsegError(f"{path}: cannot be read as YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(values, dict) or not all(isinstance(v, dict) for v in values.values()):
        raise TagsegError(f"{path}: expected sections such as data: and network:, each with settings")
    return replace(Config(), **{section: _tuples(settings) for section, settings in values.items()})


def save_config(config: Config, folder: Path) -> None:
    """Write the resolved configuration to a run folder, which is made if need be.

    Raises:
        TagsegError: the folder cannot be written.
    """
    import yaml

    text = yaml.safe_dump(_lists(dataclasses.asdict(config)), sort_keys=False, allow_unicode=True)
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
