"""The command line: verb → function. Heavy imports stay inside the functions, so that ``--help`` is instant."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tagseg.errors import TagsegError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from tagseg.config import Config

USAGE = """usage: tagseg VERB ...

Pixel masks from image tags: a network that labels every pixel, trained on which classes each photo shows.

  tagseg demo                              draw scenes, train on their tags, score, make pictures (minutes, no data)
  tagseg train --data.root PHOTOS          train on a tagged photo folder, PASCAL VOC, MS COCO or drawn scenes
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
    from tagseg.model.checkpoint import trained_maps
    from tagseg.training.train import train

    result = train(config, resume)
    print(f"trained {result.steps} steps: {result.folder}")
    if "segmentation" in trained_maps(result.network):
        print(f"predict with: tagseg predict {result.folder} PHOTOS --output {result.folder}/predictions")
    else:
        print(f"score its CAM with: tagseg evaluate {result.folder} --what cam")


def parse_train(arguments: list[str]) -> tuple[str | None, Config]:
    """The checkpoint to resume and the resolved configuration: preset (or resumed run) < config file < flags.

    Raises:
        TagsegError: unknown preset, key or value.
    """
    from jsonargparse import ActionConfigFile

    from tagseg.config import Config
    from tagseg.methods.config import METHODS
    from tagseg.presets import PRESETS

    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("--preset", "--resume", "--method"):
        early.add_argument(name, nargs="?")
    known, _ = early.parse_known_args(arguments)  # all three decide what the defaults are
    defaults = _starting_point(known.resume, known.preset or "folder", known.method)

    parser = _parser("train", "Train on the tags of images. Settings: preset < config file < flags.")
    parser.add_argument("--preset", default="folder", choices=list(PRESETS), help="settings to start from")
    parser.add_argument("--config", action=ActionConfigFile, help="YAML file of settings, e.g. a run's config.yaml")
    parser.add_argument("--resume", type=str | None, help="run folder or .ckpt file to resume, with its settings")
    parser.add_argument("--method", default=defaults.method.NAME, choices=list(METHODS), help="what is trained")
    sections = defaults.sections()
    for name, section in sections.items():
        parser.add_class_arguments(type(section), name)
    parser.set_defaults(_flat({name: dataclasses.asdict(section) for name, section in sections.items()}))
    values = parser.parse_args(_switches(_files_first(arguments), parser))
    if values.method != defaults.method.NAME:
        if known.method is not None:
            raise TagsegError(
                f"{known.resume} was trained with the method {defaults.method.NAME!r}: resume it without --method"
            )
        raise TagsegError(f"the config file is of the method {values.method!r}: give --method {values.method} as well")
    result = _instantiate(parser, values)
    return values.resume, Config.of_sections(type(defaults.method), {name: result[name] for name in sections})


def _files_first(arguments: list[str]) -> list[str]:
    """Config files before the flags, which override them wherever they stand; those of 0.1.0 with the new names."""
    from tagseg.config_file import text_with_new_names

    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--config", nargs="?", action="append", default=[])
    known, flags = early.parse_known_args(arguments)
    files = [["--config"] if name is None else ["--config", text_with_new_names(name)] for name in known.config]
    return [*(part for file in files for part in file), *flags]


def _starting_point(resume: str | None, preset: str, method: str | None) -> Config:
    from tagseg.config_file import NAME, read_config
    from tagseg.methods.config import METHODS, with_method
    from tagseg.presets import PRESETS

    if method is not None and method not in METHODS:
        raise TagsegError(f"--method {method!r} does not exist, expected one of: {', '.join(METHODS)}")

    if resume is not None:
        folder = Path(resume) if Path(resume).is_dir() else Path(resume).parent
        if (folder / NAME).is_file():
            return read_config(folder / NAME)
    if preset not in PRESETS:
        raise TagsegError(f"--preset {preset!r} does not exist, expected one of: {', '.join(PRESETS)}")
    return with_method(PRESETS[preset](), method)


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

    from tagseg.config_file import RENAMED

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
            new = next((f", it is now {RENAMED[name]}:" for name in RENAMED if name in line), "")
            raise TagsegError(f"{line}{new or hint} tagseg {verb} --help lists the settings") from ex

    options = "[--preset PRESET] [--method METHOD] [--config FILE] [--resume RUN] [--SECTION.KEY VALUE ...]"
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
