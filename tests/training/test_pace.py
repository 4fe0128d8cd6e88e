"""Pace of a training by the clock: steps and scorings apart, and what is left of both."""

from unittest.mock import Mock

import pytest
import torch
from lightning.pytorch import Trainer

from tagseg.training import pace as pace_file
from tagseg.training.memory import peak_memory, peak_of_process
from tagseg.training.pace import Pace
from tagseg.training.scalars import gradient_norm


class Clock:
    """A training of 10 steps, scored every 4, on a clock of its own."""

    def __init__(self, monkeypatch, first=0):
        self.now = 100.0
        monkeypatch.setattr(pace_file.time, "monotonic", lambda: self.now)
        self.trainer = Mock(spec=Trainer, global_step=first, max_steps=10)
        self.pace = Pace(batch=8, every=4)
        self.pace.on_train_start(self.trainer, None)

    def step(self, seconds):
        self.now += seconds
        self.trainer.global_step += 1
        self.pace.on_train_batch_end(self.trainer)

    def score(self, seconds):
        self.pace.on_validation_start()
        self.now += seconds
        self.pace.on_validation_end()


def test_before_the_first_step_nothing_is_known(monkeypatch):
    clock = Clock(monkeypatch)
    assert clock.pace.seconds_left is None
    assert clock.pace.images_per_second is None


def test_the_first_steps_which_fill_caches_are_forgotten(monkeypatch):
    clock = Clock(monkeypatch)
    clock.step(60)
    for _ in range(3):
        clock.step(2)
    assert clock.pace.images_per_second == pytest.approx(4)
    assert clock.pace.seconds_left == pytest.approx(6 * 2), "no scoring was measured yet"


def test_scorings_count_to_what_is_left_and_not_to_the_steps(monkeypatch):
    clock = Clock(monkeypatch)
    for _ in range(4):
        clock.step(2)
    clock.score(30)
    clock.step(2)
    assert clock.pace.images_per_second == pytest.approx(4)
    assert clock.pace.seconds_left == pytest.approx(5 * 2 + 30), "5 steps and the scoring after step 8"
    for _ in range(5):
        clock.step(2)
    assert clock.pace.seconds_left == pytest.approx(0)


def test_pictures_are_left_out_and_parts_of_a_step_are_none(monkeypatch):
    clock = Clock(monkeypatch, first=6)
    clock.step(2)
    clock.now += 50
    clock.pace.pause(50.0)
    clock.now += 1
    clock.pace.on_train_batch_end(clock.trainer)
    clock.step(1)
    assert clock.pace.images_per_second == pytest.approx(4)
    assert clock.pace.seconds_left == pytest.approx(2 * 2)


def test_slower_steps_show(monkeypatch):
    clock = Clock(monkeypatch)
    for seconds in (2, 2, 2, 2, 12):
        clock.step(seconds)
    assert clock.pace.images_per_second == pytest.approx(8 / (0.9 * 2 + 0.1 * 12))


def test_the_gradient_norm_is_that_of_all_parameters_as_one():
    parameters = [
        torch.nn.Parameter(torch.zeros(2)),
        torch.nn.Parameter(torch.zeros(1)),
        torch.nn.Parameter(torch.zeros(1)),
    ]
    optimiser = torch.optim.SGD([{"params": parameters[:1]}, {"params": parameters[1:]}], lr=0.1)
    assert gradient_norm(optimiser) == 0
    parameters[0].grad, parameters[1].grad = torch.tensor([2.0, 3.0]), torch.tensor([6.0])
    assert gradient_norm(optimiser) == 7


def test_peak_memory_grows_with_what_is_held():
    before = peak_of_process()
    block = torch.ones(40_000_000)  # 160 MB
    assert peak_of_process() >= before
    assert peak_memory(torch.device("cpu")) == {"process": peak_of_process()}
    assert peak_of_process() > block.nbytes
