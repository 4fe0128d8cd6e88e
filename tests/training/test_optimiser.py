from typing import Any

import pytest

from tagseg.fsr.config import OptimiserConfig
from tagseg.training.optimiser import make_optimiser, parameter_groups

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
