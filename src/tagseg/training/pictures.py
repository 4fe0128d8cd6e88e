"""Pictures while training by steps: the same few photos through time, a row each (docs/training_logs.md)."""

from __future__ import annotations

import logging
import time
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from tagseg.data.dataset import TaggedImages
from tagseg.data.seeds import seed_of
from tagseg.errors import TagsegError
from tagseg.fsr.config import FSRConfig
from tagseg.fsr.schedules import mask_choice
from tagseg.reporting.method_maps import Maps, Photos, cam_maps, decoder_logits, fsr_maps
from tagseg.reporting.pictures import GridRow, grid_picture
from tagseg.training.fixed_photos import (
    CELL,
    NAME,
    FixedPhoto,
    even_steps,
    fixed_samples,
    read_fixed,
    square_images,
)
from tagseg.training.loggers import log_picture
from tagseg.training.module import TrainingModule
from tagseg.training.pace import Pace
from tagseg.training.shown_maps import shown_cam, shown_labels, shown_prediction

logger = logging.getLogger("tagseg")

MOST = 0.01
"""Share of the time that pictures at scorings may take; those that were asked for by number are always made."""


class Pictures(Callback):
    """Logs a picture at evenly spaced steps and at scorings, in the first process alone.

    It reads networks and draws no random numbers, so a training is the same with and without, and has no state of its
    own to resume. What cannot be read or drawn is told once and ends the pictures, never the training.

    Args:
        count: pictures at evenly spaced steps, the first before the first step, the last after the last.
        every: steps between two scorings; 0: nothing is scored.
        pace: of the training, from which pictures are left out.
    """

    def __init__(self, count: int, every: int, pace: Pace) -> None:
        self.count, self.every, self.pace = count, every, pace
        self.due: frozenset[int] = frozenset()
        self.photos: tuple[FixedPhoto, ...] = ()
        self.inputs: Photos | None = None
        self.step, self.begun, self.spent = 0, 0.0, 0.0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Choose and read the photos."""
        self.step, self.begun, self.spent = trainer.global_step, time.monotonic(), 0.0
        self.due = even_steps(self.count, trainer.max_steps)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if trainer.is_global_zero:
            self._try(lambda: self._choose(data.training, data.scored, pl_module))
        if trainer.global_step == 0 and 0 in self.due:
            self._try(lambda: self._draw(trainer, pl_module))

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """Draw after a step that is due."""
        step = trainer.global_step
        if step == self.step:  # a part of an accumulated step
            return
        self.step = step
        scored = self.every > 0 and step % self.every == 0
        affordable = self.spent <= MOST * (time.monotonic() - self.begun)
        if step in self.due or (scored and affordable):
            self._try(lambda: self._draw(trainer, pl_module))

    def _try(self, act: Any) -> None:
        began = time.monotonic()
        try:
            act()
        except (OSError, TagsegError) as error:
            self.photos = ()
            logger.warning("no more pictures of photos (%s); the training goes on without them", error)
        took = time.monotonic() - began
        self.spent += took
        self.pace.pause(took)

    def _choose(self, training: TaggedImages, scored: TaggedImages | None, module: TrainingModule) -> None:
        config = module.config
        samples = fixed_samples(training, scored)
        if not samples:
            return
        images, tags = square_images(samples, training.classes, config.views.size)
        seeds = tuple(seed_of(config.run.seed, index) for index in range(len(samples)))
        self.inputs = Photos(images.to(module.device), tags.to(module.device), seeds)
        self.photos = read_fixed(samples)

    def _draw(self, trainer: Trainer, module: TrainingModule) -> None:
        if not self.photos or self.inputs is None:
            return
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            rows = rows_of(module, self.photos, self.inputs, trainer.global_step)
        picture = grid_picture(rows, module.method.trained.classes, CELL)
        log_picture(trainer.loggers, NAME, picture, trainer.global_step)


def rows_of(module: TrainingModule, photos: tuple[FixedPhoto, ...], inputs: Photos, step: int) -> list[GridRow]:
    """The rows of a picture, with what the method has: CAM, of FSR all its maps, the segmentation of each network."""
    method, config = module.method, module.config
    settings = config.method
    if isinstance(settings, FSRConfig):
        choice = mask_choice(step, config.run.steps, settings.mask)
        maps = fsr_maps(method.trained, inputs, settings, method.ops, choice, config.beyond.labels == "cam")
    else:
        maps = cam_maps(method.trained, inputs, method.cam, method.ops)
    networks = method.networks if "segmentation" in method.SCORED else {}
    logits = list(decoder_logits(networks, inputs.images).values())
    return [_row(photo, method.trained.classes, maps, logits, index) for index, photo in enumerate(photos)]


def _row(photo: FixedPhoto, classes: tuple[str, ...], maps: Maps, logits: list[torch.Tensor], index: int) -> GridRow:
    size = photo.image.shape[:2]
    label = photo.label
    if label is None and maps.pseudo_label is not None:
        label = shown_labels(maps.pseudo_label[index], size)
    predictions = [shown_prediction(one[index], size) for one in logits]
    return GridRow(
        image=photo.image,
        tags=tuple(classes[tag] for tag in photo.sample.tags),
        cam=shown_cam(maps.cam[index], size),
        regions=None if maps.regions is None else shown_labels(maps.regions[index], size),
        masked=None if maps.masked is None else maps.masked[index].cpu().numpy(),
        pseudo_label=label,
        prediction=predictions[0] if predictions else None,
        teacher=predictions[1] if len(predictions) > 1 else None,
        truth=photo.truth,
    )
