"""One training step, in the order of METHOD §5. ``plain`` is the same without any of the shortcuts taken here.

Only what a loss reads is computed: two multi-scale CAMs, of which the one for the mask stops at the auxiliary block;
maps of the present classes alone; projections of the masked patches; the global tokens of one view for each network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool
from torch import Tensor

from tagseg.data.loaders import Batch
from tagseg.model.encoder import Features
from tagseg.model.packed import encode
from tagseg.model.student import encode_student
from tagseg.pseudo.cam import present_cam
from tagseg.pseudo.present import present_classes
from tagseg.training.dense import dense_losses
from tagseg.training.distillation import certain_loss, health, uncertain_loss
from tagseg.training.losses import StepLosses, affinity_loss, classification_loss
from tagseg.training.schedules import loss_weights

if TYPE_CHECKING:
    from tagseg.training.module import FSR


def fast_losses(fsr: FSR, batch: Batch, step: int) -> StepLosses:
    """The losses of one step, numbered as in METHOD §5.

    Args:
        fsr: networks, centres (which move) and configuration.
        batch: on the networks' device, its views final.
        step: which; schedules follow it.
    """
    weights = loss_weights(step, fsr.config)
    terms: dict[str, Tensor] = {}
    found: dict[str, Tensor] = {}

    # 1. Two views (drawn by the loader).
    x1 = fsr.student.normalise(batch.view1)

    # 2. Auxiliary CAM of view 2 → partition → mask.
    mask = fsr.mask_for(batch, step)

    # 3. Student on [x1; x2 masked], teacher on [x1; x2].
    if mask is None:
        view1 = encode_student(fsr.student.encoder, x1, None, batch.depth_seeds(1))
    else:
        x2 = fsr.student.normalise(batch.view2)
        masks = torch.cat([torch.zeros_like(mask), mask])
        seeds = batch.depth_seeds(1) + batch.depth_seeds(2)
        both = encode_student(fsr.student.encoder, torch.cat([x1, x2]), masks, seeds)
        view1, view2 = both[: len(x1)], both[len(x1) :]
        if weights["certain"] or weights["uncertain"]:
            terms, found = _distil(fsr, x1, x2, view2, mask, batch, step)

    # 4. Multi-scale CAM of view 1 → pseudo-labels. 5. The losses that read view 1 alone.
    terms["classification"] = classification_loss(*fsr.student.classify(view1), batch.tags)
    if weights["affinity"] or weights["segmentation"] or weights["energy"]:
        terms |= _supervise(fsr, x1, view1, batch, weights)
    return StepLosses.of(terms, weights, found)


def _distil(
    fsr: FSR, x1: Tensor, x2: Tensor, view2: Features, mask: Bool[Tensor, "B h w"], batch: Batch, step: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """L_unc and L_cer with their health; then the centres."""
    hidden = mask.flatten(1)
    teacher, count = fsr.teacher, len(x1)
    with torch.no_grad():
        seen = encode(teacher.encoder, torch.cat([x1, x2]))
        taught_token = teacher.project(teacher.encoder.aggregate(seen[:count]))
        # Only masked patches are compared. The centre needs the mean of all: one more to project, not all of them.
        embedded = teacher.projector.embed(teacher.encoder.norm(seen[count:]))
        taught_patches = teacher.projector.prototypes(embedded[hidden])
        mean_patch = teacher.projector.prototypes(embedded.mean((0, 1)))
    token = fsr.student.project(torch.cat([view2.token, fsr.local_tokens(batch)]))
    recovered = fsr.student.project(view2.patch_list[hidden])
    (centre, tau), (patch_centre, patch_tau) = fsr.targets(step, taught_token, taught_patches, mean_patch)
    student_tau = fsr.config.distillation.student_temperature
    cer = certain_loss(token, taught_token, centre, student_tau, tau)
    unc = uncertain_loss(recovered, taught_patches, hidden, patch_centre, student_tau, patch_tau)
    fsr.centres.update(taught_token.mean(0), mean_patch)
    return {"uncertain": unc.loss, "certain": cer.loss}, health(uncertain=unc, certain=cer)


def _supervise(fsr: FSR, x1: Tensor, view1: Features, batch: Batch, weights: dict[str, float]) -> dict[str, Tensor]:
    """L_aff, L_seg and L_reg on pseudo-labels of view 1; L_seg and L_reg on labels that are ready, where they are."""
    terms: dict[str, Tensor] = {}
    told = fsr.config.labels.ready
    if weights["affinity"] or not told:
        present = present_classes(batch.tags)
        cams = present_cam(fsr.student, x1, fsr.config.cam.scales, present)
    if weights["affinity"]:  # compares labels within an image alone, whatever they are called
        terms["affinity"] = affinity_loss(view1.patches, fsr.patch_label(cams.auxiliary, present.tags))
    if weights["segmentation"] or weights["energy"]:
        if told:
            label = batch.truth.long()
        else:
            label = present.named(fsr.pseudo_label(batch.view1, cams.final, present.tags))
        logits = fsr.student.decoder(view1.patches)
        terms |= dense_losses(logits, label, batch.view1, fsr.config.energy if weights["energy"] else None)
    return terms
