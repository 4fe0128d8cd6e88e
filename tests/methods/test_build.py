"""From settings to a method: every method that is registered can be built and takes a step."""

import pytest
import torch

from tagseg.config import replace
from tagseg.fsr.config import CamConfig, FSRConfig, OptimiserConfig
from tagseg.methods.build import BUILDERS, build_method
from tagseg.methods.classifier import Classifier
from tagseg.methods.config import METHODS, ClassifierConfig, with_method
from tagseg.methods.fsr import FSR
from tagseg.training.module import TrainingModule

from ..conftest import CLASSES, tiny_config
from ..steps import LATE, MIXED, batch_of

STEPWISE = [name for name, settings in METHODS.items() if settings.STEPWISE]
"""The methods that are trained step by step; ``frozen`` is not (``tests/training/test_frozen.py``)."""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return tiny_config(tmp_path_factory.mktemp("none"), tmp_path_factory.mktemp("none"))


def test_settings_and_methods_are_registered_under_the_same_names():
    assert BUILDERS.keys() == set(STEPWISE)
    assert {name: settings.NAME for name, settings in METHODS.items()} == {name: name for name in METHODS}
    assert (BUILDERS["fsr"], BUILDERS["classifier"]) == (FSR, Classifier)


@pytest.mark.parametrize("name", STEPWISE)
@pytest.mark.parametrize("form", ["fast", "plain"])
def test_every_method_builds_and_takes_a_step(config, name, form):
    config = replace(with_method(config, name), speed={"step": form})
    torch.manual_seed(0)
    method = build_method(config, CLASSES).train()
    assert method.config is config
    assert method.trained is next(iter(method.networks.values()))
    assert all(network.classes == CLASSES for network in method.networks.values())
    assert set(method.SCORED) <= {"segmentation", "cam", "aux_cam"}
    assert method.cam == config.sections()["cam"]
    assert method.optimiser == config.sections()["optimiser"]

    method.on_device(torch.device("cpu"))
    losses = method.losses(batch_of(MIXED), LATE)
    losses.total.backward()
    assert losses.total.isfinite()
    assert any(p.grad is not None and p.grad.any() for p in method.trained.parameters())
    for network in list(method.networks.values())[1:]:
        assert all(p.grad is None for p in network.parameters()), "the optimiser trains the first alone"
    method.after_step(LATE)
    assert {name.partition(".")[0] for name in TrainingModule(method).state_dict()} <= {"method", "validation"}


@pytest.mark.parametrize("name", STEPWISE)
def test_the_same_seed_builds_the_same_networks(config, name):
    config, states = with_method(config, name), []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(build_method(config, CLASSES).state_dict())
    first, second = states
    assert all(torch.equal(value, second[key]) for key, value in first.items())


def test_another_method_keeps_the_sections_that_both_have(config):
    config = replace(config, cam={"scales": (1.0, 2.0)}, optimiser={"rate": 1e-3}, views={"size": 64})
    cam, optimiser = CamConfig(scales=(1.0, 2.0)), OptimiserConfig(rate=1e-3)
    other = with_method(config, "classifier")
    assert other.method == ClassifierConfig(cam, optimiser)
    for name in ("data", "network", "views", "beyond", "speed", "run"):
        assert getattr(other, name) is getattr(config, name)
    back = with_method(other, "fsr")
    assert back.method == FSRConfig(cam=cam, optimiser=optimiser)


@pytest.mark.parametrize("name", [None, "fsr"])
def test_the_same_method_changes_nothing(config, name):
    assert with_method(config, name) is config
