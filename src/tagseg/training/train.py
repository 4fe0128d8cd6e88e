"""From tagged images to a trained network: ``tagseg train`` and ``tagseg.train``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tagseg.arguments import check_path, refuse
from tagseg.check.fast import warnings_before_training
from tagseg.config import Config
from tagseg.config_file import save_config
from tagseg.data import sources
from tagseg.data.dataset import TaggedImages
from tagseg.data.given_photos import data_of
from tagseg.data.reading import Reading, reading_of, show_warnings
from tagseg.data.tags_and_masks import compare_sample
from tagseg.errors import NothingToScore, TagsegError, list_some
from tagseg.frozen.config import FrozenConfig
from tagseg.methods.unread import check_unread
from tagseg.training.kept_data import keep_data
from tagseg.training.launch import end_with_first, is_first, started
from tagseg.training.lengths import with_length
from tagseg.training.liveness import place_by_environment, watched
from tagseg.training.loggers import writers_fail_quietly
from tagseg.training.run_folder import NETWORK, checkpoint_of, finished_network, refuse_to_overwrite

if TYPE_CHECKING:
    from lightning.pytorch import Callback

logger = logging.getLogger("tagseg")


@dataclass(frozen=True)
class TrainResult:
    """The result of a training.

    Attributes:
        folder: the run: ``config.yaml``, ``data.json``, ``last.ckpt``, ``best.ckpt``, ``logs``.
        network: the file to predict with, the best if masks were there to score with, else the last.
        steps: optimiser steps done.
        scores: of the last validation, 0 to 1, e.g. ``val/student/segmentation``; empty where nothing was scored.
    """

    folder: Path
    network: Path
    steps: int
    scores: dict[str, float]


def train(
    config: Config,
    resume: Path | str | None = None,
    callbacks: Sequence[Callback] = (),
    photos: object = None,
) -> TrainResult:
    """Train on tags.

    Args:
        config: the resolved configuration, e.g. of ``tagseg.presets``.
        resume: a run folder or a ``.ckpt`` file to go on from. A run of the method ``frozen`` that is finished is left
            as it is.
        callbacks: Lightning callbacks of your own; the method ``frozen``, which trains without Lightning, takes none.
        photos: pairs ``(path, tags)`` or a DataFrame instead of a data folder (``tagseg.data_of``), written as a tag
            file to ``data/`` in the run's folder.

    Returns:
        Where everything is, and the last scores.

    Raises:
        TagsegError: bad data or settings, a loss that is not finite, a full disk.
        KeyboardInterrupt: stopped by the user; ``last.ckpt`` holds the state.
    """
    _check_arguments(config, resume, callbacks)
    end_with_first()
    place = place_by_environment()
    if place is not None:  # from a slow disk its libraries take longer to come than a process may be silent
        import_module("torch")
    with watched(place), writers_fail_quietly():
        return _train(config, resume, callbacks, photos)


def _train(config: Config, resume: Path | str | None, callbacks: Sequence[Callback], photos: object) -> TrainResult:
    """What ``train`` does, in one process of those that train together."""
    folder = Path(config.run.output)
    stepwise = config.method.STEPWISE
    checkpoint = checkpoint_of(resume) if stepwise and resume is not None else None
    if not stepwise and resume is not None and (finished := finished_network(resume)) is not None:
        return _finished_result(finished)
    if not stepwise:
        _refuse_what_steps_need(config, callbacks)
    refuse_to_overwrite(folder, stepwise, resume)
    if photos is not None:
        config = replace(config, data=data_of(photos, folder / "data", config.data))
    supervised = _is_supervised(config)
    training = sources.load(config.data, config.data.train_split, masks=supervised)
    if supervised:
        _check_masks(training, *(("beyond.labels", "cam") if stepwise else ("labels.source", "spectral")))
    config = with_length(config, len(training), lambda: _step_seconds(config, training))
    validation = _validation_images(config, training)
    scored = validation.with_masks() if validation else None
    reading = _read(config, training, validation, supervised)
    _log_what_is_trained(config, training, scored)
    config = keep_data(config, folder)
    save_config(config, folder)
    reading.save(folder)

    # Importing these takes seconds; errors in the data are reported before.
    if not stepwise:
        from tagseg.training.frozen import fit_frozen

        scores = fit_frozen(config, training, scored)
        return TrainResult(folder, _network_of(folder), config.run.steps, scores)
    from tagseg.training.trainer import fit

    trainer = fit(config, training, scored, checkpoint, callbacks)
    scores = {name: float(v) for name, v in trainer.callback_metrics.items() if name.startswith("val/")}
    return TrainResult(folder, _network_of(folder), trainer.global_step, scores)


def _network_of(folder: Path) -> Path:
    """The network that was trained; a machine that does not share the first one's folder has none to look for."""
    from tagseg.model.checkpoint import find_network  # takes seconds

    return find_network(folder) if is_first() else folder / NETWORK


def _step_seconds(config: Config, training: TaggedImages) -> float:
    from tagseg.training.step_time import step_seconds_before  # takes seconds

    return step_seconds_before(config, training.classes)


def _refuse_what_steps_need(config: Config, callbacks: Sequence[Callback]) -> None:
    """Refuse what a method that is not trained by Lightning's steps would ignore."""
    check_unread(config)
    if (processes := started()) is not None:
        raise TagsegError(
            f"{processes.by} has started {processes.devices * processes.nodes} processes, expected one with the method "
            f"{config.method.NAME}, which needs no other: leave out {processes.by}, or choose another --method"
        )
    if callbacks:
        names = list_some([type(callback).__name__ for callback in callbacks])
        raise TagsegError(
            f"callbacks are given ({names}), expected none with the method {config.method.NAME}, which trains without "
            "Lightning: leave them out, or choose another method"
        )


def _check_arguments(config: object, resume: object, callbacks: object) -> None:
    if not isinstance(config, Config):
        expected = "a Config, e.g. tagseg.replace(tagseg.PRESETS['frozen'](), data={'root': 'photos'})"
        raise refuse("config", config, f"{expected}: call the preset" if callable(config) else expected)
    if resume is not None:
        check_path("resume", resume, "a run folder or a .ckpt file (str or Path)")
    if not isinstance(callbacks, list | tuple):
        raise refuse("callbacks", callbacks, "a list of Lightning callbacks")
    if callbacks:
        from lightning.pytorch import Callback

        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise refuse("a callback", callback, "a Lightning Callback")


def _finished_result(network: Path) -> TrainResult:
    """The result of a training that was finished before."""
    from tagseg.model.checkpoint import read_about

    about = read_about(network)
    logger.info(
        "%s: this training is finished and stays as it is: to train with other settings choose another --run.output",
        network.parent,
    )
    return TrainResult(network.parent, network, about.get("step", 0), about.get("scores", {}))


def _validation_images(config: Config, training: TaggedImages) -> TaggedImages | None:
    """The validation images, some with masks; ``None`` if nothing is to be scored or can be."""
    if not config.data.val_split or config.run.validate_every == 0:
        return None
    try:
        images = sources.load(config.data, config.data.val_split, tags=False)
    except NothingToScore as nothing:
        logger.info("%s", nothing)
        return None
    if not images.with_masks().samples:
        logger.warning("%s: no masks, so nothing is scored while training", images.source)
        return None
    if images.classes != training.classes:
        raise TagsegError(
            f"{images.source} has {len(images.classes)} classes, {training.source} {len(training.classes)}: "
            "give both the same list with --data.classes"
        )
    return images


def _read(config: Config, training: TaggedImages, validation: TaggedImages | None, supervised: bool) -> Reading:
    """What was read, shown; masks that are read anyway are held against the tags.

    Raises:
        TagsegError: tags and masks contradict each other, or no photo has a tag.
    """
    data = config.data
    splits = {data.train_split: training} | ({data.val_split: validation} if validation else {})
    reading = reading_of(data, splits, warnings_before_training(training, supervised))
    reading.show()
    limit = {data.train_split: 0, data.val_split: config.run.val_limit}
    with_masks = {name: images for name, images in splits.items() if images is validation or supervised}
    noticed = [
        note
        for name, images in with_masks.items()
        for note in compare_sample(images.with_masks().first(limit[name]), data.contradictions)
    ]
    show_warnings(noticed)
    return reading.noting(noticed)


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
    logger.info(
        "training on the %s of %d images, %s",
        "GROUND-TRUTH MASKS and tags (full supervision, an upper bound)" if _is_supervised(config) else "tags",
        len(training),
        f"scoring {min(len(scored), config.run.val_limit or len(scored))} by their masks"
        if scored
        else "scoring nothing",
    )
