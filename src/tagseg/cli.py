"""The command line: verb → function. Heavy imports stay inside the functions, so that ``--help`` is instant."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import logging
import os
import re
import sys
from collections.abc import Callable, Container
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tagseg.errors import TagsegError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from tagseg.config import Config

USAGE = """usage: tagseg VERB ...

Pixel masks from image tags: a network that labels every pixel, trained on which classes each photo shows.

  tagseg demo                              draw scenes, train on their tags, score, make pictures (minutes, no data)
  tagseg train PHOTOS                      train on a tagged photo folder, PASCAL VOC, MS COCO or drawn scenes
  tagseg predict RUN PHOTOS --output OUT   label every pixel of photos: masks and overlays, no tags needed
  tagseg evaluate RUN                      score a network on images that have masks: mIoU, per-class IoU, accuracy

tagseg VERB --help lists a verb's settings and their defaults. tagseg --version prints the version.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        0; 2 after a user's error, printed in one line on standard error; 130 after Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(level=logging.WARNING, format="tagseg: %(message)s", stream=sys.stderr)
    logging.getLogger("tagseg").setLevel(logging.INFO)
    # Without a network the hub's client would tell each of its retries twice; one line of ours says what to do.
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    try:
        return _dispatch(arguments)
    except TagsegError as error:
        print(f"tagseg: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"\ntagseg: {str(stop) or 'stopped'}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # e.g. ``tagseg evaluate … | head``
        sys.stderr.close()
        return 0


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"tagseg {version('tagseg')}")
        return 0
    verbs: dict[str, Callable[[list[str]], None]] = {
        "train": _train,
        "predict": _predict,
        "evaluate": _evaluate,
        "demo": _demo,
    }
    verb = arguments[0]
    if verb not in verbs:
        near = difflib.get_close_matches(verb, verbs, n=1)
        hint = f", did you mean {near[0]}?" if near else ""
        raise TagsegError(f"{verb!r} is no verb, expected one of: {', '.join(verbs)}{hint}")
    verbs[verb](arguments[1:])
    return 0


def _train(arguments: list[str]) -> None:
    resume, config = parse_train(arguments)
    from tagseg.training.train import train

    result = train(config, resume)
    from tagseg.model.checkpoint import trained_maps  # not above: it takes seconds, and errors in the data come first

    print(f"trained {result.steps} steps: {result.folder}")
    if "segmentation" in trained_maps(result.network):
        print(f"predict with: tagseg predict {result.folder} PHOTOS --output {result.folder}/predictions")
    else:
        print(f"score its CAM with: tagseg evaluate {result.folder} --what cam")


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
    parser = _parser(
        "train",
        "Train on the tags of images. PHOTOS is short for --data.root PHOTOS. Settings: preset < config file < flags. "
        f"Below are those of the method {method.NAME}; for others add {others}: tagseg train --method fsr --help",
    )
    parser.add_argument("--preset", default=start.preset, choices=list(PRESETS), help="settings to start from")
    parser.add_argument("--config", action=ActionConfigFile, help="YAML file of settings, e.g. a run's config.yaml")
    parser.add_argument("--resume", type=str | None, help="run folder or .ckpt file to resume, with its settings")
    parser.add_argument("--method", default=method.NAME, choices=list(METHODS), help="what is trained")
    for name, section in sections.items():
        parser.add_class_arguments(type(section), name)
    parser.set_defaults(_flat({name: dataclasses.asdict(section) for name, section in sections.items()}))
    _hide(settings_of(method.NAME) - settings_read_by(method.NAME), parser)
    values = parser.parse_args(_photos_as_flag(_switches(start.arguments, parser), parser))
    result = _instantiate(parser, values)
    return values.resume, Config.of_sections(method, {name: result[name] for name in sections})


def _photos_as_flag(arguments: list[str], parser: ArgumentParser) -> list[str]:
    """``PHOTOS`` is short for ``--data.root PHOTOS``, wherever it stands: a positional of the parser could not be."""
    flags: list[str] = []
    photos: list[str] = []
    takes_value = False
    for word in arguments:
        if word.startswith("--") or (word.startswith("-") and not takes_value):
            action = parser._option_string_actions.get(word)
            takes_value = "=" not in word and getattr(action, "nargs", None) != 0
        elif not takes_value:
            photos.append(word)
            continue
        else:
            takes_value = False
        flags.append(word)
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


def _hide(unread: Container[str], parser: ArgumentParser) -> None:
    """Leave settings that a method does not read out of its help; config files may have them."""
    for action in parser._actions:
        if action.dest in unread:
            action.help = argparse.SUPPRESS


def _predict(arguments: list[str]) -> None:
    from tagseg.inference.predict import predict

    parser = _parser("predict", "Label every pixel of photos with a trained network. No tags are needed.")
    parser.add_argument("model", type=str, help="run folder or .safetensors file")
    parser.add_argument("images", type=str, nargs="+", help="image files or folders")
    parser.add_argument("--output", type=str, default="predictions", help="folder for the results")
    parser.add_function_arguments(predict, skip={"model", "images", "output"})
    values = _as_dict(_instantiate(parser, parser.parse_args(_switches(arguments, parser))))
    images = values.pop("images")
    predictions = predict(values.pop("model"), images[0] if len(images) == 1 else images, **values)
    print(f"{len(predictions)} images labelled: {values['output']}")


def _evaluate(arguments: list[str]) -> None:
    from tagseg.config_file import NAME, read_config
    from tagseg.data.config import DataConfig
    from tagseg.inference.evaluate import evaluate

    parser = _parser("evaluate", "Score a network on images that have masks. The data default to those of its run.")
    parser.add_argument("model", type=str, help="run folder or .safetensors file")
    parser.add_class_arguments(DataConfig, "data")
    parser.add_function_arguments(evaluate, skip={"model", "data"})
    arguments = _switches(arguments, parser)
    values = parser.parse_args(arguments)
    folder = Path(values.model) if Path(values.model).is_dir() else Path(values.model).parent
    if (folder / NAME).is_file():
        data = dataclasses.asdict(read_config(folder / NAME).data)
        parser.set_defaults(_flat({"data": data}))
        values = parser.parse_args(arguments)  # again, over the run's own data settings
    settings = _instantiate(parser, values)
    evaluate(**{key: value for key, value in _as_dict(settings).items() if key != "data"}, data=settings.data)


def _demo(arguments: list[str]) -> None:
    from tagseg.app.demo import demo

    parser = _parser("demo", "Draw scenes, train on their tags on the CPU, score, and make pictures.")
    parser.add_function_arguments(demo)
    demo(**_as_dict(parser.parse_args(_switches(arguments, parser))))


def _parser(verb: str, description: str) -> ArgumentParser:
    from jsonargparse import ArgumentParser, set_parsing_settings

    set_parsing_settings(docstring_parse_attribute_docstrings=True)

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

    options = "[PHOTOS] [--preset PRESET] [--method METHOD] [--config FILE] [--resume RUN] [--SECTION.KEY VALUE ...]"
    usage = {"train": f"tagseg train {options}"}
    return Parser(prog=f"tagseg {verb}", usage=usage.get(verb), description=description, allow_abbrev=False)


def _instantiate(parser: ArgumentParser, values: Namespace) -> Namespace:
    """Under both of its names: jsonargparse 4.49 renamed it."""
    instantiate = getattr(parser, "instantiate", None) or parser.instantiate_classes
    return instantiate(values)


def _switches(arguments: list[str], parser: ArgumentParser) -> list[str]:
    """``--crf`` is short for ``--crf true``, as for every setting that is true or false."""
    known = {name for action in parser._actions if _is_switch(action) for name in action.option_strings}
    following = [*arguments, ""][1:]
    return [
        f"{word}=true" if word in known and after.lower() not in ("true", "false", "yes", "no") else word
        for word, after in zip(arguments, following, strict=True)
    ]


def _is_switch(action: argparse.Action) -> bool:
    return getattr(action, "_typehint", None) is bool


def _as_dict(values: Namespace) -> dict[str, Any]:
    return {key: value for key, value in vars(values).items() if key not in ("config", "help")}


def _flat(values: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {f"{section}.{key}": value for section, settings in values.items() for key, value in settings.items()}


if __name__ == "__main__":
    sys.exit(main())
