"""Processes that others have started: how many, and which one this is, before PyTorch is there and has joined them.

``torchrun`` and SLURM's ``srun`` start all processes of a training. Without them Lightning starts those of a machine
from the first one, and sets ``NODE_RANK`` and ``LOCAL_RANK`` for them.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
from dataclasses import dataclass

from tagseg.config import RunConfig
from tagseg.errors import TagsegError
from tagseg.stopping import end_with_parent


@dataclass(frozen=True)
class Started:
    """Processes of one training that something else has started.

    Attributes:
        by: ``torchrun`` or ``srun``.
        devices: processes on each machine.
        nodes: machines.
    """

    by: str
    devices: int
    nodes: int


def started() -> Started | None:
    """What ``torchrun`` or ``srun`` has started; ``None`` where neither has, or it is one process alone."""
    found = None
    if "TORCHELASTIC_RUN_ID" in os.environ:
        each = int(os.environ["LOCAL_WORLD_SIZE"])
        found = Started("torchrun", each, int(os.environ["WORLD_SIZE"]) // each)
    elif os.environ.get("SLURM_STEP_NUM_TASKS"):
        nodes = int(os.environ.get("SLURM_STEP_NUM_NODES", "1"))
        found = Started("srun", int(os.environ["SLURM_STEP_NUM_TASKS"]) // nodes, nodes)
    return None if found is None or found.devices * found.nodes == 1 else found


def with_started(run: RunConfig) -> RunConfig:
    """The settings with the number of devices and of machines that were started, where they leave it open.

    Raises:
        TagsegError: they ask for others; each process would otherwise train alone, in the same folder.
    """
    found = started()
    if found is None:
        return run
    for name, given, count, left_open, seen in (
        ("devices", run.devices, found.devices, "auto", f"{found.devices} processes on each machine"),
        ("nodes", run.nodes, found.nodes, "1", f"processes on {found.nodes} machines"),
    ):
        if str(given) not in (str(count), left_open):
            raise TagsegError(
                f"run.{name} is {given}, but {found.by} has started {seen}: give --run.{name} {count}, or start others "
                f"with {found.by}"
            )
    return dataclasses.replace(run, devices=found.devices, nodes=found.nodes)


def is_first() -> bool:
    """Whether this is the first process of a training, or the only one: the one that speaks and writes."""
    for name in ("RANK", "SLURM_PROCID"):
        if name in os.environ:
            return os.environ[name] == "0"
    return all(os.environ.get(name, "0") == "0" for name in ("NODE_RANK", "LOCAL_RANK"))


def end_with_first() -> None:
    """Where Lightning has started this process from the first one of its machine: end when that one does."""
    if "TORCHELASTIC_RUN_ID" not in os.environ and os.environ.get("LOCAL_RANK", "0") != "0" and not is_by_slurm():
        end_with_parent(signal.SIGKILL)


def is_by_slurm() -> bool:
    """Whether SLURM has started this process."""
    return "SLURM_PROCID" in os.environ


def let_the_first_speak() -> None:
    """Have other processes log errors alone: what all of them find out, the first one says."""
    if not is_first():
        logging.getLogger("tagseg").setLevel(logging.ERROR)
