"""What a run's folder holds: a training to go on with, one that is finished, or one that must not be overwritten."""

from __future__ import annotations

from pathlib import Path

from tagseg.config_file import NAME
from tagseg.errors import TagsegError

CHECKPOINT = "last.ckpt"
"""Of a training by steps, finished or not."""
NETWORK = "last.safetensors"
"""Of a finished training of the method ``frozen``, which makes no checkpoints; trainings by steps write it, too."""


def checkpoint_of(resume: Path | str) -> Path:
    """The checkpoint that a run folder or a ``.ckpt`` file means.

    Raises:
        TagsegError: nothing there.
    """
    path = Path(resume)
    path = path / CHECKPOINT if path.is_dir() else path
    if not path.is_file():
        raise TagsegError(
            f"{path}: no checkpoint to resume from, expected a run folder with {CHECKPOINT} or a .ckpt file"
        )
    return path


def finished_network(resume: Path | str) -> Path | None:
    """The network of a run of the method ``frozen`` if the run is finished; ``None`` if it can go on.

    Raises:
        TagsegError: no such run.
    """
    folder = Path(resume)
    if (folder / CHECKPOINT).exists():
        raise TagsegError(
            f"{folder} holds a training by steps ({CHECKPOINT}), which the method frozen cannot go on with: "
            "resume it with its own settings, or choose another --run.output"
        )
    if not (folder / NAME).is_file():
        raise TagsegError(f"{folder}: no training to resume, expected a run folder with {NAME}")
    return folder / NETWORK if (folder / NETWORK).is_file() else None


def refuse_to_overwrite(folder: Path, stepwise: bool, resume: Path | str | None) -> None:
    """Refuse to train in a folder that holds another training than the one to resume.

    Args:
        folder: where the run is to be written, ``run.output``.
        stepwise: whether the training is one by steps, which has checkpoints.
        resume: the run folder or checkpoint that is resumed.

    Raises:
        TagsegError: the folder holds a training, finished or not, that would be overwritten.
    """
    by_steps = (folder / CHECKPOINT).exists()
    if not by_steps and not (folder / NETWORK).exists():
        return
    if resume is not None and stepwise and by_steps:
        return  # one by steps goes on in this folder
    way_out = f"resume it with --resume {folder}, or choose another --run.output"
    if not by_steps:
        way_out = "choose another --run.output, or delete it"
    raise TagsegError(f"{folder} already holds a training: {way_out}")
