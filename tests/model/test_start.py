"""A network that starts from the weights of another one."""

import dataclasses

import pytest
import torch

from tagseg.errors import TagsegError
from tagseg.model.checkpoint import load_network, save_network
from tagseg.model.network import Network
from tagseg.model.start import start_from

from ..conftest import CLASSES, TINY, tiny_network


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("start") / "last.safetensors"
    save_network(tiny_network(seed=1), path)
    return path


def error_of(saved, network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(TagsegError) as caught:
        start_from(network, saved)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    return str(caught.value)


def test_every_weight_is_the_start_s_and_learns(saved):
    network = tiny_network(seed=0)
    start_from(network, saved.parent)
    theirs = load_network(saved).state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in network.state_dict().items())
    assert all(p.requires_grad for p in network.parameters())


def test_what_has_no_weights_may_differ(saved):
    config = dataclasses.replace(TINY, drop_path=0.5, encoder=TINY.encoder + ".augreg_in21k")
    start_from(tiny_network(config=config), saved)


def test_other_classes_are_named(saved):
    line = error_of(saved, tiny_network(("circle", "square", "star", "moon")))
    assert f"network.start {saved}: its 3 classes are not the data's 4 " in line
    assert "(it lacks star, moon; the data lack triangle)" in line
    assert "(the same in another order)" in error_of(saved, tiny_network(CLASSES[::-1]))


def test_another_architecture_is_named_by_setting(saved):
    line = error_of(saved, tiny_network(config=dataclasses.replace(TINY, prototypes=16, mean=(0.5, 0.5, 0.5))))
    assert "network.prototypes is 32, here 16" in line
    assert "network.mean is (0.485, 0.456, 0.406), here (0.5, 0.5, 0.5)" in line
    assert "beyond.pool is 0.0, here 0.3" in error_of(saved, Network(TINY, CLASSES, 0.3))


def test_a_start_that_is_none_is_one_line(tmp_path):
    assert "no network in this folder" in error_of(tmp_path, tiny_network())


def test_with_a_start_pretrained_weights_are_not_looked_for(saved):
    """They could not be had here: the file does not exist."""
    Network(dataclasses.replace(TINY, weights="/nowhere/weights.pth", start=str(saved)), CLASSES)
    with pytest.raises(TagsegError, match="nowhere"):
        Network(dataclasses.replace(TINY, weights="/nowhere/weights.pth"), CLASSES)


def test_a_saved_network_does_not_know_where_it_started(saved, tmp_path):
    network = Network(dataclasses.replace(TINY, start=str(saved)), CLASSES)
    save_network(network, tmp_path / "again.safetensors")
    assert load_network(tmp_path / "again.safetensors").config == TINY
