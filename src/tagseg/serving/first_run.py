"""What ``tagseg serve`` is given: a run, a network's file, or tagged photos, on which a run is trained first."""

from __future__ import annotations

import logging
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

from tagseg.arguments import check_path
from tagseg.config import Config
from tagseg.config import replace as with_settings
from tagseg.config_file import NAME, read_config
from tagseg.errors import TagsegError
from tagseg.model.checkpoint import NAMES, find_network
from tagseg.model.hub import PUBLISHED, is_hub_address
from tagseg.presets import PRESETS
from tagseg.training.run_folder import NETWORK

logger = logging.getLogger("tagseg")


class Given(NamedTuple):
    """What there is to serve.

    Attributes:
        network: run folder or ``.safetensors`` file.
        run: its folder, where there is one.
    """

    network: Path
    run: Path | None


def given(source: str | Path, config: Config | None = None) -> Given:
    """What a source is; tagged photos are trained on first, or their finished run is taken.

    Args:
        source: run or exported folder, ``.safetensors`` file, ``hf://OWNER/NAME``, or folder of tagged photos.
        config: of the training on photos; ``None``: ``default_config``.

    Raises:
        TagsegError: there is nothing of the kind, a run that is not finished, or another run in its place.
    """
    check_path("source", source, "a run folder, a .safetensors file or a folder of tagged photos (str or Path)")
    if is_hub_address(source):
        return Given(find_network(source), None)
    path = Path(source).expanduser()
    if not path.exists():
        raise TagsegError(f"{path} does not exist, expected a run, a .safetensors file or a folder of tagged photos")
    if not is_photos(path):
        if config is not None:
            raise TagsegError(f"{path} is trained already, expected no settings of a training: leave them out")
        return Given(path, path if path.is_dir() else None)
    config = config or default_config(path)
    run = Path(config.run.output).expanduser()
    if (run / NETWORK).is_file():
        _check_same(run, config)
        logger.info("%s is a finished training on these photos: it is taken as it is", run)
    else:
        from tagseg.training.train import train  # takes a second

        train(config)
    return Given(run, run)


def is_photos(path: Path) -> bool:
    """Whether an existing path is a folder that is no run.

    Raises:
        TagsegError: it is a run that is not finished.
    """
    if not path.is_dir() or any((path / name).is_file() for name in (*NAMES, PUBLISHED)):
        return False
    if (path / NAME).is_file() and _is_config(path / NAME):
        raise TagsegError(f"{path} is a run without a network yet: finish it with tagseg train --resume {path}")
    return True


def default_config(photos: Path) -> Config:
    """The default training on photos, in ``runs/NAME``."""
    return with_settings(PRESETS["frozen"](), data={"root": str(photos)}, run={"output": str(default_run(photos))})


def default_run(photos: Path) -> Path:
    """Where the run of a folder of photos is."""
    return Path("runs") / (photos.resolve().name or "photos")


def _is_config(file: Path) -> bool:
    try:
        read_config(file)
    except TagsegError:
        return False
    return True


def _check_same(run: Path, config: Config) -> None:
    """Refuse a finished run on other photos, or one with other values of settings that were changed."""
    kept = read_config(run / NAME) if (run / NAME).is_file() else None
    way_out = f"choose another --run.output, or serve that run: tagseg serve {run}"
    if kept is None:
        raise TagsegError(f"{run} holds another network, expected a training on {config.data.root}: {way_out}")
    if Path(kept.data.root).expanduser().resolve() != Path(config.data.root).expanduser().resolve():
        raise TagsegError(f"{run} was trained on {kept.data.root}, expected {config.data.root}: {way_out}")
    for name, value in _changed(config).items():
        section, key = name.split(".")
        had = getattr(kept.sections().get(section), key, None)
        if had != value:
            raise TagsegError(f"{run} was trained with {name} {had}, expected {value}: {way_out}")


def _changed(config: Config) -> dict[str, object]:
    """The settings that are not the default ones, without places and what a training resolves."""
    default = PRESETS["frozen"]().sections()
    apart = {"data.root", "run.output"}
    return {
        f"{section}.{field.name}": getattr(settings, field.name)
        for section, settings in config.sections().items()
        for field in fields(settings)
        if getattr(settings, field.name) != getattr(default.get(section), field.name, None)
        and f"{section}.{field.name}" not in apart
    }
