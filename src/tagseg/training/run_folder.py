"""What a run's folder holds: a training to go on with, one that is finished, or one that must not be overwritten."""

from __future__ import annotations

import logging
from pathlib import Path

from tagseg.config_file import NAME
from tagseg.errors import TagsegError
from tagseg.training.checkpoint_hash import damage_of

CHECKPOINT = "last.ckpt"
"""Of a training by steps, finished or not."""
PREVIOUS = "previous.ckpt"
"""The one before it."""
NETWORK = "last.safetensors"
"""Of a finished training of the method ``frozen``, which makes no checkpoints; trainings by steps write it, too."""

logger = logging.getLogger("tagseg")


def checkpoint_of(resume: Path | str) -> Path | None:
    """The whole checkpoint that a run folder or a ``.ckpt`` file means.

    Of a folder it is ``last.ckpt``, or ``previous.ckpt`` where that is damaged or gone, which is told; ``None`` where
    the training was ended before it saved anything, so that it begins again.

    Raises:
        TagsegError: nothing there, or nothing whole.
    """
    path = Path(resume)
    if not path.is_dir():
        return _given(path)
    there = [path / name for name in (CHECKPOINT, PREVIOUS) if (path / name).is_file()]
    if not there and (path / NAME).is_file():
        logger.info("%s: no step was saved yet: the training begins again", path)
        return None
    if not there:
        raise _nothing(path / CHECKPOINT)
    damage: dict[Path, str] = {}
    for one in there:
        damage[one] = damage_of(one)
        if not damage[one]:
            if one.name != CHECKPOINT:
                reason = damage.get(path / CHECKPOINT, "it is gone")
                logger.warning("%s: going on from %s, saved before it", _told(path / CHECKPOINT, reason), one.name)
            return one
    raise TagsegError(
        f"{'; '.join(_told(one, reason) for one, reason in damage.items())}: nothing whole is left to go on from: "
        "resume from another one, e.g. best.ckpt, or start anew with another --run.output"
    )


def _given(path: Path) -> Path:
    """A checkpoint file that is there and whole."""
    if not path.is_file():
        raise _nothing(path)
    reason = damage_of(path)
    if reason:
        raise TagsegError(
            f"{_told(path, reason)}: resume from another one, e.g. {PREVIOUS} or best.ckpt, or start anew with another "
            "--run.output"
        )
    return path


def _nothing(path: Path) -> TagsegError:
    return TagsegError(f"{path}: no checkpoint to resume from, expected a run folder with {CHECKPOINT} or a .ckpt file")


def _told(path: Path, reason: str) -> str:
    return f"{path}: not a whole checkpoint ({reason})"


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
    by_steps = any((folder / name).exists() for name in (CHECKPOINT, PREVIOUS))
    if not by_steps and not (folder / NETWORK).exists():
        return
    if resume is not None and stepwise and by_steps:
        return  # one by steps goes on in this folder
    way_out = f"resume it with --resume {folder}, or choose another --run.output"
    if not by_steps:
        way_out = "choose another --run.output, or delete it"
    raise TagsegError(f"{folder} already holds a training: {way_out}")
