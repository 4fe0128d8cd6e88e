"""The expected time of a training by steps: said before the first step and after a few, and without a trace in it."""

import logging
import re

import pytest
import torch

from tagseg import presets
from tagseg.config import replace
from tagseg.methods.config import with_method
from tagseg.model.network import Network
from tagseg.training import step_time
from tagseg.training.step_time import (
    MEASURED,
    OVERHEAD,
    WARM_UP,
    all_losses_are_on,
    forward_passes,
    step_seconds,
    step_seconds_before,
)
from tagseg.training.train import train

from ..conftest import CLASSES, tiny_config
from .conftest import logged, weights_equal

FEW = WARM_UP + MEASURED


def said(caplog, beginning):
    return [record.message for record in caplog.records if record.message.startswith(beginning)]


def test_each_part_of_a_step_counts_its_forward_passes():
    paper, scales = presets.paper(), 2 * (1 + 0.5**2 + 1.5**2)
    assert forward_passes(with_method(paper, "classifier")) == 3
    assert forward_passes(replace(paper, mask={"choice": "none"})) == 3 + scales
    assert forward_passes(replace(paper, mask={"choice": "random"})) == 3 + 3 + 2 + scales
    assert forward_passes(paper) == 3 + 3 + 2 + 2 * scales
    assert forward_passes(presets.folder()) == 3 + 3 + 2 + scales, "labels made beforehand need no CAMs"
    assert forward_passes(replace(paper, views={"local_crops": 4, "local_size": 112})) == forward_passes(paper) + 3


def test_a_step_costs_its_forward_passes_times_the_overhead(tmp_path, monkeypatch):
    config = tiny_config(tmp_path, tmp_path, run={"batch": 4})
    monkeypatch.setattr(step_time, "encoder_seconds", lambda network, side, device: side / 64)
    network = Network(config.network, CLASSES)
    assert step_seconds(config, network) == pytest.approx(0.5 * 4 * OVERHEAD * forward_passes(config))
    assert step_seconds_before(config, CLASSES) == step_seconds(config, network)


def test_it_leaves_no_trace(tmp_path):
    config = tiny_config(tmp_path, tmp_path)
    network = Network(config.network, CLASSES).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    assert step_seconds(config, network) > 0
    assert step_seconds_before(config, CLASSES) > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.slow
def test_a_training_says_it_and_is_the_same_without(tagged_folder, tmp_path, monkeypatch, caplog):
    config = tiny_config(tagged_folder, tmp_path / "a", run={"steps": FEW + 2})
    with caplog.at_level(logging.INFO, "tagseg"):
        train(config)
    (before,), (after,) = said(caplog, "expected on this CPU"), said(caplog, "about ")
    assert re.fullmatch(rf"expected on this CPU: about .+ for {FEW + 2} steps, .+ s a step \(by .+\)", before)
    assert re.fullmatch(r"about .+ for the remaining 2 steps at .+ s a step as measured.* \(scoring .+\)", after)
    for name in ("on_train_start", "on_train_batch_end"):
        monkeypatch.setattr(step_time.ExpectedTime, name, lambda *_: None)
    train(replace(config, run={"output": str(tmp_path / "b")}))
    assert logged(tmp_path / "a") == logged(tmp_path / "b")
    assert weights_equal(tmp_path / "a", tmp_path / "b")


@pytest.mark.slow
def test_a_resumed_training_counts_what_remains(run, tmp_path, caplog):
    config, result = run
    with caplog.at_level(logging.INFO, "tagseg"):
        train(replace(config, run={"output": str(tmp_path)}), resume=result.folder / "kept.ckpt")
    assert " for 4 steps, " in said(caplog, "expected on this CPU")[0]
    assert said(caplog, "about ") == [], "too few steps to measure"


def test_losses_that_start_later_are_said():
    config = replace(presets.paper(), run={"steps": 100})
    assert not all_losses_are_on(config, 0)
    assert all_losses_are_on(config, 99)
    assert all_losses_are_on(with_method(config, "classifier"), 0)
