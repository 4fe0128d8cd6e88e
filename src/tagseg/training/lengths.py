"""How long a training is where the settings leave it to the collection and the device (``run.steps`` 0)."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

from tagseg.config import Config, RunConfig, replace
from tagseg.progress import duration
from tagseg.training.launch import started

EPOCHS = 15
"""Passes over the photos of a step-by-step training: the paper's 20,000 steps of 8 on VOC's 10,582 photos."""
FEWEST, MOST = 500, 20_000
"""Steps of a step-by-step training."""
FROZEN_EPOCHS = 10
"""Passes of the method ``frozen``."""
FROZEN_FEWEST, FROZEN_MOST = 200, 1_000
"""Steps of its decoder."""
CPU_HOURS = 8
"""Most hours of a step-by-step training on a CPU: a night. The size of the collection alone would ask for days."""

logger = logging.getLogger("tagseg")


def with_length(config: Config, photos: int, step_seconds: Callable[[], float]) -> Config:
    """The configuration with a number of steps, which is logged where it follows from the number of photos.

    On a CPU, a step-by-step training gets at most as many steps as fit into ``CPU_HOURS``. As that depends on a
    measured time, processes of one training could differ: only a training by one process is limited.

    Args:
        config: ``run.steps`` 0 asks for a number.
        photos: in the collection.
        step_seconds: estimates a step-by-step training's seconds a step on this CPU; called where it matters.
    """
    run = config.run
    if run.steps:
        return config
    epochs, fewest, most = EPOCHS, FEWEST, MOST
    if not config.method.STEPWISE:
        epochs, fewest, most = FROZEN_EPOCHS, FROZEN_FEWEST, FROZEN_MOST
    steps = full = min(most, max(fewest, math.ceil(epochs * photos / run.batch)))
    each = 0.0
    if config.method.STEPWISE and on_one_cpu(run):
        each = step_seconds()
        steps = min(full, fitting_steps(each))
    if steps < full:
        logger.warning(
            "%d steps of %d photos, about %s, the most that a CPU gets by default; the size of the collection asks for "
            "%d steps, about %s: for these give --run.steps %d, or choose --method frozen, which takes minutes",
            steps, run.batch, duration(each * steps), full, duration(each * full), full,
        )  # fmt: skip
    else:
        logger.info("%d steps of %d photos, by the size of the collection (--run.steps)", steps, run.batch)
    return replace(config, run={"steps": steps})


def fitting_steps(each: float) -> int:
    """How many steps of so many seconds fit into ``CPU_HOURS``, to two digits: a time is not known more exactly."""
    fitting = max(1, int(CPU_HOURS * 3600 / each))
    unit = 10 ** max(0, len(str(fitting)) - 2)
    return fitting // unit * unit


def on_one_cpu(run: RunConfig) -> bool:
    """Whether a training is one process on a CPU."""
    import torch  # not above: it takes seconds, and errors in the data come first

    gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    cpu = run.accelerator == "cpu" or (run.accelerator == "auto" and not gpu)
    return cpu and started() is None and run.nodes == 1 and run.devices in ("auto", 1, "1")
