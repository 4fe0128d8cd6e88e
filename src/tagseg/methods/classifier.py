"""A plain classifier as a method: L_cls alone. Its CAM is the baseline of weakly supervised methods."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch

from tagseg.beyond.linear_probe import fit_classifiers
from tagseg.config import Config
from tagseg.data.batch import Batch
from tagseg.data.dataset import TaggedImages
from tagseg.fsr.losses import Outputs, StepLosses, classification_loss
from tagseg.methods.config import ClassifierConfig
from tagseg.methods.method import Method
from tagseg.model.network import Network
from tagseg.model.start import start_from


class Classifier(Method):
    """The network of FSR, of which only encoder and classifiers are trained."""

    SCORED: ClassVar[tuple[str, ...]] = ("cam", "aux_cam")

    def __init__(self, config: Config, classes: tuple[str, ...]) -> None:
        super().__init__(config)
        assert isinstance(config.method, ClassifierConfig)  # ``build`` chose this class by it
        if config.beyond.start_share:
            config.beyond.refuse("start_share", config.beyond.start_share, "0 with the method classifier")
        self.cam, self.optimiser = config.method.cam, config.method.optimiser
        self.network = Network(config.network, classes, config.beyond.pool)

    @property
    def networks(self) -> dict[str, Network]:
        """The one network."""
        return {"network": self.network}

    def before_first_step(
        self, images: TaggedImages, folder: Path, device: torch.device, resumed: bool, keep: bool
    ) -> TaggedImages:
        """The weights to start from, or classifiers fitted to the pretrained features, as configured."""
        if self.config.network.start and not resumed:
            start_from(self.network, self.config.network.start)
        elif self.config.beyond.fit_classifiers and not resumed:
            fit_classifiers(self.network, images, self.config.views.size, self.config.run, device)
        return images

    def losses(self, batch: Batch, step: int) -> StepLosses:
        """L_cls of view 1."""
        batch = batch.augmented()
        images = self.network.normalise(batch.view1)
        features = self.ops.encode_student(self.network, images, None, batch.drop_path_seeds[:, 0].tolist())
        logits, aux_logits = self.network.classify(features)
        terms = {"classification": classification_loss(logits, aux_logits, batch.tags)}
        return StepLosses.of(terms, {"classification": 1.0}, {}, Outputs(logits, features.patches))
