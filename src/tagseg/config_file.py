"""A configuration as a YAML file that a person can read, edit and train from again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from tagseg.config import Config, replace
from tagseg.data.made_splits import are_made
from tagseg.data.split_list import FILE
from tagseg.errors import TagsegError
from tagseg.methods.config import METHODS, settings_of
from tagseg.old_names import with_new_names

NAME = "config.yaml"
"""What a run folder's resolved configuration is called."""


def read_config(path: Path) -> Config:
    """Read a configuration; settings that the file does not name have their defaults.

    Settings of 0.1.0 are read under their new names (``old_names.py``), and a file without a method is FSR's, as then.
    Splits that were made for a run are those of the list beside its file (``data.splits``).

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
    renamed = with_new_names(values, settings_of(method))
    sections = {section: _tuples(settings) for section, settings in renamed.items()}
    config = replace(Config(method=METHODS[method]()), **sections)
    kept = path.parent / FILE
    return replace(config, data={"splits": str(kept)}) if are_made(config.data) and kept.is_file() else config


def settings_in(file: str) -> dict[str, Any]:
    """What a file sets, unchecked, by section or ``method``; nothing where it cannot be read as such.

    Whoever reads the file to train from it reports the error.
    """
    import yaml

    try:
        values = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return {}
    return {str(key): value for key, value in values.items()} if isinstance(values, dict) else {}


def text_with_new_names(file: str, method: str) -> str:
    """The text, with the new names, of a file with settings of 0.1.0; of any other file its path."""
    import yaml

    values = settings_in(file)
    settings = {section: value for section, value in values.items() if isinstance(value, dict)}
    renamed = with_new_names(settings, settings_of(method))
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
