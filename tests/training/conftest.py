"""What tests of trainings share: a finished run, callbacks that act at a step, logs, weights, and frozen mode."""

import csv
import shutil
from dataclasses import replace as with_fields

import pytest
import torch
from lightning.pytorch import Callback
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from tagseg.config import replace
from tagseg.methods.config import with_method
from tagseg.model.network import Network
from tagseg.model.weights import read_weights
from tagseg.training.train import train

from ..conftest import TINY, tiny_config


class At(Callback):
    """Does something before a step."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    def on_train_batch_start(self, trainer, module, batch, index):
        if trainer.global_step == self.step:
            self.action(trainer, module)


def stop(*_):
    raise KeyboardInterrupt


def logged(folder):
    """Values by step and name from the CSV logs of all parts of a run, without those that no run repeats."""
    values: dict[int, dict[str, float]] = {}
    for path in sorted((folder / "logs").glob("*/metrics.csv")):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                left_out = ("step", "epoch", "speed/", "memory/")
                logged_values = {k: float(v) for k, v in row.items() if v and not k.startswith(left_out)}
                values.setdefault(int(row["step"]), {}).update(logged_values)
    return values


def events(folder):
    """What TensorBoard reads in a run's folder."""
    accumulator = EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    return accumulator.Reload()


def weights_equal(a, b, name="last.safetensors"):
    first, second = read_weights(a / name), read_weights(b / name)
    return all(torch.equal(value, second[key]) for key, value in first.items())


@pytest.fixture(scope="session")
def run(tagged_folder, tmp_path_factory):
    """Eight steps, scored after 4 and 8; the checkpoint of step 4 is kept as ``kept.ckpt``. Not to be changed."""
    output = tmp_path_factory.mktemp("whole")
    config = tiny_config(tagged_folder, output, run={"steps": 8, "validate_every": 4})
    keep = At(6, lambda *_: shutil.copy(output / "last.ckpt", output / "kept.ckpt"))
    return config, train(config, callbacks=[keep])


CONV = with_fields(TINY, decoder="conv", decoder_width=8, drop_path=0.0)


def frozen_config(root, output, **changes):
    config = with_method(tiny_config(root, output), "frozen")
    return replace(replace(config, network=vars(CONV), features={"size": 32}), **changes)


@pytest.fixture
def encoded(monkeypatch):
    """The number of photos in each batch that an encoder was given."""
    counts: list[int] = []
    real = Network.normalise
    monkeypatch.setattr(Network, "normalise", lambda self, batch: counts.append(len(batch)) or real(self, batch))
    return counts
