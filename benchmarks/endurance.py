"""Long work in one process: memory, file handles, threads and processes must stay flat.

Without ``--minutes``, as much as two hours hold on two cores: 3,800 steps of a training at 1.9 s each (here of a tiny
network), scored and saved every 10; 60 short trainings by steps and 60 frozen ones, 2,000 photos predicted, 200 updates
of a served collection. Exit code 1 where anything grows beyond the limits, which are printed. Needs Linux.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from endurance_watch import LIMITS, Watch
from shared import arguments_of, machine, print_json, table
from tagseg.inference.predict import predict
from tagseg.serving.collection import Collection
from tagseg.training.train import train

# isort: split
# ``shared`` has put the repository's root on the path.
from tests.conftest import make_folder, tiny_config, tiny_network
from tests.training.conftest import frozen_config

STEPS, TRAININGS, PASSES, UPDATES = 3_800, 60, 50, 200
PHOTOS = 40
FEWEST = 6
"""Samples after warming up, also where the time is over before."""


@dataclass
class Work:
    """One kind of work.

    Attributes:
        name: for the table.
        units: gives what was done after each part of it; is closed when the time is over.
        most: units in all.
        share: of the time.
    """

    name: str
    units: Callable[[Path, Watch, int, float], int]
    most: int
    share: float


class Look(Callback):
    """Looks after some steps, and ends a training when its time is over and enough was seen."""

    def __init__(self, watch: Watch, deadline: float, every: int = 5) -> None:
        self.watch, self.deadline, self.every = watch, deadline, every

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """After a step."""
        if trainer.global_step % self.every == 0:
            self.watch.take()
        enough = len(self.watch.samples) >= self.watch.warm + FEWEST
        trainer.should_stop = trainer.should_stop or (enough and time.monotonic() > self.deadline)


def one_training(folder: Path, watch: Watch, most: int, deadline: float) -> int:
    """Steps of one long training."""
    run = {"steps": most, "batch": 2, "workers": 2, "validate_every": 10, "logger": "tensorboard", "pictures": 1}
    config = tiny_config(folder / "photos", folder / "long", run=run)
    return train(config, callbacks=[Look(watch, deadline)]).steps


def repeated(once: Callable[[Path, int], object], per_unit: int = 1) -> Callable[[Path, Watch, int, float], int]:
    """The same work again and again."""

    def units(folder: Path, watch: Watch, most: int, deadline: float) -> int:
        for number in range(most):
            once(folder, number)
            watch.take()
            if time.monotonic() > deadline and number + 1 >= watch.warm + FEWEST:
                return (number + 1) * per_unit
        return most * per_unit

    return units


def short_training(folder: Path, number: int) -> None:
    """A training by steps of two steps, scored."""
    run = {"steps": 2, "batch": 2, "workers": 1, "validate_every": 1, "logger": "tensorboard"}
    train(tiny_config(folder / "photos", folder / f"short{number}", run=run))


def frozen_training(folder: Path, number: int) -> None:
    """A frozen training of ten steps, scored; its features are at hand after the first."""
    run = {"steps": 10, "workers": 1, "validate_every": 1, "logger": "tensorboard"}
    train(frozen_config(folder / "photos", folder / f"frozen{number}", run=run))


def predicted(folder: Path, number: int) -> None:
    """Masks of all photos, in two formats."""
    network = tiny_network()
    predict(network, folder / "photos" / "images", folder / "out", scales=(1.0,), format="png,coco", quiet=True)


def updates(folder: Path, watch: Watch, most: int, deadline: float) -> int:
    """Corrections and updates of a served collection."""
    run = folder / "served"
    train(frozen_config(folder / "photos", run, network={"tag_prior": True}, run={"steps": 10}))

    with Collection.open(run) as collection:
        ids = [row.id for row in collection.photos("name", limit=100)[1]]

        def once(_: Path, number: int) -> None:
            collection.set_tags(ids[number % len(ids)], [number % 3 + 1])
            collection.update()

        return repeated(once)(folder, watch, most, deadline)


WORK = (
    Work("steps of one training", one_training, STEPS, 0.35),
    Work("short trainings by steps", repeated(short_training), TRAININGS, 0.25),
    Work("frozen trainings", repeated(frozen_training), TRAININGS, 0.15),
    Work("photos predicted", repeated(predicted, PHOTOS + 8), PASSES, 0.15),
    Work("updates of a served collection", updates, UPDATES, 0.1),
)


def main() -> None:
    """Do all work."""
    parser = arguments_of(__doc__, "a minute in all, and not the equivalent of two hours")
    parser.add_argument("--minutes", type=float, default=0.0, help="end each kind of work after its share of these")
    parser.add_argument("--only", default="", help="work whose name has this in it")
    values = parser.parse_args()
    minutes = values.minutes or (1.0 if values.quick else 0.0)
    torch.set_num_threads(1)
    logging.getLogger("tagseg").setLevel(logging.WARNING)
    rows, grown, done = [], dict.fromkeys(LIMITS, 0.0), {}
    with tempfile.TemporaryDirectory(prefix="tagseg-endurance-") as name, quiet_bars():
        make_folder(Path(name) / "photos", train=PHOTOS, val=8)
        for work in WORK:
            if values.only not in work.name:
                continue
            watch = Watch(warm=2)
            deadline = time.monotonic() + 60 * minutes * work.share if minutes else float("inf")
            done[work.name] = work.units(Path(name), watch, work.most, deadline)
            growth = watch.growth()
            grown = {key: max(value, growth[key]) for key, value in grown.items()}
            rows += [
                (work.name, done[work.name], what, *(f"{value:.0f}" for value in watch.thirds(what)))
                for what in ("rss", "workers", "handles", "threads", "processes")
            ]
    table("Held by the process (memory in MB)", ("work", "units", "held", "start", "middle", "end"), rows, machine())
    limits = ", ".join(f"{key} {value:g}" for key, value in LIMITS.items())
    print(f"\nLimits from the first third to the last: {limits}.")
    print_json({**{key: round(value, 1) for key, value in grown.items()}, "steps": sum(done.values()), "work": done})
    raise SystemExit(1 if any(grown[key] > limit for key, limit in LIMITS.items()) else 0)


class quiet_bars:
    """Progress bars to nowhere inside, so that the table is what is seen."""

    def __enter__(self) -> None:
        self._shown, sys.stderr = sys.stderr, open(os.devnull, "w")

    def __exit__(self, *_: object) -> None:
        sys.stderr.close()
        sys.stderr = self._shown


if __name__ == "__main__":
    main()
