"""A configuration as a YAML file that a person can read, edit and train from again."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from pathlib import Path
from typing import Any

from tagseg.config import Config, replace
from tagseg.data.made_splits import are_made
from tagseg.data.split_list import FILE
from tagseg.data.yaml_text import load_yaml
from tagseg.errors import TagsegError
from tagseg.files import replacing
from tagseg.methods.config import METHODS, settings_of
from tagseg.old_names import with_new_names

NAME = "config.yaml"
"""What a run folder's resolved configuration is called."""

_CODE = ("class_path", "init_args", "dict_kwargs")
"""Keys by which jsonargparse is told to import a class and to call it."""


def read_config(path: Path) -> Config:
    """Read a configuration; settings that the file does not name have their defaults.

    Settings of 0.1.0 are read under their new names (``old_names.py``), and a file without a method is FSR's, as then.
    Splits that were made for a run are those of the list beside its file (``data.splits``).

    Raises:
        TagsegError: not such a file, or unknown sections or keys.
    """
    import yaml

    try:
        values = load_yaml(path, path.read_text(encoding="utf-8"), "plain")
    except (OSError, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise TagsegError(f"{path}: cannot be read as YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(values, dict):
        raise TagsegError(f"{path}: expected sections such as data: and network:, each with settings")
    method = values.pop("method", "fsr")
    if not isinstance(method, str) or method not in METHODS:
        raise TagsegError(f"{path}: method is {method!r}, expected one of: {', '.join(METHODS)}")
    if not all(isinstance(name, str) and isinstance(settings, dict) for name, settings in values.items()):
        raise TagsegError(f"{path}: expected sections such as data: and network:, each with settings")
    renamed = with_new_names(values, settings_of(method))
    sections = {section: _tuples(settings) for section, settings in renamed.items()}
    config = replace(Config(method=METHODS[method]()), **sections)
    kept = path.parent / FILE
    return replace(config, data={"splits": str(kept)}) if are_made(config.data) and kept.is_file() else config


def settings_in(file: str) -> dict[str, Any]:
    """What a file sets, unchecked, by section or ``method``; nothing where it cannot be read as such.

    Whoever reads the file to train from it reports the error.

    Raises:
        TagsegError: it repeats parts of itself without end.
    """
    import yaml

    try:
        values = load_yaml(Path(file), Path(file).read_text(encoding="utf-8"), "plain")
    except (OSError, yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return {}
    return {str(key): value for key, value in values.items()} if isinstance(values, dict) else {}


def refuse_code(file: str, values: dict[str, Any]) -> None:
    """Raise ``TagsegError`` where the command line's parser would import what a file names, or read another file.

    A section is written out, so that no text is taken for a class, for YAML within YAML, or for a path.

    Args:
        file: the file, for messages; one that is not UTF-8 is refused, as what it holds is not known here.
        values: what it sets, of ``settings_in``.
    """
    with suppress(OSError):  # the parser says so
        try:
            Path(file).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise TagsegError(f"{file} is not UTF-8 text, expected YAML: save it as UTF-8") from error
    for section, settings in values.items():
        if section != "method" and isinstance(settings, str):
            raise TagsegError(f"{file}: {section} is {settings!r}, expected a section with settings: write them out")
        for key in (section, *(settings if isinstance(settings, dict) else ())):
            if str(key).rpartition(".")[2] in _CODE:
                raise TagsegError(f"{file} has {key!r}, which names code to run, expected settings alone: remove it")


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
        with replacing(folder / NAME, durable=True) as temporary:  # a resumed run starts from it: never half of it
            temporary.write_text(text, encoding="utf-8")
    except (OSError, TagsegError) as error:
        raise TagsegError(f"{folder}: cannot be written ({error}): choose another --run.output") from error


def _tuples(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}


def _lists(value: Any) -> Any:
    """YAML has lists, not tuples."""
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, tuple | list) else value
