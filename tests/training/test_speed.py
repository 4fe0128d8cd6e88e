"""Settings that change how a step is computed and not what it computes."""

import shutil

import pytest
import torch

from tagseg.config import SpeedConfig, replace
from tagseg.model.checkpoint import read_weights
from tagseg.training import module as module_file
from tagseg.training.losses import StepLosses
from tagseg.training.speed import prepare
from tagseg.training.train import train

from ..conftest import TINY, tiny_config
from .test_module import LATE, MIXED, batch_of, module_of


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return tiny_config(tmp_path_factory.mktemp("none"), tmp_path_factory.mktemp("none"))


def result_of(config, speed, step=LATE):
    """Terms and gradients of a prepared module."""
    module = module_of(replace(config, network={"drop_path": 0.5}, speed=speed))
    module.on_fit_start()
    losses = module.losses(batch_of(MIXED), step)
    losses.total.backward()
    return losses.terms, {name: p.grad for name, p in module.student.named_parameters() if p.grad is not None}


def assert_same(ours, theirs, tolerance):
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert (ours[name] - value).norm() <= tolerance * value.norm() + 1e-6, name


@pytest.mark.parametrize("form", ["fast", "plain"])
def test_the_setting_chooses_the_step(config, monkeypatch, form):
    asked = []
    none = StepLosses(torch.zeros(()), {}, {})
    for name in ("fast", "plain"):
        monkeypatch.setattr(module_file, f"{name}_losses", lambda *_, name=name: asked.append(name) or none)
    module_of(replace(config, speed={"step": form})).losses(batch_of(MIXED), 0)
    assert asked == [form]


def test_a_checkpointing_step_has_the_same_losses_and_gradients(config):
    (terms, gradients), (ours, others) = (result_of(config, {"checkpoint": value}) for value in (False, True))
    assert_same(ours, terms, 1e-6)
    assert_same(others, gradients, 1e-4)


def test_only_the_student_checkpoints(config):
    module = module_of(config)
    prepare(module.student, module.teacher, SpeedConfig(checkpoint=True))
    assert module.student.encoder.checkpointing
    assert not module.teacher.encoder.checkpointing


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_training_that_checkpoints_gives_the_weights_of_one_that_does_not(tagged_folder, tmp_path, accumulate):
    run = {"steps": 3, "batch": 4, "accumulate": accumulate}
    folders = []
    for checkpoint in (False, True):
        output = tmp_path / str(checkpoint)
        done = train(tiny_config(tagged_folder, output, run=run, speed={"checkpoint": checkpoint}))
        assert done.steps == 3
        folders.append(read_weights(output / "last.safetensors"))
    plain, ours = folders
    apart = {name: (ours[name] - value).abs().max().item() for name, value in plain.items()}
    assert max(apart.values()) < 1e-4, max(apart, key=apart.get)


@pytest.mark.processes
@pytest.mark.skipif(shutil.which("c++") is None and shutil.which("g++") is None, reason="no C++ compiler")
def test_compiled_blocks_give_the_same_losses_and_gradients(config):
    small = replace(config, network={"encoder_options": {**TINY.encoder_options, "depth": 2}, "aux_layer": -2})
    torch.compiler.reset()
    ours = result_of(small, {"compile": True})
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0, "something was compiled"
    for mine, theirs, tolerance in zip(ours, result_of(small, {}), (1e-5, 1e-3), strict=True):
        assert_same(mine, theirs, tolerance)
