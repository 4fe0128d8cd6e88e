"""``tagseg serve``."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tagseg.stopping import exit_code, line_of
from tagseg.verbs.parser import as_dict, instantiate, make_parser, switches, words_apart

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

    from tagseg.config import Config

_PATIENCE = 1.0
"""Seconds in which threads that compute may end by themselves."""


def run(arguments: list[str]) -> int:
    """Run the verb; returns 143 after SIGTERM, as shells have it."""
    from tagseg.serving.serve import serve

    parser = make_parser(
        "serve",
        "Serve a page on which to try a network on photos, to correct the tags of its collection and train it again. "
        "SOURCE is a run, a network's .safetensors file, or a folder of tagged photos, on which it trains first: "
        "in runs/NAME, or --run.output RUN; --network.weights FILE and all other settings of tagseg train go with it.",
        "SOURCE [--port PORT] [--host HOST] [--KEY VALUE ...] [--SECTION.KEY VALUE ...]",
    )
    parser.add_argument("source", type=str, help="run folder, .safetensors file or folder of tagged photos")
    parser.add_function_arguments(serve, skip={"source", "config"})
    training, own = _apart(arguments, parser)
    flags, words = words_apart(switches(own, parser), parser)
    values = as_dict(instantiate(parser, parser.parse_args([*words, *flags])))
    source = values.pop("source")
    config = _config(source, training)
    before = threading.enumerate()
    try:
        serve(source, config=config, **values)
    except KeyboardInterrupt as stop:
        print(f"\ntagseg: {line_of(stop)}", file=sys.stderr)
        return _end(exit_code(stop), before)
    print("tagseg: the server has ended; corrections are saved", file=sys.stderr)
    return _end(128 + signal.SIGTERM, before)


def _end(code: int, before: list[threading.Thread]) -> int:
    """The exit code; a thread that goes on, which cannot be ended from outside, ends here: none of it is half saved."""
    from tagseg.serving.workers import still_working

    if still_working(_PATIENCE, before):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _config(source: str, training: list[str]) -> Config | None:
    """The settings of a training, where the source is photos or where there are any."""
    if not training:
        return None
    from tagseg.serving.first_run import default_run
    from tagseg.verbs.train import parse_train

    where = f"--run.output={default_run(Path(source).expanduser())}"
    return parse_train([source, where, *training])[1]


def _apart(arguments: list[str], parser: ArgumentParser) -> tuple[list[str], list[str]]:
    """Settings of a training, ``--SECTION.KEY VALUE`` that the parser does not know, and all other words."""
    training: list[str] = []
    own: list[str] = []
    takes_value = False
    for word in arguments:
        name = word.partition("=")[0]
        if word.startswith("--") and "." in name and name not in parser._option_string_actions:
            training.append(word)
            takes_value = "=" not in word
        elif takes_value and not word.startswith("--"):
            training.append(word)
            takes_value = False
        else:
            own.append(word)
            takes_value = False
    return training, own
