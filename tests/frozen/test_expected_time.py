"""The expected time: proportional to photos and steps, and without a trace in the training."""

import torch

from tagseg.frozen import expected_time
from tagseg.frozen.expected_time import expected_seconds
from tagseg.model.network import Network

from ..conftest import CLASSES
from ..training.conftest import frozen_config

CPU = torch.device("cpu")


def test_it_is_proportional_to_photos_and_steps(tmp_path, monkeypatch):
    network = Network(frozen_config(tmp_path, tmp_path).network, CLASSES)
    monkeypatch.setattr(expected_time, "_seconds", lambda work, device: work() is None or 2.0)
    assert expected_seconds(network, 32, 10, 30, 4, CPU) == (10.0, 60.0)
    assert expected_seconds(network, 32, 20, 15, 4, CPU) == (20.0, 30.0)


def test_the_shortest_round_counts_after_one_to_warm_up(monkeypatch):
    clock = iter([0.0, 9.0, 10.0, 13.0, 20.0, 22.0])
    monkeypatch.setattr(expected_time.time, "perf_counter", lambda: next(clock))
    assert expected_time._seconds(lambda: None, CPU) == 2.0


def test_it_changes_neither_weights_nor_random_numbers_nor_the_mode(tmp_path):
    network = Network(frozen_config(tmp_path, tmp_path).network, CLASSES).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    features, decoder = expected_seconds(network, 32, 10, 30, 4, CPU)
    assert features > 0
    assert decoder > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_network_in_double_precision_is_timed_in_it(tmp_path):
    network = Network(frozen_config(tmp_path, tmp_path).network, CLASSES).double()
    assert min(expected_seconds(network, 32, 10, 30, 4, CPU)) > 0
