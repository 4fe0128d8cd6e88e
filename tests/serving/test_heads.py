"""Heads of a network, apart from its encoder."""

from dataclasses import replace

import torch

from tagseg.serving.heads import HEADS, heads_as_bytes, load_heads, with_own_heads

from ..conftest import assert_refused, tiny_network
from ..training.conftest import CONV


def test_own_heads_and_a_shared_encoder():
    network = tiny_network(config=replace(CONV, tag_prior=True))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fresh = with_own_heads(network)
    assert fresh.encoder is network.encoder
    with torch.no_grad():
        for name in HEADS:
            for value in getattr(fresh, name).parameters():
                value.add_(1)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert not torch.equal(fresh.segment_logits(image), network.segment_logits(image))


def test_heads_as_bytes_and_back():
    first, second = tiny_network(seed=0, config=CONV), tiny_network(seed=1, config=CONV)
    load_heads(second, heads_as_bytes(first))
    for name, value in second.state_dict().items():
        same = torch.equal(value, first.state_dict()[name])
        assert same or name.split(".")[0] not in HEADS
    assert not torch.equal(next(second.encoder.parameters()), next(first.encoder.parameters()))


def test_weights_of_another_network_or_damaged_ones_are_told_and_set_nothing():
    network = tiny_network(config=replace(CONV, tag_prior=True))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    whole = heads_as_bytes(network)
    assert_refused(lambda: load_heads(network, whole[:-9]), "the weights of the last update are damaged (")
    other = heads_as_bytes(tiny_network(classes=("a", "b"), config=replace(CONV, tag_prior=True)))
    assert_refused(lambda: load_heads(network, other), "the weights of the last update are of another network (")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
