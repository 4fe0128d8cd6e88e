import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.data.seeds import seed_generators, seed_of, seeded

KEYS = st.lists(st.integers(0, 2**40), min_size=1, max_size=4)


@settings(deadline=None)
@given(KEYS)
def test_a_seed_fits_where_seeds_go(keys):
    assert 0 <= seed_of(*keys) < 2**63
    assert seed_of(*keys) == seed_of(*keys)


def test_neighbouring_keys_have_different_seeds():
    seeds = {seed_of(seed, epoch, index) for seed in range(5) for epoch in range(20) for index in range(50)}
    assert len(seeds) == 5 * 20 * 50
    assert seed_of(1, 2) != seed_of(2, 1)


def test_draws_depend_on_the_keys_alone():
    with seeded(1, 2):
        first = torch.rand(3)
    torch.manual_seed(77)
    with seeded(1, 2):
        assert torch.equal(torch.rand(3), first)
    with seeded(1, 3):
        assert not torch.equal(torch.rand(3), first)


def test_outside_the_generator_goes_on_as_if_nothing_had_happened():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with seeded(9):
        torch.rand(100)
    assert torch.equal(torch.rand(2), expected)


@given(KEYS)
def test_a_seed_gives_the_draws_of_pytorchs_own_call(keys):
    torch.manual_seed(seed_of(*keys))
    expected = torch.rand(3)
    seed_generators(seed_of(*keys), torch.device("cpu"))
    assert torch.equal(torch.rand(3), expected)


def test_a_gpu_is_seeded_where_the_work_is_on_one_alone(monkeypatch):
    seeded_devices: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded_devices.append)
    seed_generators(7, torch.device("cpu"))
    assert seeded_devices == []
    seed_generators(7, torch.device("cuda"))
    assert seeded_devices == [7]
