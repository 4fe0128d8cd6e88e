"""How fast a training by steps is: photos a second, and the seconds that are left, scoring included."""

from __future__ import annotations

import time
from typing import Any

from lightning.pytorch import Callback, Trainer

MEMORY = 0.9
"""Weight of the steps before in the mean time of a step."""
WARM_UP = 2
"""Steps that later ones replace in the mean: the first ones fill caches and start loaders."""


class Pace(Callback):
    """Measures steps and scorings by the clock; the first callback, so that what others do counts to the next step.

    Args:
        batch: photos of a step, over all devices.
        every: steps between two scorings; 0: nothing is scored.
    """

    def __init__(self, batch: int, every: int) -> None:
        self.batch, self.every = batch, every
        self.seconds: float | None = None
        self.scoring: float | None = None
        self.step, self.steps, self.measured, self.mark = 0, 0, 0, 0.0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """The clock begins with the step a resumed run begins with."""
        self.step, self.steps, self.measured = trainer.global_step, trainer.max_steps, 0
        self.seconds, self.mark = None, time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Count a step; parts of an accumulated one are none."""
        done = trainer.global_step - self.step
        if done < 1:
            return
        now = time.monotonic()
        each = (now - self.mark) / done
        old = self.seconds if self.seconds is not None and self.measured >= WARM_UP else each
        self.seconds = MEMORY * old + (1 - MEMORY) * each
        self.step, self.mark, self.measured = trainer.global_step, now, self.measured + done

    def on_validation_start(self, *_: Any) -> None:
        """Scoring is not a step's."""
        self.mark = time.monotonic()

    def on_validation_end(self, *_: Any) -> None:
        """Remember how long it took."""
        now = time.monotonic()
        self.scoring, self.mark = now - self.mark, now

    def pause(self, seconds: float) -> None:
        """Leave out what took so many seconds between two steps and is done."""
        self.mark += seconds

    @property
    def images_per_second(self) -> float | None:
        """Photos trained on a second; ``None`` before the first step."""
        return self.batch / self.seconds if self.seconds else None

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds to the end, with the scorings to come once one was measured; ``None`` before a step."""
        if self.seconds is None:
            return None
        left = (self.steps - self.step) * self.seconds
        if self.scoring is not None and self.every:
            left += self.scoring * (self.steps // self.every - self.step // self.every)
        return left
