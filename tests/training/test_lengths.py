"""The length of a training by the size of the collection."""

import logging

import pytest

from tagseg.config import Config, RunConfig, replace
from tagseg.frozen.config import FrozenConfig
from tagseg.fsr.config import FSRConfig
from tagseg.training.lengths import CPU_HOURS, fitting_steps, on_one_cpu, with_length
from tagseg.training.train import train

from ..conftest import tiny_config


def unasked():
    raise AssertionError("no time is to be measured")


def steps(method, photos, batch=8, given=0, each=0.01, **run):
    config = Config(method=method, run=RunConfig(steps=given, batch=batch, **run))
    return with_length(config, photos, lambda: each).run.steps


@pytest.mark.parametrize(("photos", "expected"), [(1, 500), (266, 500), (267, 501), (10_582, 19_842), (82_081, 20_000)])
def test_a_training_on_views_is_15_epochs_within_its_range(photos, expected):
    assert steps(FSRConfig(), photos) == expected


@pytest.mark.parametrize(("photos", "expected"), [(1, 200), (320, 200), (321, 201), (1_000, 625), (10_582, 1_000)])
def test_a_decoder_on_frozen_features_is_10_epochs_within_its_range(photos, expected):
    assert steps(FrozenConfig(), photos, batch=16) == expected


@pytest.mark.parametrize("method", [FSRConfig(), FrozenConfig()])
def test_a_number_that_is_given_stays_and_nothing_is_said(method, caplog):
    config = Config(method=method, run=RunConfig(steps=7))
    with caplog.at_level(logging.INFO, "tagseg"):
        assert with_length(config, 10_000, unasked) is config
    assert caplog.text == ""


def test_what_was_chosen_is_logged_and_nothing_else_changes(caplog):
    config = Config(method=FrozenConfig(), run=RunConfig(steps=0, batch=4, seed=3))
    with caplog.at_level(logging.INFO, "tagseg"):
        chosen = with_length(config, 100, unasked)
    assert chosen == replace(config, run={"steps": 250})
    assert "250 steps of 4 photos, by the size of the collection (--run.steps)" in caplog.text


@pytest.mark.parametrize("run", [{"accelerator": "cpu"}, {"accelerator": "cpu", "devices": 1}, {"devices": "1"}])
def test_on_a_cpu_a_training_gets_no_more_than_its_hours(run, monkeypatch, caplog):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert steps(FSRConfig(), 10_582, each=60.0, **run) == 480
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message == (
        "480 steps of 8 photos, about 8 h, the most that a CPU gets by default; the size of the collection asks for "
        "19842 steps, about 13.8 days: for these give --run.steps 19842, or choose --method frozen, which takes minutes"
    )


def test_on_a_cpu_that_is_fast_enough_the_collection_decides():
    assert steps(FSRConfig(), 1_000, each=1.0, accelerator="cpu") == 1_875


@pytest.mark.parametrize("run", [{"accelerator": "gpu"}, {}, {"accelerator": "cpu", "devices": 2},
                                 {"accelerator": "cpu", "nodes": 2}])  # fmt: skip
def test_with_a_gpu_or_several_processes_no_time_decides(run, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    config = Config(method=FSRConfig(), run=RunConfig(steps=0, **run))
    assert not on_one_cpu(config.run)
    assert with_length(config, 10_582, unasked).run.steps == 19_842


@pytest.mark.parametrize(("each", "expected"), [(1.0, 28_000), (23.4, 1_200), (600.0, 48), (10_000.0, 2), (1e6, 1)])
def test_the_steps_that_fit_are_known_to_two_digits(each, expected):
    assert fitting_steps(each) == expected
    assert expected == 1 or expected * each <= CPU_HOURS * 3600


def test_a_training_left_to_itself_on_a_cpu_keeps_what_was_chosen(tagged_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("tagseg.training.step_time.step_seconds", lambda config, network: CPU_HOURS * 3600 / 3.5)
    result = train(tiny_config(tagged_folder, tmp_path, run={"steps": 0}))
    assert result.steps == 3
    assert "steps: 3" in (tmp_path / "config.yaml").read_text()
