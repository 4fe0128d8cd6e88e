"""One training step of FSR, top to bottom in the paper's order (section 5 of docs/method.md).

The operations that have a faster form are an argument. ``PLAIN``, below, is the method as it reads in this folder;
``tagseg.fast.ops`` holds the same operations, faster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tagseg.data.batch import Batch
from tagseg.fsr.cam import CamClasses, Cams, all_classes, auxiliary_cam, multi_scale_cam
from tagseg.fsr.config import DistillationConfig, EnergyConfig, FSRConfig, LabelConfig
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
from tagseg.fsr.losses import Outputs, StepLosses, affinity_loss, classification_loss, dense_losses
from tagseg.fsr.masking import draw_mask
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

    cam_classes: Callable[[Tensor], CamClasses]
    """``cam.all_classes``: the classes whose maps are computed."""
    auxiliary_cam: Callable[[Network, Tensor, Sequence[float], CamClasses], Tensor]
    """``cam.auxiliary_cam``."""
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
    dense_losses: Callable[[Tensor, Tensor, Tensor, EnergyConfig | None], dict[str, Tensor]]
    """``losses.dense_losses``."""


PLAIN = Ops(
    cam_classes=all_classes,
    auxiliary_cam=auxiliary_cam,
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
    student, weights = state.student, loss_weights(step, steps, config)
    classes = ops.cam_classes(batch.tags)
    terms: dict[str, Tensor] = {}
    health: dict[str, Tensor] = {}

    # 1. Two random views of each image, drawn by the loader.
    x1, x2 = student.normalise(batch.view1), student.normalise(batch.view2)

    # 2. Auxiliary CAM of view 2 → certain and uncertain regions → mask.
    mask = mask_view2(student, x2, batch, classes, mask_choice(step, steps, config.mask), config, ops)

    # 3. Student on [x1; x2 masked], teacher on [x1; x2].
    if mask is None:
        view1 = ops.encode_student(student, x1, None, batch.drop_path_seeds[:, 0].tolist())
    else:
        seeds = batch.drop_path_seeds[:, :2].T.flatten().tolist()
        both = ops.encode_student(student, torch.cat([x1, x2]), torch.cat([torch.zeros_like(mask), mask]), seeds)
        view1, view2 = both[: len(x1)], both[len(x1) :]
        if weights["certain"] or weights["uncertain"]:
            teacher = ops.project_teacher(state.teacher, x1, x2, mask.flatten(1))
            targets = ops.targets(state.centres, teacher, step, steps, config.distillation)
            terms, health = distil(student, view2, mask, teacher, targets, batch, config.distillation)
            state.centres.update(teacher)

    # 4. Multi-scale CAM of view 1 → pseudo-labels. 5. Losses that read view 1.
    logits, aux_logits = student.classify(view1)
    terms["classification"] = classification_loss(logits, aux_logits, batch.tags)
    outputs = Outputs(logits, view1.patches)
    dense, has_labels = weights["segmentation"] or weights["energy"], batch.label.numel() > 0
    if weights["affinity"] or (dense and not has_labels):
        cams = ops.cams(student, x1, config.cam.scales, classes)
    if weights["affinity"]:
        grid = (view1.patches.shape[-2], view1.patches.shape[-1])
        labels = ops.patch_label(cams.auxiliary, classes.tags, grid, config.labels)
        terms["affinity"] = affinity_loss(view1.patches, labels)
    if dense:
        if has_labels:
            outputs.label = batch.label.long()
        else:
            image = unit_range(batch.view1, x1)
            outputs.label = classes.class_label(ops.pseudo_label(image, cams.final, classes.tags, config.labels))
        energy = config.energy if weights["energy"] else None
        outputs.segmentation = student.segment(view1)
        terms |= ops.dense_losses(outputs.segmentation, outputs.label, batch.view1, energy)
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
        uncertain = partition(cam, classes.tags, unit_range(batch.view2, x2), config.partition) == UNCERTAIN
    return draw_mask(batch.seeds, uncertain, (x2.shape[-2], x2.shape[-1]), student.patch_size, config.mask)


def distil(
    student: Network,
    view2: Features,
    mask: Mask,
    teacher: TeacherProjections,
    targets: Targets,
    batch: Batch,
    config: DistillationConfig,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """L_unc and L_cer, and their health: the student's masked view 2 against the teacher's projections."""
    masked, temperature = mask.flatten(1), config.student_temperature
    patches = student.project(view2.patch_list()[masked])
    uncertain = uncertain_loss(
        patches, teacher.patches, masked, targets.patch_centre, temperature, targets.patch_temperature
    )
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


def unit_range(view: Tensor, like: Tensor) -> Images:
    """An 8-bit view in [0, 1]."""
    return view.to(like.dtype) / 255
