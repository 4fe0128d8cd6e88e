"""Which images a step sees is a pure function of the seed and the step."""

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.data.sampler import StepSampler


def steps(count, *arguments, **options):
    return list(islice(StepSampler(*arguments, **options), count))


def flat(batches):
    return [key for batch in batches for key in batch]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 20), st.integers(1, 12), st.integers(0, 3))
def test_every_epoch_is_a_permutation(samples, batch, seed):
    keys = flat(steps(5 * samples, samples, batch, seed))
    for epoch in range(4):
        indices = [index for e, index in keys if e == epoch]
        assert sorted(indices) == list(range(samples))
    assert [epoch for epoch, _ in keys] == sorted(epoch for epoch, _ in keys)


def test_epochs_and_seeds_have_different_orders():
    keys = flat(steps(4, 50, 50, 0))
    orders = [tuple(i for e, i in keys if e == epoch) for epoch in range(4)]
    assert len(set(orders)) == 4
    assert steps(1, 50, 50, 1) != steps(1, 50, 50, 0)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 20), st.integers(1, 8), st.integers(0, 15))
def test_beginning_at_a_step_equals_the_tail(samples, batch, first):
    assert steps(5, samples, batch, 0, first=first) == steps(first + 5, samples, batch, 0)[first:]


@pytest.mark.parametrize("world", [2, 4])
def test_the_parts_of_all_processes_are_the_whole_batch(world):
    whole = steps(6, 11, 8, 0)
    parts = [steps(6, 11, 8, 0, part=(rank, world)) for rank in range(world)]
    assert [flat(own) for own in zip(*parts, strict=True)] == whole
