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
from tagseg.frozen.config import FrozenConfig
from tagseg.training.lengths import with_length
from tagseg.training.run_folder import checkpoint_of, finished_network, refuse_to_overwrite

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
        resume: a run folder or a ``.ckpt`` file to go on from. A run of the method ``frozen`` that is finished is left
            as it is.
        callbacks: Lightning callbacks of your own.

    Returns:
        Where everything is, and the last scores.

    Raises:
        TagsegError: bad data or settings, a loss that is not finite, a full disk.
        KeyboardInterrupt: stopped by the user; ``last.ckpt`` holds the state.
    """
    folder = Path(config.run.output)
    stepwise = config.method.STEPWISE
    checkpoint = checkpoint_of(resume) if stepwise and resume is not None else None
    if not stepwise and resume is not None and (finished := finished_network(resume)) is not None:
        return _finished_result(finished)
    refuse_to_overwrite(folder, stepwise, resume)
    supervised = _is_supervised(config)
    training = sources.load(config.data, config.data.train_split, masks=supervised)
    if supervised:
        _check_masks(training, *(("beyond.labels", "cam") if stepwise else ("labels.source", "spectral")))
    config = with_length(config, len(training))
    scored = _scored_images(config, training)
    _log_what_is_trained(config, training, scored)
    save_config(config, folder)

    # Importing these takes seconds; errors in the data are reported before.
    from tagseg.model.checkpoint import find_network

    if not stepwise:
        from tagseg.training.frozen import fit_frozen

        scores = fit_frozen(config, training, scored)
        return TrainResult(folder, find_network(folder), config.run.steps, scores)
    from tagseg.training.trainer import fit

    trainer = fit(config, training, scored, checkpoint, callbacks)
    scores = {name: float(v) for name, v in trainer.callback_metrics.items() if name.startswith("val/")}
    return TrainResult(folder, find_network(folder), trainer.global_step, scores)


def _finished_result(network: Path) -> TrainResult:
    """The result of a training that was finished before."""
    from tagseg.model.checkpoint import read_about

    about = read_about(network)
    logger.info(
        "%s: this training is finished and stays as it is: to train with other settings choose another --run.output",
        network.parent,
    )
    return TrainResult(network.parent, network, about.get("step", 0), about.get("scores", {}))


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


def _is_supervised(config: Config) -> bool:
    """Whether labels are ground-truth masks: the upper bound."""
    method = config.method
    return method.labels.source == "masks" if isinstance(method, FrozenConfig) else config.beyond.labels == "masks"


def _check_masks(training: TaggedImages, setting: str, by_tags: str) -> None:
    without = [sample.name for sample in training.samples if sample.mask is None]
    if without:
        raise TagsegError(
            f"{setting} is masks, but {len(without)} of {len(training)} images of {training.source} have none "
            f"({list_some(without)}): add their masks, or train on tags with --{setting} {by_tags}"
        )


def _log_what_is_trained(config: Config, training: TaggedImages, scored: TaggedImages | None) -> None:
    if not len(training):
        raise TagsegError(f"{training.source}: no images to train on, expected at least one")
    empty = sum(not sample.tags for sample in training.samples)
    background = f", {empty} without tags (all background)" if empty else ""
    logger.info(
        "training on the %s of %d images (%s; tags from %s)%s, %d classes, %s",
        "GROUND-TRUTH MASKS and tags (full supervision, an upper bound)" if _is_supervised(config) else "tags",
        len(training), training.source, training.tags_from, background, len(training.classes),
        f"scoring {len(scored)} images ({scored.source})" if scored else "scoring nothing",
    )  # fmt: skip
