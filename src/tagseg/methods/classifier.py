"""A plain classifier as a method: L_cls alone. Its CAM is the baseline of weakly supervised methods."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch

from tagseg.beyond.linear_probe import fit_classifiers
from tagseg.config import Config
from tagseg.data.batch import Batch
from tagseg.data.dataset import TaggedImages
from tagseg.fsr.losses import StepLosses, classification_loss
from tagseg.methods.config import ClassifierConfig
from tagseg.methods.method import Method
from tagseg.model.network import Network


class Classifier(Method):
    """The network of FSR, of which only encoder and classifiers are trained."""

    SCORED: ClassVar[tuple[str, ...]] = ("cam", "aux_cam")

    def __init__(self, config: Config, classes: tuple[str, ...]) -> None:
        super().__init__(config)
        assert isinstance(config.method, ClassifierConfig)  # ``build`` chose this class by it
        self.cam, self.optimiser = config.method.cam, config.method.optimiser
        self.network = Network(config.network, classes, config.beyond.pool)

    @property
    def networks(self) -> dict[str, Network]:
        """The one network."""
        return {"network": self.network}

    def before_first_step(
        self, images: TaggedImages, folder: Path, device: torch.device, resumed: bool, keep: bool
    ) -> TaggedImages:
        """Fit the classifiers to the pretrained features, where the configuration asks for it."""
        if self.config.beyond.fit_classifiers and not resumed:
            fit_classifiers(self.network, images, self.config.views.size, self.config.run, device)
        return images

    def losses(self, batch: Batch, step: int) -> StepLosses:
        """L_cls of view 1."""
        batch = batch.augmented()
        images = self.network.normalise(batch.view1)
        features = self.ops.encode_student(self.network, images, None, batch.drop_path_seeds[:, 0].tolist())
        terms = {"classification": classification_loss(*self.network.classify(features), batch.tags)}
        return StepLosses.of(terms, {"classification": 1.0}, {})
