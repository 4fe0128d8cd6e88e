"""How a training by steps ends early, each way in one line: what happened, at which step, and how to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten

from lightning.pytorch import Trainer

from tagseg.distributed import other_process_is_gone
from tagseg.errors import Collapsed, TagsegError, one_line
from tagseg.stopping import Stopped, told
from tagseg.training import slurm
from tagseg.training.loggers import error_of_disk
from tagseg.training.run_folder import CHECKPOINT
from tagseg.training.stops import Stops

AGAIN = "start it again with the same command"


@contextmanager
def in_one_line(trainer: Trainer, stops: Stops, folder: Path) -> Iterator[None]:
    """Turn what ends a training into the one error of the user, or into the one stop.

    Args:
        trainer: tells the step.
        stops: tell the signal.
        folder: of the run.
    """
    try:
        yield
    except SystemExit as stop:  # Lightning's answer to a stop, after its callbacks saved the state
        raise _stopped(trainer, stops, folder) from stop
    except KeyboardInterrupt as stop:
        way = f"go on with --resume {folder}" if (folder / CHECKPOINT).is_file() else AGAIN
        raise told(stop, f"stopped before the first step: {way}") from stop
    except Collapsed:
        raise
    except TagsegError as error:
        raise one_line(error) from error
    except RuntimeError as error:
        raise _told(error, folder) from error
    except (OSError, ValueError) as error:
        if (cause := error_of_disk(error)) is None:
            raise
        raise TagsegError(
            f"{folder}: could not be written ({cause}); the previous checkpoint is kept: free some space and go on "
            f"with --resume {folder}"
        ) from error


def _stopped(trainer: Trainer, stops: Stops, folder: Path) -> Stopped:
    """The stop in words; a job of SLURM whose time is up is queued again first."""
    step, way = trainer.global_step, f"go on with --resume {folder}"
    if not (folder / CHECKPOINT).is_file():
        return stops.stop_of(f"stopped before the first step was done: {AGAIN}")
    if not stops.whole:
        return stops.stop_of(f"stopped in the middle of the step after {step}, which is not saved: {way}")
    if stops.received in slurm.requeue_signals() and trainer.is_global_zero:
        return stops.stop_of(f"stopped at step {step}, {slurm.requeue()}: {way}")
    return stops.stop_of(f"stopped at step {step}: {way}")


def _told(error: RuntimeError, folder: Path) -> Exception:
    """The error itself, where it is none that a user can do something about."""
    reason = shorten(str(error), 160)
    if other_process_is_gone(error):
        return TagsegError(f"lost another process of this training; its own message says why ({reason})")
    if "DataLoader worker" in str(error):
        return TagsegError(
            f"a process that reads photos is gone ({reason}), mostly for want of memory: lower --run.workers and go on "
            f"with --resume {folder}"
        )
    return error
