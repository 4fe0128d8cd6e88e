"""``tagseg report``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tagseg.terminal import say
from tagseg.verbs.parser import as_dict, flat, instantiate, make_parser, switches, words_apart


def run(arguments: list[str]) -> None:
    """Run the verb."""
    from tagseg.config_file import NAME, read_config
    from tagseg.data.config import DataConfig
    from tagseg.reporting.report import report

    parser = make_parser(
        "report",
        "Write what is known of one run, or of several to compare, to one HTML file: data, settings, scores, mistakes, "
        "photos. Scores are those of evaluate; the data default to those of each run.",
        "RUN [RUN2 ...] [--output report.html] [--data.KEY VALUE ...] [--KEY VALUE ...]",
    )
    parser.add_argument("runs", type=str, nargs="+", help="run folders or .safetensors files")
    parser.add_argument("--output", type=str, default="report.html", help="the file")
    parser.add_class_arguments(DataConfig, "data")
    parser.add_function_arguments(report, skip={"runs", "output", "data"})
    flags, words = words_apart(switches(arguments, parser), parser)
    arguments = [*words, *flags]  # runs after a flag would be left over otherwise
    values = parser.parse_args(arguments)
    told = any(word.startswith("--data.") for word in flags)
    first = Path(values.runs[0])
    settings = (first if first.is_dir() else first.parent) / NAME
    if told and settings.is_file():
        parser.set_defaults(flat({"data": dataclasses.asdict(read_config(settings).data)}))
        values = parser.parse_args(arguments)  # again, over the first run's own data settings
    given = as_dict(instantiate(parser, values))
    data = given.pop("data")
    result = report(given.pop("runs"), data=data if told else None, **given)
    say(f"{result.summary()}\nreport: {result.path}")
