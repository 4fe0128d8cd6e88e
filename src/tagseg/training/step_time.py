"""How long a training by steps will take: estimated from a forward pass before it, then measured on its first steps."""

from __future__ import annotations

import dataclasses
import logging
import time
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from tqdm import tqdm

from tagseg.config import Config
from tagseg.frozen.expected_time import encoder_seconds
from tagseg.fsr.config import FSRConfig
from tagseg.fsr.schedules import loss_weights, mask_choice
from tagseg.model.network import Network
from tagseg.progress import duration
from tagseg.training.module import TrainingModule

logger = logging.getLogger("tagseg")

OVERHEAD = 1.0
"""Seconds of a step on a CPU over the seconds of its forward passes (``forward_passes``): 1.01, 0.96 and 0.80 for the
presets ``paper``, ``folder`` and the classifier, DeiT-Ti at 224 px, x86-64 (``benchmarks/step_time.py --quick``)."""
WARM_UP = 2
"""Steps that are not measured: the first ones fill caches and start loaders."""
MEASURED = 8
"""Steps that are measured then."""


def forward_passes(config: Config) -> float:
    """Forward passes of the encoder on one whole view that a step costs for each image, once all losses are on.

    A student's view counts three times, as its backward pass costs twice its forward pass.
    """
    method = config.method
    if not isinstance(method, FSRConfig):
        return 3.0
    weights = loss_weights(config.run.steps, max(1, config.run.steps), method)
    cams = 2 * sum(scale**2 for scale in method.cam.scales)  # each scale twice: image and mirror image
    passes = 3.0
    if method.mask.choice != "none":
        passes += 3.0 + 2.0  # the student's second view, the teacher's two
        passes += 3.0 * config.views.local_crops * (config.views.local_size / config.views.size) ** 2
    if method.mask.choice == "uncertain":
        passes += cams
    dense = weights["segmentation"] or weights["energy"]
    if weights["affinity"] or (dense and config.beyond.labels == "cam"):
        passes += cams
    return passes


def step_seconds(config: Config, network: Network) -> float:
    """Estimated seconds of a step on the CPU, from a timed forward pass of the encoder.

    Draws no random numbers and changes no weights.

    Args:
        config: of a method that trains by steps.
        network: whose encoder is timed, on the CPU.
    """
    seconds = encoder_seconds(network, config.views.size, torch.device("cpu"))
    return OVERHEAD * forward_passes(config) * config.run.batch * seconds


def step_seconds_before(config: Config, classes: tuple[str, ...]) -> float:
    """``step_seconds`` before the training's network exists: of one with random weights."""
    untrained = dataclasses.replace(config.network, weights="none", start="")
    with torch.random.fork_rng(devices=[]):
        return step_seconds(config, Network(untrained, classes, config.beyond.pool))


class ExpectedTime(Callback):
    """Logs how long the training will take: on a CPU before the first step, anywhere after the first few.

    Steps are only watched, never made for this, so that a training is the same with and without.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.first, self.since = 0, 0.0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Estimate; not where blocks are compiled, since a forward pass would take minutes then."""
        self.first, self.since = trainer.global_step, 0.0
        remaining = trainer.max_steps - trainer.global_step
        alone = trainer.is_global_zero and trainer.world_size == 1
        if not alone or remaining < 1 or pl_module.device.type != "cpu" or self.config.speed.compile:
            return
        assert isinstance(pl_module, TrainingModule)  # no other is trained
        each = step_seconds(self.config, pl_module.method.trained)
        logger.info(
            "expected on this CPU: about %s for %d steps, %s a step (by a timed forward pass; scoring not counted)",
            duration(each * remaining), remaining, duration(each),
        )  # fmt: skip

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Start the clock after the warm-up, and log once what the next steps took."""
        done = trainer.global_step - self.first
        if not trainer.is_global_zero or done < WARM_UP or self.since < 0:
            return
        if not self.since:
            self.since = time.monotonic()
        elif done >= WARM_UP + MEASURED:
            self._log((time.monotonic() - self.since) / (done - WARM_UP), trainer)
            self.since = -1.0

    def on_validation_start(self, *_: Any) -> None:
        """Scoring between two steps is not theirs: measure no more."""
        self.since = -1.0

    def _log(self, each: float, trainer: Trainer) -> None:
        remaining = trainer.max_steps - trainer.global_step
        later = "" if all_losses_are_on(self.config, self.first) else ", more once all losses are on"
        with tqdm.external_write_mode():  # not into the bar
            logger.info("about %s for the remaining %d steps at %s a step as measured%s (scoring not counted)",
                        duration(each * remaining), remaining, duration(each), later)  # fmt: skip


def all_losses_are_on(config: Config, step: int) -> bool:
    """Whether a step costs as much as all that follow: no loss starts later, nor do CAMs for the mask."""
    method, steps = config.method, config.run.steps
    if not isinstance(method, FSRConfig):
        return True
    now, last = loss_weights(step, steps, method), loss_weights(steps, steps, method)
    later = [name for name in last if last[name] and not now[name]]
    return not later and mask_choice(step, steps, method.mask) == mask_choice(steps, steps, method.mask)
