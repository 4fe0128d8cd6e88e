"""``tagseg review``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tagseg.terminal import say
from tagseg.verbs.parser import as_dict, flat, instantiate, make_parser, switches, words_apart


def run(arguments: list[str]) -> None:
    """Run the verb."""
    from tagseg.config_file import NAME, read_config
    from tagseg.data.config import DataConfig
    from tagseg.reviewing.review import review

    parser = make_parser(
        "review",
        "Rank photos by how unsure the method is about them, to correct those first, and estimate how good the masks "
        "are, without any mask. PHOTOS are files or folders; without PHOTOS the photos of --data.root are taken, or "
        "those of the run. --data.root also tells the tags of PHOTOS.",
        "RUN [PHOTOS ...] [--output OUT] [--data.KEY VALUE ...] [--KEY VALUE ...]",
    )
    parser.add_argument("model", type=str, help="run folder, .safetensors file or hf://OWNER/NAME")
    parser.add_argument("photos", type=str, nargs="*", default=[], help="image files or folders")
    parser.add_argument("--output", type=str, default="review", help="folder for the results")
    parser.add_class_arguments(DataConfig, "data")
    parser.add_function_arguments(review, skip={"model", "photos", "output", "data"})
    flags, words = words_apart(switches(arguments, parser), parser)
    arguments = [*words, *flags]  # photos after a flag would be left over otherwise
    values = parser.parse_args(arguments)
    told = any(word.startswith("--data.") for word in arguments)
    folder = Path(values.model) if Path(values.model).is_dir() else Path(values.model).parent
    if (folder / NAME).is_file():
        parser.set_defaults(flat({"data": dataclasses.asdict(read_config(folder / NAME).data)}))
        values = parser.parse_args(arguments)  # again, over the run's own data settings
        told = told or not values.photos
    settings = as_dict(instantiate(parser, values))
    data, photos = settings.pop("data"), settings.pop("photos")
    result = review(settings.pop("model"), photos or None, data=data if told else None, **settings)
    say(result.summary())
    shown = f", {result.sheet}" if result.sheet else ""
    first = result.photos[0]
    say(f"correct first: {first.image} ({first.why}); the queue: {settings['output']}/review.csv{shown}")
