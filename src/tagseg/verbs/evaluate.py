"""``tagseg evaluate``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tagseg.verbs.parser import as_dict, flat, instantiate, make_parser, switches


def run(arguments: list[str]) -> None:
    """Run the verb."""
    from tagseg.config_file import NAME, read_config
    from tagseg.data.config import DataConfig
    from tagseg.inference.evaluate import evaluate

    parser = make_parser("evaluate", "Score a network on images that have masks. The data default to those of its run.")
    parser.add_argument("model", type=str, help="run folder, .safetensors file or hf://OWNER/NAME")
    parser.add_class_arguments(DataConfig, "data")
    parser.add_function_arguments(evaluate, skip={"model", "data"})
    arguments = switches(arguments, parser)
    values = parser.parse_args(arguments)
    folder = Path(values.model) if Path(values.model).is_dir() else Path(values.model).parent
    if (folder / NAME).is_file():
        data = dataclasses.asdict(read_config(folder / NAME).data)
        parser.set_defaults(flat({"data": data}))
        values = parser.parse_args(arguments)  # again, over the run's own data settings
    settings = instantiate(parser, values)
    evaluate(**{key: value for key, value in as_dict(settings).items() if key != "data"}, data=settings.data)
