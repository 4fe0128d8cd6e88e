"""The training step of FSR as it is published: float32, nothing shared, nothing skipped.

The reference for the plain and the fast operations: tests compare losses and gradients with it, benchmarks the time. It
covers steps with every loss on and masks that follow the CAM, without local crops. It computes four multi-scale CAMs of
all classes with both classifiers (of view 2 for the mask; of view 1, and twice of view 2, for labels), projections of
every token and patch of both views by both networks, PAR for one image and one background after the other with all 48
neighbours in memory, a label of view 2 that no loss reads, and the energy's filter on the host. AdamW and the teacher's
average take one parameter after the other.

Shared with ``tagseg`` are the layers of the networks, the formulas of the losses, block masks and CAM thresholds.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from tagseg.data.batch import Batch
from tagseg.data.dataset import IGNORE
from tagseg.fsr.config import FSRConfig, LabelConfig
from tagseg.fsr.distillation import (
    TeacherProjections,
    certain_loss,
    health_of,
    published_targets,
    uncertain_loss,
)
from tagseg.fsr.energy import Filter, dense_energy, lattice_scale_filter
from tagseg.fsr.losses import StepLosses, affinity_loss, classification_loss, segmentation_loss
from tagseg.fsr.masking import block_mask, block_noise, to_patches
from tagseg.fsr.pseudo_labels import cam_to_label
from tagseg.fsr.schedules import loss_weights
from tagseg.fsr.step import State
from tagseg.model.encoder import Features
from tagseg.model.network import Network

DIRECTIONS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


def published_step(
    state: State, batch: Batch, step: int, steps: int, config: FSRConfig, bilateral: Filter = lattice_scale_filter
) -> StepLosses:
    """The losses of a step at which all losses are on and masks follow the CAM.

    Args:
        state: student, teacher and centres; the centres move.
        batch: views, tags and seeds, on the networks' device.
        step: its number.
        steps: length of the training.
        config: settings of the method.
        bilateral: the energy's filter, on the host.
    """
    student = state.student
    x1, x2 = student.normalise(batch.view1), student.normalise(batch.view2)
    mask = mask_view2(multi_scale_cams(student, x2, config.cam.scales)[1], batch, student.patch_size, config)
    views, seeds = torch.cat([x1, x2]), batch.drop_path_seeds[:, :2].T.flatten().tolist()
    features = student.encoder(views, torch.cat([torch.zeros_like(mask), mask]), seeds)
    terms, health = distil(state, views, features, mask.flatten(1), step, steps, config)
    view1 = features[: len(x1)]
    terms["classification"] = classification_loss(*student.classify(view1), batch.tags)
    final, auxiliary = multi_scale_cams(student, x1, config.cam.scales)
    small = cam_to_label(auxiliary, batch.tags, config.labels.high, config.labels.low).unsqueeze(1).float()
    small = F.interpolate(small, size=view1.patches.shape[-2:], mode="nearest").squeeze(1).long()
    terms["affinity"] = affinity_loss(view1.patches, small)
    label = refined_labels(batch.view1, final, batch.tags, config.labels)
    for _ in range(2):
        unused, _ = multi_scale_cams(student, x2, config.cam.scales)
    refined_labels(batch.view2, unused, batch.tags, config.labels)
    logits = F.interpolate(student.decoder(view1.patches), size=label.shape[-2:], mode="bilinear", align_corners=False)
    terms["segmentation"] = segmentation_loss(logits, label)
    terms["energy"] = energy_on_host(logits, batch.view1, label, config, bilateral)
    return StepLosses.of(terms, loss_weights(step, steps, config), health)


@torch.no_grad()
def multi_scale_cams(network: Network, images: Tensor, scales: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """Final and auxiliary maps of all classes (section 2 of docs/method.md), (B, K, H, W)."""
    height, width = images.shape[-2:]
    network.eval()
    sums: list[Tensor] = []
    for scale in scales:
        size = [round(side * scale / network.patch_size) * network.patch_size for side in (height, width)]
        scaled = F.interpolate(images, size=size, mode="bilinear", align_corners=False) if scale != 1 else images
        merged = []
        for maps in network.cams(torch.cat([scaled, scaled.flip(-1)])):
            upsampled = F.interpolate(maps, size=(height, width), mode="bilinear", align_corners=False)
            image, mirror = upsampled.chunk(2)
            merged.append(torch.maximum(image, mirror.flip(-1)))
        sums = [a + b for a, b in zip(sums, merged, strict=True)] if sums else merged
    network.train()
    for index, cam in enumerate(sums):
        cam = cam - cam.amin(dim=(2, 3), keepdim=True)
        sums[index] = cam / (cam.amax(dim=(2, 3), keepdim=True) + 1e-5)
    return sums[0], sums[1]


@torch.no_grad()
def mask_view2(cam: Tensor, batch: Batch, patch: int, config: FSRConfig) -> Tensor:
    """Masked patches of view 2 (sections 3 and 4 of docs/method.md), (B, h, w)."""
    activation = (cam * batch.tags[:, :, None, None]).amax(dim=1)
    uncertain = (activation > config.partition.low) & (activation < config.partition.high)
    height, width = cam.shape[-2:]
    noise = block_noise(batch.seeds.tolist(), (height // config.mask.block, width // config.mask.block)).to(cam.device)
    return to_patches(block_mask(noise, uncertain, config.mask.ratio), (height // patch, width // patch))


def distil(
    state: State, views: Tensor, features: Features, masked: Tensor, step: int, steps: int, config: FSRConfig
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """L_unc and L_cer of projections of everything, and their health; then the centres."""
    count, settings, student = len(masked), config.distillation, state.student
    with torch.no_grad():
        theirs = state.teacher.encoder(views)
        token, all_patches = state.teacher.project(theirs.global_token()), state.teacher.project(theirs.patch_list())
    teacher = TeacherProjections(token[:count], all_patches[count:][masked], all_patches[count:].mean((0, 1)))
    tokens, patches = student.project(features.global_token()), student.project(features.patch_list())
    targets = published_targets(state.centres, teacher, step, steps, settings)
    temperature = settings.student_temperature
    certain = certain_loss(tokens[count:], teacher.token, targets.token_centre, temperature, targets.token_temperature)
    uncertain = uncertain_loss(
        patches[count:][masked], teacher.patches, masked, targets.patch_centre, temperature, targets.patch_temperature
    )
    state.centres.update(teacher)
    return {"uncertain": uncertain.loss, "certain": certain.loss}, health_of(uncertain=uncertain, certain=certain)


@torch.no_grad()
def refined_labels(views: Tensor, cam: Tensor, tags: Tensor, config: LabelConfig) -> Tensor:
    """Pseudo-labels (section 6 of docs/method.md), one image after the other, (B, H, W)."""
    size = cam.shape[-2:]
    half = [side // 2 for side in size]
    labels = []
    for view, maps, row in zip(views.split(1), cam.split(1), tags, strict=True):
        image = F.interpolate(view.float() / 255, size=half, mode="bilinear", align_corners=False)
        present = row.nonzero().flatten()
        names = torch.cat([present.new_zeros(1), present + 1])
        results = []
        for background in (config.high, config.low):
            planes = torch.cat([torch.full_like(maps[:, :1], background), maps[:, present]], dim=1)
            planes = F.interpolate(planes, size=half, mode="bilinear", align_corners=False).softmax(dim=1)
            refined = F.interpolate(par(image, planes, config), size=size, mode="bilinear", align_corners=False)
            results.append(names[refined.argmax(dim=1)])
        strict, lenient = results
        label = torch.where(strict == 0, IGNORE, strict)
        label[(strict == 0) & (lenient == 0)] = 0
        labels.append(label)
    return torch.cat(labels)


def par(image: Tensor, maps: Tensor, config: LabelConfig) -> Tensor:
    """Pixel-adaptive refinement (section 6 of docs/method.md) of (1, M, h, w) maps."""
    dilations, sharpness = config.refine_dilations, config.refine_sharpness
    around = neighbours(image, dilations)
    spread = around.std(dim=2, keepdim=True)
    affinity = -((((around - image.unsqueeze(2)).abs() / (spread + 1e-8) / sharpness) ** 2).mean(dim=1, keepdim=True))
    distance = torch.tensor([d * math.hypot(*direction) for d in dilations for direction in DIRECTIONS])
    position = -((distance / (distance.std() + 1e-8) / sharpness) ** 2)
    spatial = torch.softmax(position, dim=0).to(image).view(1, 1, -1, 1, 1)
    weights = torch.softmax(affinity, dim=2) + config.refine_spatial_weight * spatial
    for _ in range(config.refine_iterations):
        maps = (neighbours(maps, dilations) * weights).sum(dim=2)
    return maps


def neighbours(maps: Tensor, dilations: tuple[int, ...]) -> Tensor:
    """(1, M, 48, h, w): the neighbours of each pixel by dilated convolutions with a single 1 each, as usual for PAR."""
    kernels = maps.new_zeros(len(DIRECTIONS), 1, 3, 3)
    for index, (dy, dx) in enumerate(DIRECTIONS):
        kernels[index, 0, 1 + dy, 1 + dx] = 1
    planes = maps.transpose(0, 1)  # (M, 1, h, w)
    shifted = [
        F.conv2d(F.pad(planes, (d, d, d, d), mode="replicate"), kernels, dilation=d).unsqueeze(0) for d in dilations
    ]
    return torch.cat(shifted, dim=2)


def energy_on_host(logits: Tensor, image: Tensor, label: Tensor, config: FSRConfig, bilateral: Filter) -> Tensor:
    """L_reg (section 7 of docs/method.md), wherever the network is."""
    energy = dense_energy(logits.cpu(), image.float().cpu(), label.cpu(), config.energy, bilateral)
    return energy.to(logits.device)


def make_optimiser(groups: list[dict[str, object]]) -> torch.optim.Optimizer:
    """AdamW, one parameter after the other."""
    return torch.optim.AdamW(groups, foreach=False, fused=False)


@torch.no_grad()
def update_teacher(teacher: Network, student: Network, momentum: float) -> None:
    """θ_t ← m θ_t + (1 − m) θ_s, one parameter after the other."""
    for theirs, ours in zip(teacher.parameters(), student.parameters(), strict=True):
        theirs.mul_(momentum).add_(ours, alpha=1 - momentum)
