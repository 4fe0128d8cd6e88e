"""One training step word for word (METHOD §5), with ``speed.step: plain``: what the fast one has to agree with.

Nothing is shared and nothing skipped: every class has its map, both CAM passes run the whole encoder at one scale after
the other, every patch and token is projected, each image is refined alone with all its neighbours in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from tagseg.data.loaders import Batch
from tagseg.model.encoder import Features
from tagseg.pairwise.energy import dense_energy
from tagseg.pseudo.cam_plain import plain_multi_scale_cam
from tagseg.pseudo.labels_plain import plain_refined_label
from tagseg.pseudo.partition import partition
from tagseg.training.distillation import certain_loss, health, uncertain_loss
from tagseg.training.losses import StepLosses, affinity_loss, classification_loss, segmentation_loss
from tagseg.training.schedules import loss_weights, mask_choice

if TYPE_CHECKING:
    from tagseg.training.module import FSR


def plain_losses(fsr: FSR, batch: Batch, step: int) -> StepLosses:
    """The losses of one step; arguments as of ``fast_losses``."""
    weights = loss_weights(step, fsr.config)
    count = len(batch.tags)
    x1, x2 = fsr.student.normalise(batch.view1), fsr.student.normalise(batch.view2)
    terms: dict[str, Tensor] = {}
    found: dict[str, Tensor] = {}

    # 2. Auxiliary CAM of view 2 → partition → mask.
    mask = None
    if (choice := mask_choice(step, fsr.config.run.steps, fsr.config.mask)) != "none":
        cam = plain_multi_scale_cam(fsr.student, x2, fsr.config.cam.scales).auxiliary
        regions = partition(cam, batch.tags, batch.view2.float() / 255, fsr.config.partition)
        mask = fsr.draw_mask(batch, regions if choice == "uncertain" else None)

    # 3. Student on [x1; x2 masked]. Teacher on [x1; x2] unmasked.
    seeds = batch.depth_seeds(1) + batch.depth_seeds(2)
    masks = None if mask is None else torch.cat([torch.zeros_like(mask), mask])
    student = fsr.student.encoder(torch.cat([x1, x2]), masks, seeds)
    if mask is not None and (weights["certain"] or weights["uncertain"]):
        terms, found = _distil(fsr, torch.cat([x1, x2]), student, mask.flatten(1), batch, step)

    # 4. Multi-scale CAM of view 1 → pseudo-labels. 5. Losses.
    view1 = student[:count]
    terms["classification"] = classification_loss(*fsr.student.classify(view1), batch.tags)
    cams = plain_multi_scale_cam(fsr.student, x1, fsr.config.cam.scales)
    if weights["affinity"]:
        terms["affinity"] = affinity_loss(view1.patches, fsr.patch_label(cams.auxiliary, batch.tags))
    if weights["segmentation"] or weights["energy"]:
        if fsr.config.labels.ready:
            label = batch.truth.long()
        elif fsr.config.labels.refine:
            label = plain_refined_label(batch.view1.float() / 255, cams.final, batch.tags, fsr.config.labels)
        else:
            label = fsr.pseudo_label(batch.view1, cams.final, batch.tags)
        logits = fsr.student.decoder(view1.patches).float()
        logits = F.interpolate(logits, size=label.shape[-2:], mode="bilinear", align_corners=False)
        terms["segmentation"] = segmentation_loss(logits, label)
        if weights["energy"]:
            terms["energy"] = dense_energy(logits, batch.view1.float(), label, fsr.config.energy)
    return StepLosses.of(terms, weights, found)


def _distil(
    fsr: FSR, views: Tensor, student: Features, hidden: Tensor, batch: Batch, step: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """L_unc and L_cer of projections of every token and every patch of both views; then the centres."""
    count = len(hidden)
    with torch.no_grad():
        seen = fsr.teacher.encoder(views)
        taught_tokens, taught_patches = fsr.teacher.project(seen.token), fsr.teacher.project(seen.patch_list)
    tokens, patches = fsr.student.project(student.token), fsr.student.project(student.patch_list)
    tokens = torch.cat([tokens[count:], fsr.student.project(fsr.local_tokens(batch))])
    taught_tokens, mean_patch = taught_tokens[:count], taught_patches[count:].mean((0, 1))
    recovered, taught = patches[count:][hidden], taught_patches[count:][hidden]
    (centre, tau), (patch_centre, patch_tau) = fsr.targets(step, taught_tokens, taught, mean_patch)
    student_tau = fsr.config.distillation.student_temperature
    cer = certain_loss(tokens, taught_tokens, centre, student_tau, tau)
    unc = uncertain_loss(recovered, taught, hidden, patch_centre, student_tau, patch_tau)
    fsr.centres.update(taught_tokens.mean(0), mean_patch)
    return {"uncertain": unc.loss, "certain": cer.loss}, health(uncertain=unc, certain=cer)
