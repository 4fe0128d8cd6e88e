"""The ways to do a training step that ``step.py`` compares: fast, plain, and as published; and what they are fed."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import step_published as published
import tagseg.training.module as module_file
import tagseg.training.step as step_file
from step_measure import Parts
from tagseg import presets
from tagseg.config import Config, replace
from tagseg.data import sources
from tagseg.data.loaders import Batch, training_loader
from tagseg.model.teacher import update_teacher
from tagseg.training.module import FSR
from tagseg.training.optimiser import parameter_groups
from tagseg.training.speed import prepare

SHARED = Path(__file__).resolve().parents[2] / "shared"
PHOTOS = SHARED / "data" / "voc20mix"
TINY = SHARED / "weights" / "deit_tiny_patch16_224.safetensors"
ENCODERS = {
    "tiny": "deit_tiny_patch16_224",
    "small": "deit_small_patch16_224",
    "base": "vit_base_patch16_224.augreg_in21k_ft_in1k",
}
LATE = 19_000
"""A step at which everything is on, of 20,000."""


@dataclass
class Way:
    """One way to do a step.

    Attributes:
        name: ``fast``, ``plain`` or ``published``.
        fsr: its own networks.
        optimiser: theirs.
        losses: batch → weighted sum and terms.
        average: teacher, student, momentum → nothing.
        autocast: whether bf16 is used.
    """

    name: str
    fsr: FSR
    optimiser: torch.optim.Optimizer
    losses: Callable[[Batch], tuple[Tensor, dict[str, Tensor]]]
    average: Callable[..., None]
    autocast: bool = False

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted sum and terms."""
        with torch.autocast(batch.view1.device.type, torch.bfloat16, enabled=self.autocast):
            return self.losses(batch)

    def step(self, batch: Batch, parts: Parts) -> None:
        """Losses, backward, optimiser, teacher."""
        total, _ = self.forward(batch)
        with parts.part("backward"):
            total.backward()
        with parts.part("optimiser"):
            self.optimiser.step()
            self.optimiser.zero_grad()
        with parts.part("EMA"):
            self.average(self.fsr.teacher, self.fsr.student, 0.9995)


def configuration(size: str, pixels: int, batch: int, workers: int) -> Config:
    """The published recipe at a size; full CAM scales."""
    weights = str(TINY) if size == "tiny" and TINY.exists() else "none"
    return replace(
        presets.voc2012(),
        data={"source": "folder", "root": str(PHOTOS)},
        network={"encoder": ENCODERS[size], "weights": weights},
        views={"size": pixels},
        mask={"block": pixels // 7},
        run={"batch": batch, "workers": workers},
    )


def batches(config: Config) -> Iterator[Batch]:
    """Batches of photos, or of noise with two tags each."""
    if PHOTOS.exists():
        yield from training_loader(sources.load(config.data, "train", masks=False), config)
    generator = torch.Generator().manual_seed(0)
    count, size = config.run.batch, config.views.size
    while True:
        views = torch.randint(0, 256, (2, count, 3, size, size), dtype=torch.uint8, generator=generator)
        tags = torch.zeros(count, 20).scatter_(1, torch.rand(count, 20, generator=generator).argsort(1)[:, :2], 1)
        seeds = torch.randint(0, 2**60, (count,), generator=generator)
        yield Batch(views[0], views[1], views.new_zeros(count, 0, 3, 8, 8), tags, seeds, views.new_zeros(count, 0, 0))


def to_device(batch: Batch, device: torch.device) -> Batch:
    """A copy of the batch on a device."""
    return Batch(**{name: value.to(device, non_blocking=True) for name, value in vars(batch).items()}).augmented()


def make_way(name: str, config: Config, arguments: argparse.Namespace, device: torch.device) -> Way:
    """The ``fast``, the ``plain`` or the ``published`` way; all have the same weights."""
    torch.manual_seed(0)
    fsr = FSR(config, tuple(f"class {index}" for index in range(20))).to(device).train()
    settings = config.optimiser
    groups = parameter_groups(fsr.student, settings.rate, settings.head_factor, settings.weight_decay)
    if name == "published":
        for layer in fsr.modules():
            if hasattr(layer, "fused_attn"):
                layer.fused_attn = False  # type: ignore[assignment]

        def theirs(batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
            return published.published_losses(fsr, batch, LATE)

        return Way(name, fsr, published.make_optimiser(groups), theirs, published.update_teacher)
    speed = {"step": name} if name == "plain" else {"compile": arguments.compile, "checkpoint": arguments.checkpoint}
    fsr.config = replace(config, speed=speed)
    prepare(fsr.student, fsr.teacher, fsr.config.speed)

    def ours(batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        found = fsr.losses(batch, LATE)
        return found.total, found.terms

    bf16 = name == "fast" and arguments.precision == "bf16"
    return Way(name, fsr, torch.optim.AdamW(groups, fused=True), ours, update_teacher, bf16)


def watched(way: Way) -> list[tuple[Any, str, str]]:
    """The functions whose time is told apart, and what each is called in the table."""
    own = published if way.name == "published" else step_file
    student, teacher = way.fsr.student, way.fsr.teacher
    common = [
        (own, "classification_loss", "L_cls"),
        (own, "affinity_loss", "L_aff"),
        (own, "uncertain_loss", "L_unc"),
        (own, "certain_loss", "L_cer"),
        (student.projector, "forward", "projections"),
        (teacher.projector, "embed" if way.name == "fast" else "forward", "projections"),
        (student.decoder, "forward", "decoder"),
        (own, "encode_student", "student") if way.name == "fast" else (student.encoder, "forward", "student"),
    ]
    if way.name == "published":
        return [
            *common,
            (own, "multi_scale_cams", "CAMs"),
            (own, "refined_labels", "PAR and labels"),
            (own, "segmentation_loss", "L_seg"),
            (own, "energy_on_host", "L_reg"),
            (teacher.encoder, "forward", "teacher"),
        ]
    return [
        *common,
        (module_file, "present_aux_cam", "CAM 1 (view 2, mask)"),
        (own, "present_cam", "CAM 2 (view 1, labels)"),
        (module_file, "refined_label", "PAR and labels"),
        (own, "dense_losses", "L_seg and L_reg"),
        (own, "encode", "teacher"),
    ]
