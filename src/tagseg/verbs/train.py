"""``tagseg train``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tagseg.verbs.parser import flat, hide, instantiate, make_parser, photos_as_flag, switches

if TYPE_CHECKING:
    from tagseg.config import Config


def run(arguments: list[str]) -> None:
    """Run the verb."""
    resume, config = parse_train(arguments)
    from tagseg.training.launch import is_first, let_the_first_speak
    from tagseg.training.train import train

    let_the_first_speak()
    result = train(config, resume)
    if not is_first():
        return
    from tagseg.model.checkpoint import trained_maps  # not above: it takes seconds, and errors in the data come first

    print(f"trained {result.steps} steps: {result.folder}")
    if "segmentation" in trained_maps(result.network):
        print(f"predict with: tagseg predict {result.folder} PHOTOS --output {result.folder}/predictions")
    else:
        print(f"score its CAM with: tagseg evaluate {result.folder} --what cam")
    print(f"look at all of it with: tagseg report {result.folder}")


def parse_train(arguments: list[str]) -> tuple[str | None, Config]:
    """The run or checkpoint to resume and the resolved configuration: preset (or resumed run) < config file < flags.

    Raises:
        TagsegError: unknown preset, key or value.
    """
    from jsonargparse import ActionConfigFile

    from tagseg.config import Config
    from tagseg.methods.config import METHODS, settings_of, settings_read_by
    from tagseg.presets import PRESETS
    from tagseg.starting_point import starting_point

    start = starting_point(arguments)
    method, sections = type(start.config.method), start.config.sections()
    others = " or ".join(f"--method {name}" for name in METHODS if name != method.NAME)
    parser = make_parser(
        "train",
        "Train on the tags of images. PHOTOS is short for --data.root PHOTOS. Settings: preset < config file < flags. "
        f"Below are those of the method {method.NAME}; for others add {others}: tagseg train --method fsr --help",
        "[PHOTOS] [--preset PRESET] [--method METHOD] [--config FILE] [--resume RUN] [--SECTION.KEY VALUE ...]",
    )
    parser.add_argument("--preset", default=start.preset, choices=list(PRESETS), help="settings to start from")
    parser.add_argument("--config", action=ActionConfigFile, help="YAML file of settings, e.g. a run's config.yaml")
    parser.add_argument("--resume", type=str | None, help="run folder or .ckpt file to resume, with its settings")
    parser.add_argument("--method", default=method.NAME, choices=list(METHODS), help="what is trained")
    for name, section in sections.items():
        parser.add_class_arguments(type(section), name)
    parser.set_defaults(flat({name: dataclasses.asdict(section) for name, section in sections.items()}))
    hide(settings_of(method.NAME) - settings_read_by(method.NAME), parser)
    values = parser.parse_args(photos_as_flag(switches(start.arguments, parser), parser))
    result = instantiate(parser, values)
    return values.resume, Config.of_sections(method, {name: result[name] for name in sections})
