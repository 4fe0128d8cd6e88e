"""The forms of a training step that ``step.py`` compares (fast, plain, published), and the batches they get."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch

from shared import PHOTOS, WEIGHTS, stop
from step_measure import Parts, products
from tagseg import presets
from tagseg.config import Config, replace
from tagseg.data import sources
from tagseg.data.batch import Batch
from tagseg.data.loaders import training_loader
from tagseg.data.seeds import seed_of
from tagseg.fast.bilateral import lattice_scale_filter
from tagseg.fsr.losses import StepLosses
from tagseg.fsr.step import Ops, State, training_step
from tagseg.methods.fsr import FSR
from tagseg.model.teacher import update_teacher
from tagseg.training.optimiser import parameter_groups

# isort: split
# ``shared`` has put the repository's root on the path.
from tests.reference import published_step as published

ENCODERS = {
    "tiny": "deit_tiny_patch16_224",
    "small": "deit_small_patch16_224",
    "base": "vit_base_patch16_224.augreg_in21k_ft_in1k",
}
FORMS, PRECISIONS = ("fast", "plain", "published"), ("32", "tf32", "bf16")
"""A way is a form, optionally with a precision: ``published-tf32``."""
STEPS, LATE = 20_000, 19_000
"""Length of the training, and a step at which all losses are on."""
OPERATIONS = {
    "auxiliary_cam": "CAM 1 (view 2, mask)",
    "cams": "CAM 2 (view 1, labels)",
    "encode_student": "student",
    "project_teacher": "teacher",
    "pseudo_label": "PAR and labels",
    "dense_losses": "L_seg and L_reg",
}
"""The operations of the table whose time is measured, and their names in the output."""
PUBLISHED_PARTS = {
    "multi_scale_cams": "CAMs",
    "refined_labels": "PAR and labels",
    "segmentation_loss": "L_seg",
    "energy_on_host": "L_reg",
}
"""The same for functions of the published step."""


@dataclass
class Way:
    """One form of the step.

    Attributes:
        form: ``fast``, ``plain`` or ``published``.
        fsr: its networks.
        optimiser: of its student.
        losses: batch and where parts are timed → losses.
        average: the teacher's update: teacher, student, momentum → nothing.
        precision: ``32``, ``tf32`` or ``bf16``; of matrix products, convolutions are as PyTorch has them.
    """

    form: str
    fsr: FSR
    optimiser: torch.optim.Optimizer
    losses: Callable[[Batch, Parts], StepLosses]
    average: Callable[..., None]
    precision: str = "32"

    def forward(self, batch: Batch, parts: Parts) -> StepLosses:
        """The losses of a batch."""
        bf16 = self.precision == "bf16"
        with products(self.precision), torch.autocast(batch.view1.device.type, torch.bfloat16, enabled=bf16):
            return self.losses(batch, parts)

    def step(self, batch: Batch, parts: Parts) -> None:
        """Losses, backward pass, optimiser, teacher."""
        total = self.forward(batch, parts).total
        with parts.part("backward"), products(self.precision):
            total.backward()
        with parts.part("optimiser"):
            self.optimiser.step()
            self.optimiser.zero_grad()
        with parts.part("EMA"):
            self.average(self.fsr.teacher, self.fsr.student, 0.9995)

    def watching(self, parts: Parts) -> AbstractContextManager[None]:
        """Inside, the time of heads and, of the published step, of encoders and functions is measured too."""
        student, teacher = self.fsr.student, self.fsr.teacher
        places: list[tuple[Any, str, str]] = [
            (student.decoder, "forward", "decoder"),
            (student.projector, "forward", "projections of the student"),
        ]
        if self.form == "published":
            places += [(published, function, name) for function, name in PUBLISHED_PARTS.items()]
            places += [(student.encoder, "forward", "student")]
            places += [(teacher.encoder, "forward", "teacher"), (teacher.projector, "forward", "teacher")]
        return parts.watching(places)


def configuration(size: str, pixels: int, batch: int, workers: int) -> Config:
    """The published recipe at a size, with three CAM scales."""
    weights = str(WEIGHTS) if size == "tiny" and WEIGHTS.exists() else "none"
    return replace(
        presets.voc2012(),
        data={"source": "folder", "root": str(PHOTOS)},
        network={"encoder": ENCODERS[size], "weights": weights},
        views={"size": pixels},
        mask={"block": pixels // 7},
        run={"batch": batch, "workers": workers, "steps": STEPS},
    )


def batches(config: Config) -> Iterator[Batch]:
    """Batches of photos, or of noise with two tags each where there are no photos."""
    run = config.run
    if PHOTOS.exists():
        images = sources.load(config.data, "train", masks=False)
        yield from training_loader(images, config.views, batch=run.batch, seed=run.seed, workers=run.workers)
    generator = torch.Generator().manual_seed(0)
    count, size = run.batch, config.views.size
    while True:
        views = torch.randint(0, 256, (2, count, 3, size, size), dtype=torch.uint8, generator=generator)
        tags = torch.zeros(count, 20).scatter_(1, torch.rand(count, 20, generator=generator).argsort(1)[:, :2], 1)
        seeds = torch.randint(0, 2**60, (count,), generator=generator)
        drop_path_seeds = torch.tensor([[seed_of(seed, view) for view in (1, 2)] for seed in seeds.tolist()])
        local, label = views.new_zeros(count, 0, 3, 8, 8), views.new_zeros(count, 0, 0)
        yield Batch(views[0], views[1], local, tags, seeds, drop_path_seeds, label)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device, as the training has it there."""
    return batch.to(device).augmented()


def form_and_precision(name: str, precision: str) -> tuple[str, str]:
    """``published-tf32`` → ``published`` and ``tf32``; without a precision in the name, ``fast`` has the given one.

    Raises:
        SystemExit: no such form or precision.
    """
    form, _, own = name.partition("-")
    if form not in FORMS or own not in ("", *PRECISIONS) or (own == "bf16" and form != "fast"):
        stop(f"no way {name!r}: expected {', '.join(FORMS)}, each also with -32 or -tf32, and fast-bf16")
    return form, own or (precision if form == "fast" else "32")


def make_way(name: str, config: Config, arguments: argparse.Namespace, device: torch.device) -> Way:
    """A form by its name, which may end in a precision; all have the same weights."""
    form, precision = form_and_precision(name, arguments.precision)
    speed = {"compile": arguments.compile, "checkpoint": arguments.checkpoint} if form == "fast" else {"step": "plain"}
    torch.manual_seed(0)
    fsr = FSR(replace(config, speed=speed), tuple(f"class {index}" for index in range(20))).to(device).train()
    fsr.on_device(device)
    state = State(fsr.student, fsr.teacher, fsr.centres)
    groups = parameter_groups(fsr.student, config.fsr.optimiser)
    if form == "published":
        for layer in fsr.modules():
            if hasattr(layer, "fused_attn"):
                layer.fused_attn = False  # type: ignore[assignment]

        def published_losses(batch: Batch, _: Parts) -> StepLosses:
            # Published implementations compile the energy's filter, too.
            return published.published_step(state, batch, LATE, STEPS, config.fsr, lattice_scale_filter)

        optimiser = published.make_optimiser(groups)
        return Way(form, fsr, optimiser, published_losses, published.update_teacher, precision)

    def losses(batch: Batch, parts: Parts) -> StepLosses:
        ops = timed_ops(fsr.table.for_step(fsr.student), parts)
        return training_step(state, batch, LATE, STEPS, config.fsr, ops)

    return Way(form, fsr, torch.optim.AdamW(groups, fused=True), losses, update_teacher, precision)


def timed_ops(ops: Ops, parts: Parts) -> Ops:
    """A table whose operations count their time."""
    functions: dict[str, Any] = {field: parts.timed(getattr(ops, field), name) for field, name in OPERATIONS.items()}
    return dataclasses.replace(ops, **functions)
