"""Schedules stay within their two ends at every step of trainings of any length."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tagseg.fsr.config import FSRConfig, LossConfig, MaskConfig
from tagseg.fsr.schedules import (
    learning_rate_factor,
    loss_weights,
    mask_choice,
    step_of,
    teacher_momentum,
    teacher_temperature,
)

from .examples import examples

STEPS = st.integers(0, 400)
SHARES = st.floats(0, 1)
WHEN = st.one_of(st.integers(0, 500), SHARES)


@examples(15)
@given(STEPS, st.integers(0, 500), SHARES)
def test_the_learning_rate_rises_to_1_and_falls_to_0(steps, warmup, ratio):
    factors = [learning_rate_factor(step, steps, warmup, ratio) for step in range(steps + 1)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert all(before <= after + 1e-12 for before, after in pairwise(factors[: warmup + 1]))
    assert all(before >= after - 1e-12 for before, after in pairwise(factors[warmup:]))
    assert warmup >= steps or abs(factors[-1]) < 1e-12


@examples(15)
@given(STEPS, SHARES, SHARES)
def test_the_momentum_of_the_teacher_goes_from_one_end_to_the_other(steps, first, last):
    low, high = sorted((first, last))
    found = [teacher_momentum(step, steps, first, last) for step in range(steps + 1)]
    assert all(low - 1e-12 <= momentum <= high + 1e-12 for momentum in found)
    assert abs(found[0] - first) < 1e-12
    assert steps == 0 or abs(found[-1] - last) < 1e-12


@examples(15)
@given(STEPS, st.integers(0, 500), st.floats(0.01, 1), st.floats(0.01, 1))
def test_the_temperature_goes_from_one_end_to_the_other(steps, warmup, first, last):
    low, high = sorted((first, last))
    found = [teacher_temperature(step, warmup, first, last) for step in range(max(steps, warmup) + 1)]
    assert all(low - 1e-12 <= temperature <= high + 1e-12 for temperature in found)
    assert found[-1] == last


@examples(15)
@given(STEPS, WHEN, WHEN, WHEN, st.sampled_from(["uncertain", "random", "none"]))
def test_a_loss_that_began_does_not_end(steps, segmentation_from, affinity_from, until, choice):
    losses = LossConfig(segmentation_from=segmentation_from, affinity_from=affinity_from)
    config = FSRConfig(losses=losses, mask=MaskConfig(choice=choice, random_until=until))
    weights = [loss_weights(step, steps, config) for step in range(steps + 1)]
    for name, last in weights[-1].items():
        course = [at[name] for at in weights]
        assert set(course) <= {0.0, last}
        assert course == sorted(course)
    choices = [mask_choice(step, steps, config.mask) for step in range(steps + 1)]
    changes = [pair for pair in pairwise(choices) if pair[0] != pair[1]]
    assert changes in ([], [("random", "uncertain")])
    assert choice == "uncertain" or choices == [choice] * (steps + 1)


@examples(15)
@given(SHARES, STEPS)
def test_a_share_of_the_training_is_one_of_its_steps(share, steps):
    assert 0 <= step_of(share, steps) <= steps
