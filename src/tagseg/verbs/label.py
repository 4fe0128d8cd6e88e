"""``tagseg label``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagseg.errors import TagsegError
from tagseg.verbs.parser import as_dict, flat, hide, instantiate, make_parser, photos_as_flag, switches, words_apart

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

    from tagseg.config import Config

SECTIONS = ("data", "network", "features", "labels")


def run(arguments: list[str]) -> None:
    """Run the verb."""
    from tagseg.labelling.description import SHEET
    from tagseg.labelling.label import label

    config, values = parse_label(arguments)
    result = label(config, **values)
    print(f"{len(result)} photos with masks: {result.folder}, look at {result.folder / SHEET}")


def parse_label(arguments: list[str]) -> tuple[Config, dict[str, Any]]:
    """The settings, and the other arguments of ``label`` by name.

    Raises:
        TagsegError: unknown key or value, no photos, or more folders than photos and a run.
    """
    from tagseg.config import Config
    from tagseg.frozen.config import FrozenConfig
    from tagseg.labelling.label import label
    from tagseg.labelling.source import READ
    from tagseg.presets import PRESETS

    usual = PRESETS["frozen"]().sections()
    sections = {name: section for name, section in usual.items() if name in SECTIONS}
    parser = make_parser(
        "label",
        "Make masks of tagged photos from their tags, as a dataset for any trainer that wants masks. PHOTOS is short "
        "for --data.root PHOTOS. Without RUN no training is needed; the network of a RUN is told the tags.",
        "PHOTOS [RUN] --output OUT [--SECTION.KEY VALUE ...]",
    )
    parser.add_argument("--output", type=str, default="labelled", help="folder of the dataset")
    for name, section in sections.items():
        parser.add_class_arguments(type(section), name)
    parser.set_defaults(flat({name: dataclasses.asdict(section) for name, section in sections.items()}))
    read = {f"{name}.{key}" for name, keys in READ.items() for key in keys}
    known = {action.dest for action in parser._actions if action.dest.startswith(tuple(f"{name}." for name in READ))}
    hide(known - read, parser)
    parser.add_function_arguments(label, skip={"photos", "output", "model"})
    flags, model = _photos_and_run(switches(arguments, parser), parser)
    values = as_dict(instantiate(parser, parser.parse_args(flags)))
    chosen = {name: values.pop(name) for name in sections}
    return Config.of_sections(FrozenConfig, {**usual, **chosen}), {**values, "model": model}


def _photos_and_run(arguments: list[str], parser: ArgumentParser) -> tuple[list[str], str | None]:
    """The flags with the photos' folder among them, and the run."""
    flags, words = words_apart(arguments, parser)
    names = {flag.partition("=")[0] for flag in flags}
    given = "--data.root" in names
    if len(words) > 2 or (given and len(words) == 2):
        raise TagsegError(f"{len(words)} folders are given, expected PHOTOS and RUN: leave out {words[-1]!r}")
    if words and not given and (Path(words[0]) / "config.yaml").is_file():
        raise TagsegError(f"{words[0]} is a run, expected the photos before it: tagseg label PHOTOS {words[0]}")
    if not words and not given and not names & {"--help", "-h", "--data"}:
        raise TagsegError("no photos are given, expected their folder: tagseg label PHOTOS --output OUT")
    photos = [] if given else words[:1]
    run = next(iter(words[len(photos) :]), None)
    return photos_as_flag([*flags, *photos], parser), run
