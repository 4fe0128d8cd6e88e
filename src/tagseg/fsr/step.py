"""One training step of FSR in the paper's order (section 5 of docs/method.md).

It has two halves: what needs no gradient (mask, teacher, labels), then the student and its losses. So a batch can be
taken in parts (gradient accumulation): the losses of a part divide by counts of the whole batch, which the first half
gives, and no two parts of the second lie in memory at once.

The operations that have a faster form are an argument. ``PLAIN``, below, is the method as it reads in this folder;
``tagseg.fast.ops`` holds the same operations, faster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tagseg.data.batch import Batch
from tagseg.fsr.cam import CamClasses, Cams, ChooseClasses, all_classes, auxiliary_cam, multi_scale_cam
from tagseg.fsr.config import DistillationConfig, EnergyConfig, FSRConfig, LabelConfig, MaskConfig
from tagseg.fsr.distillation import (
    Centres,
    Targets,
    TeacherProjections,
    certain_loss,
    health_of,
    project_teacher,
    published_targets,
    uncertain_loss,
)
from tagseg.fsr.losses import (
    Outputs,
    StepLosses,
    affinity_loss,
    classification_loss,
    dense_losses,
    pair_counts,
    pixel_counts,
)
from tagseg.fsr.masking import draw_mask, masked_places
from tagseg.fsr.partition import UNCERTAIN, partition
from tagseg.fsr.pseudo_labels import patch_label, pseudo_label
from tagseg.fsr.schedules import loss_weights, mask_choice
from tagseg.model.encoder import Features
from tagseg.model.network import Network

Images = Float[Tensor, "B 3 H W"]
Mask = Bool[Tensor, "B h w"]


def encode_student(student: Network, images: Images, mask: Mask | None, seeds: Sequence[int]) -> Features:
    """Features of normalised images, with gradient; ``mask``: True is masked; ``seeds``: of each image's drop path."""
    features: Features = student.encoder(images, mask, seeds)
    return features


@dataclass(frozen=True)
class Ops:
    """The operations of a step that have a plain and a faster form. Each field names its plain function."""

    cam_classes: ChooseClasses
    """``cam.all_classes``: the classes whose maps are computed."""
    auxiliary_cam: Callable[[Network, Tensor, Sequence[float], CamClasses], Tensor]
    """``cam.auxiliary_cam``."""
    draw_mask: Callable[[Tensor, Tensor | None, tuple[int, int], int, MaskConfig, torch.device], Mask]
    """``masking.draw_mask``."""
    masked_places: Callable[[Mask, tuple[int, int], int, MaskConfig], Tensor]
    """``masking.masked_places``."""
    cams: Callable[[Network, Tensor, Sequence[float], CamClasses], Cams]
    """``cam.multi_scale_cam``."""
    encode_student: Callable[[Network, Tensor, Tensor | None, Sequence[int]], Features]
    """``encode_student``."""
    project_teacher: Callable[[Network, Tensor, Tensor, Tensor], TeacherProjections]
    """``distillation.project_teacher``."""
    targets: Callable[[Centres, TeacherProjections, int, int, DistillationConfig], Targets]
    """``distillation.published_targets``."""
    patch_label: Callable[[Tensor, Tensor, tuple[int, int], LabelConfig], Tensor]
    """``pseudo_labels.patch_label``."""
    pseudo_label: Callable[[Tensor, Tensor, Tensor, LabelConfig], Tensor]
    """``pseudo_labels.pseudo_label``."""
    dense_losses: Callable[[Tensor, Tensor, Tensor, EnergyConfig | None, Tensor | None], dict[str, Tensor]]
    """``losses.dense_losses``."""


PLAIN = Ops(
    cam_classes=all_classes,
    auxiliary_cam=auxiliary_cam,
    draw_mask=draw_mask,
    masked_places=masked_places,
    cams=multi_scale_cam,
    encode_student=encode_student,
    project_teacher=project_teacher,
    targets=published_targets,
    patch_label=patch_label,
    pseudo_label=pseudo_label,
    dense_losses=dense_losses,
)


@dataclass
class State:
    """What a step reads; it changes nothing but the centres."""

    student: Network
    teacher: Network
    centres: Centres


def training_step(state: State, batch: Batch, step: int, steps: int, config: FSRConfig, ops: Ops = PLAIN) -> StepLosses:
    """The losses of one step.

    Args:
        state: student, teacher and centres; the centres move.
        batch: views, tags and seeds, on the networks' device.
        step: its number; schedules follow it.
        steps: length of the training.
        config: settings of the method.
        ops: plain or faster operations.
    """
    (whole,), means = supervise(state, [batch], step, steps, config, ops)
    losses = student_losses(state.student, whole, step, steps, config, ops)
    if means is not None:
        state.centres.move(means)
    return losses


@dataclass
class Supervision:
    """What the losses of a batch hold the student against; no gradient flows into it. ``None``: no loss reads it.

    Attributes:
        mask: (B, h, w) masked patches of view 2.
        masked: (M,) int64, their places among the B · h · w patches.
        teacher: its projections of both views.
        targets: what those are centred with and divided by.
        patch_label: (B, h, w) of view 1, for L_aff.
        label: (B, H, W) of view 1, for L_seg and L_reg.
        pairs: ``losses.pair_counts`` of all parts of the batch.
        pixels: ``losses.pixel_counts`` of all parts of the batch.
    """

    mask: Mask | None = None
    masked: Tensor | None = None
    teacher: TeacherProjections | None = None
    targets: Targets | None = None
    patch_label: Tensor | None = None
    label: Tensor | None = None
    pairs: Tensor | None = None
    pixels: Tensor | None = None


@dataclass
class SupervisedBatch(Batch):
    """A batch, or a part of one, and what its losses hold the student against."""

    supervision: Supervision


@torch.no_grad()
def supervise(
    state: State, parts: Sequence[Batch], step: int, steps: int, config: FSRConfig, ops: Ops = PLAIN
) -> tuple[list[SupervisedBatch], Float[Tensor, "2 P"] | None]:
    """The first half of a step: all that needs no gradient, of all parts of a batch.

    Args:
        state: nothing of it changes.
        parts: of the batch, with equally many images each; one part is the batch as a whole.
        step: number of the step.
        steps: length of the training.
        config: settings of the method.
        ops: plain or faster operations.

    Returns:
        The parts, supervised, and the means that the centres are to move towards once the step is done, if any.
    """
    each = [supervision_of(state, part, step, steps, config, ops) for part in parts]
    teachers = [one.teacher for one in each if one.teacher is not None]
    patch_labels = [one.patch_label for one in each if one.patch_label is not None]
    labels = [one.label for one in each if one.label is not None]
    # What the losses have to know of the whole batch.
    teacher = TeacherProjections.joined(teachers) if teachers else None
    targets = ops.targets(state.centres, teacher, step, steps, config.distillation) if teacher else None
    pairs = pair_counts(patch_labels) if patch_labels else None
    pixels = pixel_counts(labels) if labels else None
    each = [replace(one, targets=targets, pairs=pairs, pixels=pixels) for one in each]
    supervised = [SupervisedBatch(**vars(part), supervision=one) for part, one in zip(parts, each, strict=True)]
    return supervised, state.centres.means_of(teacher) if teacher else None


def supervision_of(state: State, batch: Batch, step: int, steps: int, config: FSRConfig, ops: Ops) -> Supervision:
    """Mask, teacher and labels of a batch, or of a part of one. Called without gradient."""
    student, weights = state.student, loss_weights(step, steps, config)
    classes, made = ops.cam_classes(batch.tags, batch.most_tags), Supervision()

    # 1. Two random views of each image, drawn by the loader.
    x1, x2 = student.normalise(batch.view1), student.normalise(batch.view2)

    # 2. Auxiliary CAM of view 2 → certain and uncertain regions → mask.
    made.mask = mask_view2(student, x2, batch, classes, mask_choice(step, steps, config.mask), config, ops)

    # 3. Teacher on [x1; x2], unmasked.
    if made.mask is not None and (weights["certain"] or weights["uncertain"]):
        size = (x2.shape[-2], x2.shape[-1])
        made.masked = ops.masked_places(made.mask, size, student.patch_size, config.mask)
        made.teacher = ops.project_teacher(state.teacher, x1, x2, made.masked)

    # 4. Multi-scale CAM of view 1 → pseudo-labels.
    dense, has_labels = weights["segmentation"] or weights["energy"], batch.label.numel() > 0
    if weights["affinity"] or (dense and not has_labels):
        cams = ops.cams(student, x1, config.cam.scales, classes)
    if weights["affinity"]:
        grid = (x1.shape[-2] // student.patch_size, x1.shape[-1] // student.patch_size)
        made.patch_label = ops.patch_label(cams.auxiliary, classes.tags, grid, config.labels)
    if dense and has_labels:
        made.label = batch.label.long()
    elif dense:
        image = batch.view1.to(x1.dtype) / 255
        made.label = classes.class_label(ops.pseudo_label(image, cams.final, classes.tags, config.labels))
    return made


def student_losses(
    student: Network, batch: SupervisedBatch, step: int, steps: int, config: FSRConfig, ops: Ops = PLAIN
) -> StepLosses:
    """The second half of a step: the student, with gradient, and the losses of a batch or of a part of one.

    The mean over equal parts, and over processes, is the loss of the whole batch. Arguments as of ``training_step``.
    """
    weights, made = loss_weights(step, steps, config), batch.supervision
    terms: dict[str, Tensor] = {}
    health: dict[str, Tensor] = {}
    x1 = student.normalise(batch.view1)

    # 3. Student on [x1; x2 masked].
    if made.mask is None:
        view1 = ops.encode_student(student, x1, None, batch.drop_path_seeds[:, 0].tolist())
    else:
        images = torch.cat([x1, student.normalise(batch.view2)])
        seeds = batch.drop_path_seeds[:, :2].T.flatten().tolist()
        both = ops.encode_student(student, images, torch.cat([torch.zeros_like(made.mask), made.mask]), seeds)
        view1, view2 = both[: len(x1)], both[len(x1) :]
        if made.teacher is not None:
            terms, health = distil(student, view2, batch, config.distillation)

    # 5. Losses that read view 1.
    logits, aux_logits = student.classify(view1)
    terms["classification"] = classification_loss(logits, aux_logits, batch.tags)
    outputs = Outputs(logits, view1.patches)
    if made.patch_label is not None:
        terms["affinity"] = affinity_loss(view1.patches, made.patch_label, made.pairs)
    if made.label is not None:
        energy = config.energy if weights["energy"] else None
        outputs.label, outputs.segmentation = made.label, student.segment(view1)
        terms |= ops.dense_losses(outputs.segmentation, made.label, batch.view1, energy, made.pixels)
    return StepLosses.of(terms, weights, health, outputs)


@torch.no_grad()
def mask_view2(
    student: Network, x2: Images, batch: Batch, classes: CamClasses, choice: str, config: FSRConfig, ops: Ops
) -> Mask | None:
    """Masked patches of view 2; ``None`` where nothing is ever masked."""
    if choice == "none":
        return None
    uncertain = None
    if choice == "uncertain":
        cam = ops.auxiliary_cam(student, x2, config.cam.scales, classes)
        uncertain = partition(cam, classes.tags, batch.view2.to(x2.dtype) / 255, config.partition) == UNCERTAIN
    size = (x2.shape[-2], x2.shape[-1])
    return ops.draw_mask(batch.seeds, uncertain, size, student.patch_size, config.mask, x2.device)


def distil(
    student: Network, view2: Features, batch: SupervisedBatch, config: DistillationConfig
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """L_unc and L_cer, and their health: the student's masked view 2 against the teacher's projections."""
    made: Any = batch.supervision  # mask, teacher and targets are there, as the caller has seen
    teacher, targets, temperature = made.teacher, made.targets, config.student_temperature
    patches, mask = student.project(view2.patch_list().flatten(0, 1)[made.masked]), made.mask.flatten(1)
    centre = targets.patch_centre
    uncertain = uncertain_loss(patches, teacher.patches, mask, centre, temperature, targets.patch_temperature)
    tokens = student.project(torch.cat([view2.global_token(), local_tokens(student, batch)]))
    certain = certain_loss(tokens, teacher.token, targets.token_centre, temperature, targets.token_temperature)
    terms = {"uncertain": uncertain.loss, "certain": certain.loss}
    return terms, health_of(uncertain=uncertain, certain=certain)


def local_tokens(student: Network, batch: Batch) -> Float[Tensor, "M D"]:
    """The student's global tokens of the local crops, crop by crop; none by default."""
    crops = batch.local.transpose(0, 1).flatten(0, 1)
    if len(crops) == 0:
        return student.encoder.class_token.new_zeros((0, student.encoder.width))
    features: Features = student.encoder(
        student.normalise(crops), seeds=batch.drop_path_seeds[:, 2:].T.flatten().tolist()
    )
    return features.global_token()
