"""The plain and the fast operations give what the published step gives: losses, health, centres and every gradient."""

import pytest
from torch import Tensor

from tagseg.config import Config, replace
from tagseg.data.batch import Batch
from tagseg.fast.ops import FAST
from tagseg.fsr.losses import StepLosses
from tagseg.fsr.step import PLAIN, Ops, State, training_step
from tagseg.model.teacher import update_teacher as training_update_teacher
from tagseg.training.optimiser import make_optimiser as make_training_optimiser
from tagseg.training.optimiser import parameter_groups

from ..conftest import tiny_config
from ..steps import EVERY, LATE, MIXED, assert_close, assert_gradients_agree, batch_of, sharpened
from .published_step import make_optimiser, published_step, update_teacher

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """With an energy that weighs as much as other terms, so that its errors show."""
    folder = tmp_path_factory.mktemp("none")
    return replace(tiny_config(folder, folder), energy={"scale": 1e-3}, network={"drop_path": 0.3})


def state_of(config: Config, seed: int) -> State:
    module = sharpened(config, seed)
    return State(module.student, module.teacher, module.centres)


def gradients_of(losses: StepLosses, state: State) -> dict[str, Tensor]:
    losses.total.backward()
    return {name: p.grad for name, p in state.student.named_parameters() if p.grad is not None}


BATCHES = {
    "two classes, one, none": batch_of([[1, 0, 1], [0, 1, 0], [0, 0, 0]]),
    "every class": batch_of([[1, 1, 1], [1, 1, 1]], seed=1),
    "no class": batch_of([[0, 0, 0], [0, 0, 0]], seed=2),
    "larger views": batch_of(MIXED, size=48, seed=3),
    "one image": batch_of([[0, 1, 0]], size=64, seed=4),
}


@pytest.mark.parametrize("ops", [PLAIN, FAST], ids=["plain", "fast"])
@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("seed", [0, 1])
def test_both_tables_give_the_published_step(config: Config, batch: Batch, seed: int, ops: Ops) -> None:
    steps, published, own = config.run.steps, state_of(config, seed), state_of(config, seed)
    expected = published_step(published, batch, LATE, steps, config.fsr)
    losses = training_step(own, batch, LATE, steps, config.fsr, ops)
    assert set(expected.terms) == EVERY
    assert_close(losses.terms | {"total": losses.total}, expected.terms | {"total": expected.total})
    assert_close(losses.health, expected.health)
    assert_close(dict(own.centres.named_buffers()), dict(published.centres.named_buffers()))
    assert_gradients_agree(gradients_of(losses, own), gradients_of(expected, published))


def test_its_optimiser_and_its_average_are_those_of_the_training(config: Config) -> None:
    published, own = state_of(config, 0), state_of(config, 0)
    for state in (published, own):
        gradients_of(published_step(state, BATCHES["one image"], LATE, config.run.steps, config.fsr), state)
    optimiser, _schedule = make_training_optimiser(own.student, config.fsr.optimiser, config.run.steps)
    groups = parameter_groups(published.student, config.fsr.optimiser)
    rates = [group["lr"] for group in optimiser.param_groups]  # of the warm-up's first step
    make_optimiser([group | {"lr": rate} for group, rate in zip(groups, rates, strict=True)]).step()
    optimiser.step()
    update_teacher(published.teacher, published.student, 0.9)
    training_update_teacher(own.teacher, own.student, 0.9)
    assert_close(own.student.state_dict(), published.student.state_dict())
    assert_close(own.teacher.state_dict(), published.teacher.state_dict())
