"""The parser of a verb: what all verbs read from their command lines alike."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Container
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tagseg.errors import TagsegError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace


def make_parser(verb: str, description: str, usage: str | None = None) -> ArgumentParser:
    """A parser whose errors are one line.

    Args:
        verb: its name.
        description: what it does, for ``--help``.
        usage: its first line of help, after ``tagseg VERB``; by default all arguments.
    """
    from jsonargparse import ArgumentParser, set_parsing_settings

    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    if (
        "import_path_denylist" in signature(set_parsing_settings).parameters
    ):  # a value names no code: nothing is imported
        set_parsing_settings(import_path_denylist=["*"])

    class Parser(ArgumentParser):
        """Tells an error in one line."""

        def error(self, message: str, ex: Exception | None = None) -> NoReturn:
            """Raise it for ``main`` to print."""
            line = " ".join(str(message).split())
            wrong = re.match(r"unrecognized arguments: (--[\w.]+)", line, re.IGNORECASE)
            known = [option for action in self._actions for option in action.option_strings]
            near = difflib.get_close_matches(wrong[1], known, n=1) if wrong else []
            hint = f", did you mean {near[0]}?" if near else ""
            raise TagsegError(f"{line}{hint} tagseg {verb} --help lists the settings") from ex

    line = usage and f"tagseg {verb} {usage}"
    return Parser(prog=f"tagseg {verb}", usage=line, description=description, allow_abbrev=False)


def instantiate(parser: ArgumentParser, values: Namespace) -> Namespace:
    """The values with the dataclasses of their sections; under both of its names: jsonargparse 4.49 renamed it."""
    filled = getattr(parser, "instantiate", None) or parser.instantiate_classes
    return filled(values)


def switches(arguments: list[str], parser: ArgumentParser) -> list[str]:
    """``--crf`` is short for ``--crf true``, as for every setting that is true or false.

    Raises:
        TagsegError: one key of a setting that has keys, whose value would be taken for text.
    """
    for word in arguments:
        whole, _, key = word.partition("=")[0].rpartition(".")
        if "." in whole and whole in parser._option_string_actions:
            raise TagsegError(f"{word} sets a part of {whole}, expected all of it: {whole} '{{\"{key}\": VALUE}}'")
    known = {name for action in parser._actions if _is_switch(action) for name in action.option_strings}
    following = [*arguments, ""][1:]
    return [
        f"{word}=true" if word in known and after.lower() not in ("true", "false", "yes", "no") else word
        for word, after in zip(arguments, following, strict=True)
    ]


def _is_switch(action: argparse.Action) -> bool:
    return getattr(action, "_typehint", None) is bool


def as_dict(values: Namespace) -> dict[str, Any]:
    """The values of the settings by name."""
    return {key: value for key, value in vars(values).items() if key not in ("config", "help")}


def flat(values: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The values of sections, as ``section.key``."""
    return {f"{section}.{key}": value for section, settings in values.items() for key, value in settings.items()}


def photos_as_flag(arguments: list[str], parser: ArgumentParser) -> list[str]:
    """``PHOTOS`` is short for ``--data.root PHOTOS``, wherever it stands: a positional of the parser could not be."""
    flags, photos = words_apart(arguments, parser)
    if not photos:
        return flags
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--data.root", dest="root")
    root = early.parse_known_args(flags)[0].root
    for other in [*photos[1:], *([] if root is None else [root])]:
        if Path(other) != Path(photos[0]):
            raise TagsegError(
                f"photos are given twice, {photos[0]!r} and {other!r}, expected one folder: leave one out"
            )
    return [*flags, f"--data.root={photos[0]}"]


def words_apart(arguments: list[str], parser: ArgumentParser) -> tuple[list[str], list[str]]:
    """Flags with their values, and the words that are no part of a flag, each in their order."""
    flags: list[str] = []
    words: list[str] = []
    takes_value = False
    for word in arguments:
        if word.startswith("--") or (word.startswith("-") and not takes_value):
            action = parser._option_string_actions.get(word)
            takes_value = "=" not in word and getattr(action, "nargs", None) != 0
        elif not takes_value:
            words.append(word)
            continue
        else:
            takes_value = False
        flags.append(word)
    return flags, words


def hide(unread: Container[str], parser: ArgumentParser) -> None:
    """Leave settings that are not read out of the help; config files may have them."""
    for action in parser._actions:
        if action.dest in unread:
            action.help = argparse.SUPPRESS
