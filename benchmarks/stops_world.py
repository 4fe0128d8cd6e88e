"""Photos, settings and networks of the trials in ``stops.py``: tiny ones that take long enough to be stopped."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import TINY, make_folder, tiny_config, tiny_network

from stops_verb import Verb
from tagseg.config import Config, replace
from tagseg.config_file import save_config
from tagseg.methods.config import with_method
from tagseg.model.checkpoint import save_network

ENDLESS = 100_000


class World:
    """What the trials use.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.photos = make_folder(folder / "photos", train=40, val=60)
        self.network = folder / "tiny.safetensors"
        self._made = 0

    def make_network(self) -> None:
        """The file of a tiny network; in a process that computes."""
        save_network(tiny_network(), self.network)

    def place(self, name: str) -> Path:
        """A new folder of a trial."""
        self._made += 1
        place = self.folder / f"{self._made:04d}-{name}"
        place.mkdir()
        return place

    def steps(self, run: Path, **changes: Any) -> list[str]:
        """``tagseg train`` by steps, without end."""
        settings = {"steps": ENDLESS, "batch": 2, "validate_every": 3, "val_batch": 1} | changes
        return self._train(tiny_config(self.photos, run, run=settings))

    def frozen(self, run: Path, **changes: Any) -> list[str]:
        """``tagseg train`` of the method frozen."""
        config = with_method(tiny_config(self.photos, run, run={"steps": ENDLESS} | changes), "frozen")
        conv = dataclasses.replace(TINY, decoder="conv", decoder_width=8, drop_path=0.0)
        return self._train(replace(config, network=vars(conv), features={"size": 32, "folder": str(run / "features")}))

    def _train(self, config: Config) -> list[str]:
        place = Path(config.run.output)
        settings = place.parent / f"{place.name}-settings"
        save_config(config, settings)
        return ["train", "--config", str(settings / "config.yaml")]


def stage(run: Path, name: str, least: int = 0) -> Callable[[], bool]:
    """Whether a training is in a stage, with so many units done, as its ``progress.jsonl`` says."""

    def reached() -> bool:
        path = run / "progress.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        last = json.loads(lines[-1]) if lines else {}
        return last.get("stage") == name and last.get("step", 0) >= least

    return reached


def prints(verb: Verb, text: str) -> Callable[[], bool]:
    """Whether a verb has printed something."""
    return lambda: text in verb.printed()


def some_file(folder: Path, pattern: str, least: int = 1) -> Callable[[], bool]:
    """Whether there are files of a kind."""
    return lambda: len(list(folder.glob(pattern))) >= least
