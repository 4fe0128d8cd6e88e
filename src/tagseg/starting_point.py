"""What ``tagseg train`` starts from: the preset and method that its flags and config files ask for."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from tagseg.config import Config
from tagseg.config_file import NAME, read_config, refuse_code, settings_in, text_with_new_names
from tagseg.errors import TagsegError, list_some
from tagseg.methods.config import METHODS, settings_of, settings_read_by, with_method
from tagseg.methods.unread import INSTEAD
from tagseg.old_names import RENAMED, flags_with_new_names
from tagseg.presets import PRESETS

logger = logging.getLogger("tagseg")

DEFAULT = "frozen"
"""The preset, and its method, where nothing asks for another."""
STEPWISE_DEFAULT = "folder"
"""The preset where FSR or another method that trains step by step is asked for."""

_FSR_LABELS = ("cam", "border", "boundary")
"""Values of ``labels.source`` in 0.1.0, or of ``beyond.labels``, that ``frozen`` does not have in ``labels.source``."""


@dataclass(frozen=True)
class Start:
    """Where a training's settings start.

    Attributes:
        preset: its name; of a resumed run the default, which is not used.
        config: the settings of the preset or of the resumed run.
        arguments: the command line, config files first, as flags override them wherever they stand; under new names.
    """

    preset: str
    config: Config
    arguments: list[str]


def starting_point(arguments: list[str]) -> Start:
    """The settings that a command line starts from.

    A resumed run keeps its own. Otherwise ``--preset`` decides, else the method that ``--method`` or a config file
    names, else the method that has the given settings: FSR where one is FSR's alone, by default ``frozen``.

    Raises:
        TagsegError: a preset or method that does not exist, methods that contradict one another, a setting that the
            method does not have or does not read.
    """
    known, rest = _parsed(arguments, "--preset", "--resume", "--method")
    files = {name: settings_in(name) for name in known.config if name is not None}
    for file, values in files.items():
        refuse_code(file, values)
    method = _named_method(known.method, files)
    own = _of_run(known.resume)
    if own is not None and method not in (None, own.method.NAME):
        raise TagsegError(
            f"{known.resume} was trained with the method {own.method.NAME!r}: resume it without --method {method}, "
            "and without a config file of that method"
        )
    preset = known.preset or DEFAULT
    if own is None:
        preset = known.preset or _default_preset(method, known.resume, list(_given(rest)), files)
        if preset not in PRESETS:
            raise TagsegError(f"--preset {preset!r} does not exist, expected one of: {', '.join(PRESETS)}")
    config = own or with_method(PRESETS[preset](), method)
    name = config.method.NAME
    flags = flags_with_new_names(_parsed(arguments)[1], settings_of(name))
    _check_settings(flags, name)
    configs = [["--config"] if file is None else ["--config", text_with_new_names(file, name)] for file in known.config]
    return Start(preset, config, [*(word for words in configs for word in words), *flags])


def _parsed(arguments: list[str], *names: str) -> tuple[argparse.Namespace, list[str]]:
    """Some options, config files among them, and the rest of the words."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in names:
        parser.add_argument(name, nargs="?")
    parser.add_argument("--config", nargs="?", action="append", default=[])
    return parser.parse_known_args(arguments)


def _named_method(flag: str | None, files: dict[str, dict[str, Any]]) -> str | None:
    """The method that ``--method`` or a config file names; all must name the same."""
    if flag is not None and flag not in METHODS:
        raise TagsegError(f"--method {flag!r} does not exist, expected one of: {', '.join(METHODS)}")
    method, where = flag, "--method is"
    for file, values in files.items():
        named = values.get("method", method)
        if named is not None and (not isinstance(named, str) or named not in METHODS):
            raise TagsegError(f"{file}: method is {named!r}, expected one of: {', '.join(METHODS)}")
        if method is not None and named != method:
            raise TagsegError(f"{file} is of the method {named!r}, but {where} {method!r}: leave one of them out")
        method, where = named, where if method is not None else f"{file} is of"
    return method


def _of_run(resume: str | None) -> Config | None:
    """The settings of the run to resume, if it keeps some."""
    if resume is None:
        return None
    file = (Path(resume) if Path(resume).is_dir() else Path(resume).parent) / NAME
    return read_config(file) if file.is_file() else None


def _default_preset(
    method: str | None, resume: str | None, flags: list[tuple[str, str]], files: dict[str, dict[str, Any]]
) -> str:
    if method is not None:
        return DEFAULT if method == DEFAULT else STEPWISE_DEFAULT
    if resume is not None:
        return STEPWISE_DEFAULT  # a checkpoint without its run's settings: ``frozen`` makes no checkpoints
    belong = [f"--{name}" for name, value in flags if _is_fsr_alone(name, value)]
    for file, sections in files.items():
        belong += [f"{name} ({file})" for name, value in _settings(sections) if _is_fsr_alone(name, value)]
    if not belong:
        return DEFAULT
    logger.info(
        "%s %s to the method fsr: starting from the preset %s; without %s the default is --preset %s",
        list_some(list(dict.fromkeys(belong))),
        "belongs" if len(belong) == 1 else "belong",
        STEPWISE_DEFAULT,
        "it" if len(belong) == 1 else "them",
        DEFAULT,
    )
    return STEPWISE_DEFAULT


def _is_fsr_alone(name: str, value: object) -> bool:
    """Whether a setting is one that FSR reads and ``frozen`` does not, by its present name or that of 0.1.0."""
    if name == "labels.source":
        return value in _FSR_LABELS
    if name in settings_of(DEFAULT):
        return name not in settings_read_by(DEFAULT)
    return name in settings_of("fsr") or name in RENAMED


def _check_settings(flags: list[str], method: str) -> None:
    """Refuse settings that only other methods have, and those that this one does not read."""
    for name, _ in _given(flags):
        if name in settings_read_by(method):
            continue
        if name in settings_of(method):
            way_out = f"use {INSTEAD[name]}" if name in INSTEAD else f"leave it out, or add --preset {STEPWISE_DEFAULT}"
            raise TagsegError(f"--{name} is not read by the method {method}: {way_out}")
        setting = RENAMED.get(name, name)
        owners = [other for other in METHODS if setting in settings_of(other)]
        if owners:
            now = f", now --{setting}," if setting != name else ""
            example = DEFAULT if owners[0] == DEFAULT else STEPWISE_DEFAULT
            raise TagsegError(
                f"--{name}{now} is a setting of the method {' and '.join(owners)}, and the method is {method}: "
                f"leave it out, or choose --method {owners[0]} --preset {example}"
            )


def _given(arguments: list[str]) -> Iterator[tuple[str, str]]:
    """The settings among the words of a command line, as ``section.key``, with their values."""
    for word, after in zip_longest(arguments, arguments[1:], fillvalue=""):
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            yield ".".join(name.rstrip("+").split(".")[:2]), value if equals else after


def _settings(sections: dict[str, Any]) -> Iterator[tuple[str, object]]:
    for section, values in sections.items():
        if isinstance(values, dict):
            yield from ((f"{section}.{key}", value) for key, value in values.items())
        else:
            yield section, values
