"""Settings that change how a step is computed and not what it computes."""

import shutil
import sys
from collections import Counter
from dataclasses import fields
from functools import partial

import pytest
import torch

from tagseg.beyond.sharper_targets import sharper_targets
from tagseg.config import replace
from tagseg.fsr.losses import StepLosses
from tagseg.fsr.step import PLAIN
from tagseg.methods import fsr as fsr_file
from tagseg.methods.tables import Table
from tagseg.model.weights import read_weights
from tagseg.training.train import train

from ..conftest import TINY, tiny_config
from ..steps import LATE, MIXED, batch_of, module_of

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return tiny_config(tmp_path_factory.mktemp("none"), tmp_path_factory.mktemp("none"))


def result_of(config, speed, step=LATE):
    """Terms and gradients of a prepared module."""
    module = module_of(replace(config, network={"drop_path": 0.5}, speed=speed))
    module.on_device(CPU)
    losses = module.losses(batch_of(MIXED), step)
    losses.total.backward()
    return losses.terms, {name: p.grad for name, p in module.student.named_parameters() if p.grad is not None}


def assert_same(ours, theirs, tolerance):
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert (ours[name] - value).norm() <= tolerance * value.norm() + 1e-6, name


@pytest.mark.parametrize("form", ["fast", "plain"])
def test_the_setting_chooses_the_operations_of_a_step(config, monkeypatch, form):
    chosen = []

    def student_losses(*arguments):
        chosen.append(arguments[-1])
        return StepLosses(torch.zeros(()), {}, {})

    monkeypatch.setattr(fsr_file, "student_losses", student_losses)
    module = module_of(replace(config, speed={"step": form}))
    module.losses(batch_of(MIXED), 0)
    (ops,) = chosen
    same = {field.name for field in fields(PLAIN) if getattr(ops, field.name) is getattr(PLAIN, field.name)}
    assert same == ({"targets"} if form == "fast" else {field.name for field in fields(PLAIN)})


def test_a_plain_step_needs_nothing_of_the_fast_ones(config, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("tagseg.fast")] + ["tagseg.fast.ops"]:
        monkeypatch.setitem(sys.modules, name, None)  # whoever imports it gets an error
    module = module_of(replace(config, speed={"step": "plain"}))
    module.on_device(CPU)
    assert module.losses(batch_of(MIXED), LATE).total.isfinite()
    with pytest.raises(ImportError):
        Table(config)


@pytest.mark.parametrize("form", ["fast", "plain"])
def test_sharper_targets_are_part_of_either_table(config, form):
    plain, sharper = (
        Table(replace(config, speed={"step": form}, beyond={"teacher_sharpness": value})) for value in (0.0, 2.0)
    )
    assert plain.ops.targets is PLAIN.targets
    assert isinstance(sharper.ops.targets, partial)
    assert sharper.ops.targets.func is sharper_targets
    assert sharper.ops.targets.keywords == {"sharpness": 2.0}


def test_a_checkpointing_step_has_the_same_losses_and_gradients(config):
    (terms, gradients), (ours, others) = (result_of(config, {"checkpoint": value}) for value in (False, True))
    assert_same(ours, terms, 1e-6)
    assert_same(others, gradients, 1e-4)


def test_only_the_student_checkpoints(config):
    def calls_of(checkpoint):
        """How often the second block of each network is computed."""
        module = module_of(replace(config, speed={"checkpoint": checkpoint}))
        calls: Counter[str] = Counter()
        module.on_device(CPU)
        for name, network in module.networks.items():
            layer = network.encoder.get_submodule("blocks.1.mlp.fc1")
            layer.register_forward_hook(lambda *_, name=name: calls.update([name]))
        module.losses(batch_of(MIXED), LATE).total.backward()
        return calls

    without, with_checkpoints = calls_of(False), calls_of(True)
    assert with_checkpoints["student"] > without["student"], "computed again in the backward pass"
    assert with_checkpoints["teacher"] == without["teacher"]


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
    assert max(apart.values()) < 1e-4, max(apart, key=lambda name: apart[name])


@pytest.mark.processes
@pytest.mark.skipif(shutil.which("c++") is None and shutil.which("g++") is None, reason="no C++ compiler")
def test_compiled_blocks_give_the_same_losses_and_gradients(config):
    small = replace(config, network={"encoder_options": {**TINY.encoder_options, "depth": 2}, "aux_layer": -2})
    torch.compiler.reset()
    ours = result_of(small, {"compile": True})
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0, "something was compiled"
    for mine, theirs, tolerance in zip(ours, result_of(small, {}), (1e-5, 1e-3), strict=True):
        assert_same(mine, theirs, tolerance)
