"""Signals that end a training by steps are noted at once and heeded where its state is whole: between two steps.

A training is also stopped between two photos that are scored. A checkpoint in the middle of a step would hold weights
of this step and averages of the last; no resumed run could equal an uninterrupted one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, Trainer

from tagseg.stopping import ENDING, Stopped, handled, leave_terminal
from tagseg.training.observer import have_patience, stand_down
from tagseg.training.slurm import requeue_signals

STOPPING = b"\ntagseg: stopping after this step; Ctrl-C once more stops at once, without saving\n"


class Stops(Callback):
    """The stop that was asked for, by a signal to this process or to another one of the training.

    Attributes:
        received: number of the first signal; ``None``: none came.
        whole: whether the state is that after a whole step, so that it may be saved.
        decided: whether the training ends before the next step.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.whole, self.decided = True, False
        self._others = False  # whether another process was asked
        self._saving = False
        self._owner = os.getpid()
        self._first = True
        self._terminals = [number for number in (1, 2) if os.isatty(number)]

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Have the signals that end a training come here, in the main thread of a process."""
        self._owner = os.getpid()
        with handled((signal.SIGINT, *ENDING, *requeue_signals()), self._receive):
            yield

    def stop_of(self, message: str) -> Stopped:
        """The stop, with a message."""
        return Stopped(message, self.received or signal.SIGTERM)

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """In all processes; Lightning's handler would tell the others while they exchange something else."""
        setattr(trainer._signal_connector, "_sigterm_notifier_fn", lambda number, frame: None)  # noqa: B010 (typed)
        self._first = trainer.is_global_zero
        have_patience()

    def on_train_start(self, *_: Any) -> None:
        """Stop where that was asked for while the training was set up."""
        if self.received is not None:
            raise self.stop_of("")

    def begin_step(self) -> None:
        """From now on the state is not whole."""
        self.whole = False

    def hear(self, share: float) -> None:
        """Take note of the share of processes that were asked to stop; all hear it in the same step."""
        self._others = share > 0

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Decide whether this step was the last; then the checkpoint, which is a later callback, is saved here."""
        self.whole = True
        self.decided = self._others or (trainer.world_size == 1 and self.received is not None)

    def on_train_batch_start(self, *_: Any) -> None:
        """Stop before the next step, when the losses of the last are in the logs; all processes before the same."""
        if self.decided:
            raise self.stop_of("")

    def on_validation_start(self, *_: Any) -> None:
        """Stop before photos are scored."""
        if self.decided:
            raise self.stop_of("")

    def on_validation_batch_end(self, *_: Any) -> None:
        """Stop between photos: scoring changes nothing that is saved, so no other process need know."""
        if self.received is not None:
            raise self.stop_of("")

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """What is saved now is not to be disturbed."""
        self._saving = True
        if isinstance(exception, KeyboardInterrupt | SystemExit):
            stand_down()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._owner:  # a loader's worker that was forked and has no handlers of its own yet
            return
        if number == getattr(signal, "SIGHUP", None):
            leave_terminal(self._terminals)
        again = self.received is not None
        self.received = self.received or number
        if self._saving:
            return
        if again and number == signal.SIGINT:
            raise self.stop_of("")
        if number == signal.SIGINT and self._first:
            os.write(2, STOPPING)  # print is not for handlers: it may have been interrupted itself
