"""The method ``frozen``: features → labels → decoder → an ordinary network, each stage with progress."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from tagseg.config import Config, RunConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.loaders import score_loader
from tagseg.data.proposals import Proposals
from tagseg.errors import TagsegError
from tagseg.frozen.config import FrozenConfig
from tagseg.frozen.decoder import DecoderRun, standardise, train_decoder
from tagseg.frozen.expected_time import expected_seconds
from tagseg.frozen.features import frozen_features, side_of
from tagseg.frozen.labels import given_proposals, training_labels
from tagseg.frozen.tag_classifiers import fit_tag_classifiers, fit_tag_prior
from tagseg.fsr.config import CamConfig
from tagseg.fsr.step import PLAIN
from tagseg.model.checkpoint import save_network
from tagseg.model.network import Network
from tagseg.model.start import start_from
from tagseg.progress import Note, duration, ignore, progress
from tagseg.stopping import told
from tagseg.training.frozen_log import FrozenLog
from tagseg.training.frozen_pictures import pictures_of
from tagseg.training.loggers import takes_pictures
from tagseg.training.validation import Validation

logger = logging.getLogger("tagseg")

FINISHED = "last.safetensors"
"""The network of a finished training."""


def fit_frozen(config: Config, training: TaggedImages, scored: TaggedImages | None) -> dict[str, float]:
    """Train a decoder on frozen features and save the network; returns its scores, empty where nothing is scored.

    A start after an interruption finds the features again; the other stages take a minute or two and are repeated.

    Args:
        config: of the method ``frozen``, ``run.steps`` resolved.
        training: the training images.
        scored: validation images with masks.

    Raises:
        TagsegError: a decoder that is not for frozen features, a photo, mask or proposal that cannot be read, no space
            on the disk, a loss that is not finite.
        KeyboardInterrupt: stopped by the user; features that were computed are kept.
    """
    settings, run, folder = config.method, config.run, Path(config.run.output)
    assert isinstance(settings, FrozenConfig)  # ``train`` chose this function by it
    if config.network.decoder != "conv":
        config.network.refuse("decoder", config.network.decoder, "conv with the method frozen")
    device = frozen_device(run.accelerator)
    # Errors in the proposals are reported before the long part.
    proposals = given_proposals(training, settings.labels, config.data)
    torch.manual_seed(run.seed)
    network = Network(config.network, training.classes, config.beyond.pool, training.colours)
    if config.network.start:
        start_from(network, config.network.start)
    announce_time(network, settings, run, len(training), device)
    log = FrozenLog(run, folder, device)
    try:
        with log:
            scores = _fit(network, config, settings, training, scored, proposals, log)
            save_network(network.cpu(), folder / FINISHED, {"step": run.steps, "scores": scores, "network": "frozen"})
    except KeyboardInterrupt as stop:
        line = log.line
        where = f"{line.stage}, {line.step} of {line.steps}"
        raise told(stop, f"stopped ({where}): features are kept, go on with --resume {folder}") from stop
    return scores


def _fit(
    network: Network,
    config: Config,
    settings: FrozenConfig,
    training: TaggedImages,
    scored: TaggedImages | None,
    proposals: Mapping[str, Proposals],
    log: FrozenLog,
) -> dict[str, float]:
    """All stages, in place; returns the scores."""
    run, device, size = config.run, log.device, settings.features.size
    place = settings.features.folder or Path(run.output).absolute().parent / "features"
    log.begin("features", len(training))
    features = frozen_features(network, training, size, Path(place), run, device, log.note)
    labels = training_labels(features, training, settings.labels, proposals, log.note)
    fit_tag_classifiers(network, features)
    if network.tag_prior is not None:
        fit_tag_prior(network.tag_prior, features)
    standardise(network.decoder, features)
    length = DecoderRun(run.steps, run.batch, run.seed)
    if takes_pictures(run):
        log.show = pictures_of(log, network, features, labels, training, scored)
    log.begin("decoder", run.steps)
    train_decoder(network.decoder, features, labels, settings.decoder, length, device, log.decoder_step)
    if not scored:
        return {}
    log.begin("scoring", min(len(scored), run.val_limit or len(scored)))
    scores = score(network, scored, size, config, device, log.note)
    log.scored(scores)
    return scores


def announce_time(network: Network, settings: FrozenConfig, run: RunConfig, photos: int, device: torch.device) -> None:
    """Log the expected time of a training, all features computed anew."""
    side = side_of(settings.features.size, network.patch_size)
    features, decoder = expected_seconds(network, side, photos, run.steps, run.batch, device)
    logger.info(
        "expected on %s: %s for the features (none where they are at hand), %s for %d steps of the decoder",
        device, duration(features), duration(decoder), run.steps,
    )  # fmt: skip


def frozen_device(accelerator: str) -> torch.device:
    """``auto``: a GPU if there is one; ``gpu`` and ``cuda`` insist on it."""
    if accelerator == "cpu" or (accelerator == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise TagsegError(f"run.accelerator is {accelerator!r}, but there is no GPU: choose cpu or auto")
    return torch.device("cuda")


def score(
    network: Network,
    scored: TaggedImages,
    size: int,
    config: Config,
    device: torch.device,
    note: Note = ignore,
) -> dict[str, float]:
    """mIoU of the segmentation and F1 of the tags, 0 to 1, of images resized as for training; logged."""
    side, limit = side_of(size, network.patch_size), config.run.val_limit
    loader = score_loader(scored, side, config.run.val_batch, config.run.workers, limit, device=device)
    count = min(len(scored), limit or len(scored))
    validation = Validation(("frozen",), ("segmentation",), len(scored.classes), CamConfig()).to(device)
    network.to(device)
    with progress(count, "scoring", note=note) as bar:
        for batch in loader:
            images = network.normalise(batch.images.to(device))
            validation.update("frozen", network, images, replace(batch, tags=batch.tags.to(device)), PLAIN)
            bar.update(len(batch.masks))
    scores = {f"val/{name}": value for name, value in validation.compute().items()}
    tag_f1 = scores.get("val/frozen/tag_f1")  # absent where no image's tags are known
    shown = "" if tag_f1 is None else f", tag F1 {100 * tag_f1:.1f} %"
    logger.info("%d images scored: segmentation %.1f %% mIoU%s", count, 100 * scores["val/frozen/segmentation"], shown)
    return scores
