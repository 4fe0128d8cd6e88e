import dataclasses
from typing import Any

import pytest
import torch

from tagseg.errors import TagsegError
from tagseg.fsr.config import OptimiserConfig
from tagseg.fsr.schedules import learning_rate_factor
from tagseg.training.optimiser import adopt_rates, make_optimiser, parameter_groups

from ..conftest import tiny_network


@pytest.fixture(scope="module")
def groups():
    network = tiny_network()
    names = {id(p): name for name, p in network.named_parameters()}
    groups: list[dict[str, Any]] = parameter_groups(
        network, OptimiserConfig(rate=1.0, head_factor=10.0, weight_decay=0.05)
    )
    return {(g["lr"], g["weight_decay"]): {names[id(p)] for p in g["params"]} for g in groups}, set(names.values())


def test_every_parameter_is_in_one_group(groups):
    by_rate, names = groups
    assert set(by_rate) == {(1.0, 0.05), (1.0, 0.0), (10.0, 0.05), (10.0, 0.0)}
    assert sum(len(group) for group in by_rate.values()) == len(names)
    assert set().union(*by_rate.values()) == names


def test_heads_learn_faster_than_the_encoder(groups):
    by_rate, _ = groups
    assert {name.split(".")[0] for name in by_rate[1.0, 0.05] | by_rate[1.0, 0.0]} == {"encoder"}
    heads = {name.split(".")[0] for name in by_rate[10.0, 0.05] | by_rate[10.0, 0.0]}
    assert heads == {"decoder", "projector", "classifier", "aux_classifier"}


def test_norms_biases_tokens_and_positions_do_not_decay(groups):
    by_rate, _ = groups
    kept = by_rate[1.0, 0.0] | by_rate[10.0, 0.0]
    assert {"encoder.class_token", "encoder.mask_token", "encoder.positions"} <= kept
    rest = {name for name in kept if not name.endswith(".bias")} - {
        "encoder.class_token", "encoder.mask_token", "encoder.positions"
    }  # fmt: skip
    assert rest
    assert all("norm" in name for name in rest)
    decaying = by_rate[1.0, 0.05] | by_rate[10.0, 0.05]
    assert all(name.endswith((".weight", ".direction")) and "norm" not in name for name in decaying)


def test_the_rate_follows_the_schedule():
    optimiser, schedule = make_optimiser(tiny_network(), OptimiserConfig(rate=1e-3, warmup=2), steps=4)
    rates = []
    for _ in range(4):
        rates.append(sorted({group["lr"] for group in optimiser.param_groups}))
        optimiser.step()
        schedule.step()
    expected = [(1e-4, 1e-3), (5.5e-4, 5.5e-3), (1e-3, 1e-2), (5e-4, 5e-3)]
    assert [pytest.approx(pair) for pair in expected] == rates
    assert optimiser.defaults["betas"] == (0.9, 0.999)


def rates_by_name(settings, network=None):
    network = network or tiny_network()
    names = {id(p): name for name, p in network.named_parameters()}
    return {names[id(p)]: group["lr"] for group in parameter_groups(network, settings) for p in group["params"]}


def test_with_a_layer_decay_each_block_learns_slower_than_the_next():
    rates = rates_by_name(OptimiserConfig(rate=1.0, layer_decay=0.5))
    expected = {
        "encoder.patch_embed.weight": 0.5**5,
        "encoder.positions": 0.5**5,
        "encoder.blocks.0.attn.qkv.weight": 0.5**4,
        "encoder.blocks.0.norm1.bias": 0.5**4,
        "encoder.blocks.3.mlp.fc2.weight": 0.5,
        "encoder.norm.weight": 1.0,
        "encoder.aggregation.0.query.weight": 1.0,
        "encoder.class_token": 1.0,
        "encoder.mask_token": 1.0,
        "classifier.weight": 10.0,
        "decoder.0.weight": 10.0,
    }
    assert {name: rates[name] for name in expected} == expected
    assert rates.keys() == {name for name, _ in tiny_network().named_parameters()}


def test_without_one_the_groups_are_those_of_the_paper():
    groups = parameter_groups(tiny_network(), OptimiserConfig())
    assert len(groups) == 4
    assert {group["lr"] for group in groups} == {6e-5, 6e-5 * 10}


def test_a_rate_of_0_is_that_of_the_encoder_s_family():
    network = tiny_network()
    network.config = dataclasses.replace(network.config, encoder="vit_base_patch16_224.mae")
    rates = rates_by_name(OptimiserConfig(rate=0.0), network)
    assert rates["encoder.norm.weight"] == 1e-4
    assert rates["encoder.positions"] == pytest.approx(1e-4 * 0.65**5)
    assert rates["classifier.weight"] == pytest.approx(1e-3)


def test_heads_learn_first_and_the_encoder_s_warm_up_begins_then():
    settings = OptimiserConfig(rate=1e-3, warmup=2, heads_first=0.5)
    network = tiny_network()
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    optimiser, schedule = make_optimiser(network, settings, steps=8)
    rates: list[tuple[float, float]] = []
    for step in range(8):
        encoder, heads = ({g["lr"] for g in optimiser.param_groups if g["head"] == head} for head in (False, True))
        rates.append((*encoder, *heads))
        for p in network.parameters():
            p.grad = torch.ones_like(p)
        optimiser.step()
        schedule.step()
        if step == 3:
            moved = {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}
            assert moved == {name for name in before if not name.startswith("encoder.")}, "no weight decay either"
    assert [rate for rate, _ in rates] == pytest.approx([0, 0, 0, 0, 1e-4, 5.5e-4, 1e-3, 5e-4])
    assert [rate for _, rate in rates] == pytest.approx(
        [10 * learning_rate_factor(s, 8, 2, 0.1) / 1e3 for s in range(8)]
    )


def checkpoint_of(settings):
    optimiser, schedule = make_optimiser(tiny_network(), settings, steps=8)
    return {"optimizer_states": [optimiser.state_dict()], "lr_schedulers": [schedule.state_dict()]}


def test_another_layer_decay_cannot_be_resumed_but_another_factor_can():
    with pytest.raises(TagsegError, match=r"optimiser\.layer_decay is 0\.5, expected the resumed run's") as caught:
        adopt_rates(checkpoint_of(OptimiserConfig()), tiny_network(), OptimiserConfig(layer_decay=0.5), 8)
    assert "\n" not in str(caught.value)
    checkpoint = checkpoint_of(OptimiserConfig(layer_decay=0.5))
    adopt_rates(checkpoint, tiny_network(), OptimiserConfig(layer_decay=0.25), 8)
    assert min(checkpoint["lr_schedulers"][0]["base_lrs"]) == pytest.approx(6e-5 * 0.25**5)


def test_heads_first_can_be_resumed_while_the_encoder_s_rate_is_0():
    settings = OptimiserConfig(heads_first=4)
    checkpoint = checkpoint_of(settings)
    adopt_rates(checkpoint, tiny_network(), dataclasses.replace(settings, rate=1e-5), 8)
    assert {group["lr"] for group in checkpoint["optimizer_states"][0]["param_groups"] if not group["head"]} == {0.0}
