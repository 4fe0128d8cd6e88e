import pytest

from tagseg.fsr.config import FSRConfig, LossConfig, MaskConfig
from tagseg.fsr.schedules import (
    learning_rate_factor,
    loss_weights,
    mask_choice,
    step_of,
    teacher_momentum,
    teacher_temperature,
)


@pytest.mark.parametrize(
    ("step", "factor"), [(0, 0.1), (5, 0.55), (10, 1.0), (60, 0.5), (35, 0.853553), (110, 0.0), (109, 0.000247)]
)
def test_learning_rate_warms_up_and_falls_to_zero(step, factor):
    assert learning_rate_factor(step, steps=110, warmup=10, ratio=0.1) == pytest.approx(factor, abs=1e-6)


@pytest.mark.parametrize(("step", "factor"), [(0, 1.0), (1, 0.5), (2, 0.0)])
def test_learning_rate_without_warm_up(step, factor):
    assert learning_rate_factor(step, steps=2, warmup=0, ratio=0.1) == pytest.approx(factor)


def test_a_warm_up_longer_than_the_training_never_leaves_it():
    factors = [learning_rate_factor(step, steps=5, warmup=100, ratio=0.1) for step in range(5)]
    assert factors == sorted(factors)
    assert factors[-1] < 0.14


@pytest.mark.parametrize(("step", "momentum"), [(0, 0.99), (50, 0.995), (25, 0.991464), (100, 1.0)])
def test_teacher_momentum_rises_to_one(step, momentum):
    assert teacher_momentum(step, 100, 0.99, 1.0) == pytest.approx(momentum, abs=1e-6)


@pytest.mark.parametrize(("step", "value"), [(0, 0.04), (1, 0.05), (2, 0.06), (3, 0.07), (4, 0.07), (1000, 0.07)])
def test_teacher_temperature_rises_over_the_warm_up(step, value):
    assert teacher_temperature(step, 4, 0.04, 0.07) == pytest.approx(value)


@pytest.mark.parametrize("warmup", [0, 1])
def test_teacher_temperature_without_warm_up(warmup):
    assert teacher_temperature(0, warmup, 0.04, 0.07) == 0.07


@pytest.mark.parametrize(("when", "step"), [(0, 0), (7, 7), (5000, 5000), (0.0, 0), (0.1, 20), (1.0, 200), (1, 1)])
def test_a_when_is_a_step_or_a_share(when, step):
    assert step_of(when, 200) == step


def test_the_published_steps_are_the_published_shares():
    assert step_of(LossConfig().segmentation_from, 20_000) == 2_000
    assert step_of(MaskConfig().random_until, 20_000) == 4_000
    assert step_of(MaskConfig().random_until, 80_000) == 16_000


@pytest.mark.parametrize("until", [4, 0.2])
def test_masks_are_random_until_cams_can_be_trusted(until):
    config = MaskConfig(random_until=until)
    choices = [mask_choice(step, 20, config) for step in range(20)]
    assert choices == ["random"] * 4 + ["uncertain"] * 16


@pytest.mark.parametrize("choice", ["random", "none"])
def test_another_choice_of_masks_is_never_changed(choice):
    assert {mask_choice(step, 20, MaskConfig(choice=choice)) for step in range(20)} == {choice}


def active(step, **losses):
    weights = loss_weights(step, 40, FSRConfig(losses=LossConfig(**losses)))
    return {name for name, weight in weights.items() if weight}


FIRST = {"classification", "uncertain", "certain"}
DENSE = {"segmentation", "energy"}


@pytest.mark.parametrize(("segmentation_from", "affinity_from"), [(10, 20), (0.25, 0.5)])
def test_losses_start_at_their_step_or_share(segmentation_from, affinity_from):
    when = {"segmentation_from": segmentation_from, "affinity_from": affinity_from}
    assert active(0, **when) == active(9, **when) == FIRST
    assert active(10, **when) == active(19, **when) == FIRST | DENSE
    assert active(20, **when) == active(39, **when) == FIRST | DENSE | {"affinity"}


def test_by_default_affinity_starts_at_once_and_segmentation_after_a_tenth():
    assert active(0) == FIRST | {"affinity"}
    assert active(4) == FIRST | {"affinity"} | DENSE


def test_the_published_weights():
    weights = {"classification": 1.0, "uncertain": 0.1, "certain": 0.1, "affinity": 0.2, "segmentation": 0.1}
    assert loss_weights(39, 40, FSRConfig()) == weights | {"energy": 0.05}


def test_without_masks_there_is_no_distillation():
    weights = loss_weights(20, 40, FSRConfig(mask=MaskConfig(choice="none")))
    assert weights["uncertain"] == weights["certain"] == 0
