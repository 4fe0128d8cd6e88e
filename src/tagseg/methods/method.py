"""What a training asks of a method: its networks, the losses of a batch, and what to score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from tagseg.config import Config
from tagseg.data.batch import Batch
from tagseg.data.dataset import TaggedImages
from tagseg.fsr.config import CamConfig, OptimiserConfig
from tagseg.fsr.losses import StepLosses
from tagseg.fsr.step import Ops
from tagseg.methods.tables import Table
from tagseg.model.network import Network


class Method(nn.Module, ABC):
    """A method that is trained; docs/how_to_add.md shows how to add one.

    Attributes:
        config: the resolved configuration.
        cam: how CAMs are scored while training.
        optimiser: AdamW and its learning rate.
        SCORED: the maps that are trained, and so scored; the first one decides which network is best.
    """

    SCORED: ClassVar[tuple[str, ...]] = ("segmentation", "cam", "aux_cam")

    cam: CamConfig
    optimiser: OptimiserConfig

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.table = Table(config)

    @property
    def ops(self) -> Ops:
        """The operations, plain or faster, that the configuration asks for."""
        return self.table.ops

    @property
    @abstractmethod
    def networks(self) -> dict[str, Network]:
        """The networks to score and to save, by name; the first is the one that the optimiser trains."""

    def before_losses(self, parts: Sequence[Batch], step: int) -> list[Batch]:
        """The parts of a step's batch with what their losses have to know of the whole batch; as they are by default.

        Called once a step, before the losses of the first part. Losses that are means over images need nothing of it.

        Args:
            parts: with equally many images each, augmented; one where nothing is accumulated.
            step: number of the step.
        """
        return list(parts)

    @abstractmethod
    def losses(self, batch: Batch, step: int) -> StepLosses:
        """The losses of a batch that is on the networks' device, or of a part of one from ``before_losses``.

        The mean over the parts, and over processes, has to be the loss of the whole batch.
        """

    def before_first_step(
        self, images: TaggedImages, folder: Path, device: torch.device, resumed: bool, keep: bool
    ) -> TaggedImages:
        """The images to train on, with labels where the method makes them beforehand.

        Args:
            images: the training images.
            folder: of the run, for what is made.
            device: where networks run.
            resumed: a checkpoint's weights are loaded afterwards.
            keep: keep what another process or an earlier start of this run has made.
        """
        return images

    def on_device(self, device: torch.device) -> None:
        """Called when the networks are on their device; raises ``TagsegError`` for settings that cannot work there."""
        self.table.on_device(list(self.networks.values()))

    def after_step(self, step: int) -> None:
        """Called after each step of the optimiser."""

    def health(self) -> dict[str, Tensor]:
        """Numbers () worth a curve, by name, that belong to no batch; logged as ``distillation/NAME``."""
        return {}

    @property
    def answer(self) -> str:
        """The name of the network that ``last.safetensors`` holds, the one to predict with; by default the first."""
        return next(iter(self.networks))

    @property
    def trained(self) -> Network:
        """The network that the optimiser trains."""
        return next(iter(self.networks.values()))
