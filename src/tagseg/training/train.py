"""From tagged images to a trained network: ``tagseg train`` and ``tagseg.train``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tagseg.config import Config
from tagseg.config_file import save_config
from tagseg.data import sources
from tagseg.data.dataset import TaggedImages
from tagseg.errors import NothingToScore, TagsegError, list_some

if TYPE_CHECKING:
    from lightning.pytorch import Callback

logger = logging.getLogger("tagseg")


@dataclass(frozen=True)
class TrainResult:
    """The result of a training.

    Attributes:
        folder: the run: ``config.yaml``, ``last.ckpt``, ``best.ckpt``, ``logs``.
        network: the file to predict with, the best if masks were there to score with, else the last.
        steps: optimiser steps done.
        scores: of the last validation, 0 to 1, e.g. ``val/student/segmentation``; empty where nothing was scored.
    """

    folder: Path
    network: Path
    steps: int
    scores: dict[str, float]


def train(config: Config, resume: Path | str | None = None, callbacks: Sequence[Callback] = ()) -> TrainResult:
    """Train on tags.

    Args:
        config: the resolved configuration, e.g. of ``tagseg.presets``.
        resume: a run folder or a ``.ckpt`` file to go on from.
        callbacks: Lightning callbacks of your own.

    Returns:
        Where everything is, and the last scores.

    Raises:
        TagsegError: bad data or settings, a loss that is not finite, a full disk.
        KeyboardInterrupt: stopped by the user; ``last.ckpt`` holds the state.
    """
    checkpoint = _checkpoint_of(resume)
    folder = Path(config.run.output)
    if checkpoint is None and (folder / "last.ckpt").exists():
        raise TagsegError(
            f"{folder} already holds a training: resume it with --resume {folder}, or choose another --run.output"
        )
    training = sources.load(config.data, config.data.train_split, masks=config.beyond.labels == "masks")
    if config.beyond.labels == "masks":
        _check_masks(training)
    scored = _scored_images(config, training)
    _log_what_is_trained(config, training, scored)
    save_config(config, folder)

    # Importing these takes seconds; errors in the data are reported before.
    from tagseg.model.checkpoint import find_network
    from tagseg.training.trainer import fit

    trainer = fit(config, training, scored, checkpoint, callbacks)
    scores = {name: float(v) for name, v in trainer.callback_metrics.items() if name.startswith("val/")}
    return TrainResult(folder, find_network(folder), trainer.global_step, scores)


def _scored_images(config: Config, training: TaggedImages) -> TaggedImages | None:
    """The validation images that have masks; ``None`` if there are none."""
    if not config.data.val_split or config.run.validate_every == 0:
        return None
    try:
        scored = sources.load(config.data, config.data.val_split).with_masks()
    except NothingToScore as nothing:
        logger.info("%s", nothing)
        return None
    if not scored.samples:
        logger.warning("%s: no masks, so nothing is scored while training", scored.source)
        return None
    if scored.classes != training.classes:
        raise TagsegError(
            f"{scored.source} has {len(scored.classes)} classes, {training.source} {len(training.classes)}: "
            "give both the same list with --data.classes"
        )
    return scored


def _check_masks(training: TaggedImages) -> None:
    without = [sample.name for sample in training.samples if sample.mask is None]
    if without:
        raise TagsegError(
            f"beyond.labels is masks, but {len(without)} of {len(training)} images of {training.source} have none "
            f"({list_some(without)}): add their masks, or train on tags with --beyond.labels cam"
        )


def _log_what_is_trained(config: Config, training: TaggedImages, scored: TaggedImages | None) -> None:
    if not len(training):
        raise TagsegError(f"{training.source}: no images to train on, expected at least one")
    empty = sum(not sample.tags for sample in training.samples)
    background = f", {empty} without tags (all background)" if empty else ""
    logger.info(
        "training on the %s of %d images (%s; tags from %s)%s, %d classes, %s",
        "GROUND-TRUTH MASKS and tags (full supervision, an upper bound)" if config.beyond.labels == "masks" else "tags",
        len(training), training.source, training.tags_from, background, len(training.classes),
        f"scoring {len(scored)} images ({scored.source})" if scored else "scoring nothing",
    )  # fmt: skip


def _checkpoint_of(resume: Path | str | None) -> Path | None:
    if resume is None:
        return None
    path = Path(resume)
    path = path / "last.ckpt" if path.is_dir() else path
    if not path.is_file():
        raise TagsegError(f"{path}: no checkpoint to resume from, expected a run folder with last.ckpt or a .ckpt file")
    return path
