"""FSR as a method that can be trained: student, teacher and centres around ``fsr.step``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from tagseg.beyond.decoder_start import scale_last_layer
from tagseg.beyond.linear_probe import fit_classifiers
from tagseg.beyond.network_labels import network_labels, network_origin
from tagseg.beyond.offline_labels import boundary_origin, ground_truth_labels, missing_labels, offline_labels
from tagseg.beyond.weight_average import set_to_average
from tagseg.config import Config
from tagseg.data.batch import Batch
from tagseg.data.dataset import TaggedImages
from tagseg.fsr.distillation import Centres
from tagseg.fsr.losses import StepLosses
from tagseg.fsr.schedules import teacher_momentum
from tagseg.fsr.step import State, SupervisedBatch, student_losses, supervise
from tagseg.methods.method import Method
from tagseg.model.network import Network
from tagseg.model.start import start_from
from tagseg.model.teacher import make_teacher, update_teacher
from tagseg.pairwise.bilateral import choose
from tagseg.pairwise.exact import check_size


class FSR(Method):
    """Progressive feature self-reinforcement.

    Args:
        config: the resolved configuration.
        classes: names of the K foreground classes.
    """

    def __init__(self, config: Config, classes: tuple[str, ...]) -> None:
        super().__init__(config)
        self.settings = config.fsr
        self.cam, self.optimiser = self.settings.cam, self.settings.optimiser
        self.student = Network(config.network, classes, config.beyond.pool)
        scale_last_layer(self.student.decoder, config.beyond.decoder_start)
        self.centres = Centres(config.network.prototypes, self.settings.distillation.centre_momentum)
        self.means: Tensor | None = None
        self.start: Network | None = None
        self.average: Network | None = None
        self._copy_student()

    def _copy_student(self) -> None:
        """Let all that begins as a copy of the student be one."""
        self.teacher = make_teacher(self.student)
        if self.config.beyond.start_share:
            self.start, self.average = make_teacher(self.student), make_teacher(self.student)

    @property
    def networks(self) -> dict[str, Network]:
        """Student and teacher, and their average with the start where one is asked for."""
        both = {"student": self.student, "teacher": self.teacher}
        return both if self.average is None else both | {"average": self.average}

    @property
    def answer(self) -> str:
        """The student, or its average with the start."""
        return "student" if self.average is None else "average"

    def train(self, mode: bool = True) -> FSR:
        """Switch the student's drop path; no other network ever has any."""
        super().train(mode)
        for name, network in self.networks.items():
            network.train(mode and name == "student")
        return self

    def before_first_step(
        self, images: TaggedImages, folder: Path, device: torch.device, resumed: bool, keep: bool
    ) -> TaggedImages:
        """As configured: weights to start from, labels that are made before the first step, fitted classifiers."""
        beyond, run, start, place = self.config.beyond, self.config.run, self.config.network.start, folder / "labels"
        if start and (not resumed or self._makes_labels(images, place, keep)):
            start_from(self.student, start)
            self._copy_student()
        if beyond.labels == "masks":
            images = ground_truth_labels(images)
        elif beyond.labels == "boundary":
            images = offline_labels(self.student, images, beyond, run, place, device, keep)
        elif beyond.labels == "network":
            images = network_labels(self.student, images, self.config.views.size, run, place, device, keep)
        if beyond.fit_classifiers and not start and not resumed:
            fit_classifiers(self.student, images, self.config.views.size, run, device)
            self._copy_student()
        return images

    def _makes_labels(self, images: TaggedImages, folder: Path, keep: bool) -> bool:
        """Whether label maps of some images are to be made."""
        if self.config.beyond.labels == "boundary":
            origin = boundary_origin(self.student, images, self.config.beyond)
        elif self.config.beyond.labels == "network":
            origin = network_origin(self.student, images, self.config.views.size)
        else:
            return False
        return bool(missing_labels(images, folder, keep, origin))

    def on_device(self, device: torch.device) -> None:
        """Compile; refuse at once what would fail late: an exact energy too large for a CPU."""
        super().on_device(device)
        points = (self.config.views.size // 2) ** 2
        if self.settings.losses.energy and choose(self.settings.energy.method, points, device.type) == "exact":
            check_size(points, device.type)

    def before_losses(self, parts: Sequence[Batch], step: int) -> list[Batch]:
        """Masks, the teacher's projections and labels of all parts: the losses of each divide by counts of all."""
        state, steps = State(self.student, self.teacher, self.centres), self.config.run.steps
        ops = self.table.for_step(self.student)
        supervised, self.means = supervise(state, parts, step, steps, self.settings, ops)
        return list(supervised)

    def losses(self, batch: Batch, step: int) -> StepLosses:
        """The losses of one step, or of a part of it that ``before_losses`` has returned."""
        if not isinstance(batch, SupervisedBatch):
            (batch,) = self.before_losses([batch.augmented()], step)
        assert isinstance(batch, SupervisedBatch)  # for the type checker
        return student_losses(self.student, batch, step, self.config.run.steps, self.settings, self.ops)

    def health(self) -> dict[str, Tensor]:
        """How far the teacher's centres are from 0."""
        return {"token_centre_norm": self.centres.token.norm(), "patch_centre_norm": self.centres.patch.norm()}

    def after_step(self, step: int) -> None:
        """The centres follow the teacher's projections, the teacher the student. A step that is cut off moves none."""
        if self.means is not None:
            self.centres.move(self.means)
            self.means = None
        first, last = self.settings.distillation.teacher_momentum
        update_teacher(self.teacher, self.student, teacher_momentum(step, self.config.run.steps, first, last))
        if self.start is not None and self.average is not None:
            set_to_average(self.average, self.start, self.student, self.config.beyond.start_share)
