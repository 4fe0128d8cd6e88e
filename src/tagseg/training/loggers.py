"""Lightning's loggers, which both kinds of trainings write their losses and scores to."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tagseg.config import RunConfig
from tagseg.errors import TagsegError
from tagseg.training.metrics_file import next_part

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


def takes_pictures(run: RunConfig) -> bool:
    """Whether pictures are wanted, and a logger is configured that keeps them."""
    return run.pictures > 0 and run.logger in ("tensorboard", "wandb")


def log_picture(loggers: Sequence[Logger], name: str, picture: Image.Image, step: int) -> None:
    """Log an RGB picture to those that keep pictures, TensorBoard and wandb."""
    for one in loggers:
        if hasattr(one, "log_image"):
            one.log_image(name, [picture], step=step)
            continue
        experiment: Any = getattr(one, "experiment", None)
        if hasattr(experiment, "add_image"):
            experiment.add_image(name, np.asarray(picture), step, dataformats="HWC")


@contextmanager
def writers_fail_quietly() -> Iterator[None]:
    """Within, a full disk does not make TensorBoard's thread print a traceback: the training hears of it, and tells."""
    before = threading.excepthook

    def tell(failed: threading.ExceptHookArgs) -> None:
        of_tensorboard = type(failed.thread).__module__.startswith("tensorboard.")
        if not (of_tensorboard and isinstance(failed.exc_value, OSError)):
            before(failed)

    threading.excepthook = tell
    try:
        yield
    finally:
        threading.excepthook = before


def error_of_disk(error: Exception) -> OSError | None:
    """What the system said, where that is why something was not logged: Lightning says that TensorBoard takes no float.

    Args:
        error: of a logger.
    """
    cause = error.__cause__ if isinstance(error, ValueError) else error
    return cause if isinstance(cause, OSError) else None


def make_loggers(run: RunConfig, folder: Path, step: int = 0) -> list[Logger]:
    """The configured logger, and always a CSV file that a person can open; none with ``run.logger none``.

    Args:
        run: which logger.
        folder: of the run.
        step: the first step that will be logged: TensorBoard no longer shows what a killed training logged of it and
            of later ones.

    Raises:
        TagsegError: wandb is asked for and not installed.
    """
    kind = run.logger
    if kind == "none":
        return []
    from lightning.pytorch.loggers import TensorBoardLogger  # takes a second

    from tagseg.training.csv_log import CSVLog

    loggers: list[Logger] = [CSVLog(folder, next_part(folder / "logs"))]
    if kind == "tensorboard":
        purge = step if (folder / "tensorboard").exists() else None
        loggers.append(TensorBoardLogger(folder, name="tensorboard", version="", purge_step=purge))
    elif kind == "wandb":
        try:
            from lightning.pytorch.loggers import WandbLogger

            loggers.append(WandbLogger(project="tagseg", save_dir=folder))
        except ModuleNotFoundError as error:
            raise TagsegError("--run.logger wandb needs the package wandb: install it, or use tensorboard") from error
    return loggers
