"""How many processes were started by others, and which of them speaks."""

import logging

import pytest

from tagseg.config import RunConfig
from tagseg.errors import TagsegError
from tagseg.training.launch import Started, is_first, let_the_first_speak, started, with_started
from tagseg.training.lengths import on_one_cpu
from tagseg.training.train import train

from .conftest import frozen_config

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "6", "RANK": "3",
    "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1",
}  # fmt: skip
SRUN = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_PROCID": "1"}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Without a launcher; a test sets what one would set."""
    for name in {*TORCHRUN, *SRUN, "NODE_RANK", "LOCAL_RANK"}:
        monkeypatch.delenv(name, raising=False)

    def of(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return of


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        (TORCHRUN, Started("torchrun", 2, 3)),
        (TORCHRUN | {"LOCAL_WORLD_SIZE": "1", "WORLD_SIZE": "1", "RANK": "0"}, None),
        (SRUN, Started("srun", 2, 2)),
        ({"SLURM_STEP_NUM_TASKS": "1"}, None),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, None),  # a batch script that runs it without srun
        ({"NODE_RANK": "0", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}, None),  # by Lightning itself
    ],
)
def test_what_a_launcher_has_started(environment, variables, expected):
    environment(variables)
    assert started() == expected


@pytest.mark.parametrize(("devices", "nodes"), [("auto", 1), (2, 1), ("2", 3), ("auto", 3)])
def test_settings_that_leave_it_open_take_what_was_started(environment, devices, nodes):
    assert with_started(RunConfig(devices=devices, nodes=nodes)) == RunConfig(devices=devices, nodes=nodes)
    environment(TORCHRUN)
    run = with_started(RunConfig(devices=devices, nodes=nodes, accelerator="cpu"))
    assert (run.devices, run.nodes) == (2, 3)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (
            {"devices": 1},
            r"run\.devices is 1, but torchrun has started 2 processes on each machine: give --run\.devices 2",
        ),
        (
            {"devices": 2, "nodes": 2},
            r"run\.nodes is 2, but torchrun has started processes on 3 machines: give --run\.nodes 3, or",
        ),
    ],
)
def test_other_settings_are_refused_as_every_process_would_train_alone(environment, run, expected):
    environment(TORCHRUN)
    with pytest.raises(TagsegError, match=expected):
        with_started(RunConfig(**run))


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ({}, True),
        (TORCHRUN, False),
        (TORCHRUN | {"RANK": "0", "LOCAL_RANK": "0"}, True),
        (SRUN, False),
        ({"NODE_RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"NODE_RANK": "0", "LOCAL_RANK": "1"}, False),
        ({"NODE_RANK": "1", "LOCAL_RANK": "0"}, False),
    ],
)
def test_the_first_process_speaks(environment, variables, first):
    environment(variables)
    logger = logging.getLogger("tagseg")
    before = logger.level
    try:
        logger.setLevel(logging.INFO)
        let_the_first_speak()
        assert logger.isEnabledFor(logging.INFO) == is_first() == first
        assert logger.isEnabledFor(logging.ERROR)
    finally:
        logger.setLevel(before)


def test_a_measured_time_decides_nothing_for_several_processes(environment):
    assert on_one_cpu(RunConfig(accelerator="cpu"))
    environment(TORCHRUN)
    assert not on_one_cpu(RunConfig(accelerator="cpu"))


def test_the_frozen_method_is_one_process(environment, tagged_folder, tmp_path):
    environment(TORCHRUN)
    with pytest.raises(TagsegError, match="torchrun has started 6 processes, expected one with the method frozen"):
        train(frozen_config(tagged_folder, tmp_path / "run"))
    assert not (tmp_path / "run").exists()
