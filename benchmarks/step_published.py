"""The training step the published way, from METHOD, to be faster than: float32, nothing shared, nothing skipped.

Four multi-scale CAMs of all classes with both classifiers (view 2's for the mask; view 1's, and view 2's twice more,
for labels), attention with its weights in memory, projections of every token and patch of both views by both networks,
PAR for one image and one background after the other with all 48 neighbours of 3 channels in memory, the label of view 2
that no loss reads, the energy's filter on the host, AdamW and the teacher's average one parameter after the other.
What all this shares with ``tagseg`` are the networks' layers and the loss formulas.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from tagseg.config import LabelConfig
from tagseg.data.dataset import IGNORE
from tagseg.data.loaders import Batch
from tagseg.model.encoder import Features
from tagseg.model.network import Network
from tagseg.pairwise.energy import dense_energy
from tagseg.pseudo.labels import cam_to_label
from tagseg.pseudo.masking import block_mask, block_noise, to_patches
from tagseg.training.distillation import certain_loss, uncertain_loss
from tagseg.training.losses import affinity_loss, classification_loss, segmentation_loss
from tagseg.training.module import FSR
from tagseg.training.schedules import loss_weights

DIRECTIONS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


def published_losses(fsr: FSR, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum and terms of a late step, when all losses are on and masks follow the CAM."""
    student, config = fsr.student, fsr.config
    x1, x2 = student.normalise(batch.view1), student.normalise(batch.view2)
    count = len(x1)
    mask = mask_of(fsr, batch, multi_scale_cams(student, x2, config.cam.scales)[1])
    seeds = batch.depth_seeds(1) + batch.depth_seeds(2)
    views = torch.cat([x1, x2])
    seen = student.encoder(views, torch.cat([torch.zeros_like(mask), mask]), seeds)
    terms = distillation(fsr, views, seen, mask.flatten(1), step)
    view1 = seen[:count]
    terms["classification"] = classification_loss(*student.classify(view1), batch.tags)
    final, auxiliary = multi_scale_cams(student, x1, config.cam.scales)
    small = cam_to_label(auxiliary, batch.tags, config.labels.high, config.labels.low).unsqueeze(1).float()
    small = F.interpolate(small, size=view1.patches.shape[-2:], mode="nearest").squeeze(1).long()
    terms["affinity"] = affinity_loss(view1.patches, small)
    label = refined_labels(batch.view1, final, batch.tags, config.labels)
    for _ in range(2):
        unread, _ = multi_scale_cams(student, x2, config.cam.scales)
    refined_labels(batch.view2, unread, batch.tags, config.labels)
    logits = F.interpolate(student.decoder(view1.patches), size=label.shape[-2:], mode="bilinear", align_corners=False)
    terms["segmentation"] = segmentation_loss(logits, label)
    terms["energy"] = energy_on_host(fsr, logits, batch.view1, label)
    weights = loss_weights(step, config)
    return torch.stack([weights[name] * value for name, value in terms.items()]).sum(), terms


@torch.no_grad()
def multi_scale_cams(network: Network, images: Tensor, scales: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """Final and auxiliary maps of all classes (METHOD §2), (B, K, H, W)."""
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
def mask_of(fsr: FSR, batch: Batch, cam: Tensor) -> Tensor:
    """Masked patches of view 2 (METHOD §3 and §4), (B, h, w)."""
    config = fsr.config
    activation = (cam * batch.tags[:, :, None, None]).amax(dim=1)
    unsure = (activation > config.partition.low) & (activation < config.partition.high)
    blocks = config.views.size // config.mask.block
    patches = config.views.size // fsr.student.patch_size
    noise = block_noise(batch.mask_seeds.tolist(), (blocks, blocks)).to(cam.device)
    return to_patches(block_mask(noise, unsure, config.mask.ratio), (patches, patches))


def distillation(fsr: FSR, views: Tensor, seen: Features, hidden: Tensor, step: int) -> dict[str, Tensor]:
    """L_unc and L_cer of projections of everything; then the centres."""
    count = len(hidden)
    with torch.no_grad():
        taught = fsr.teacher.encoder(views)
        taught_tokens = fsr.teacher.project(taught.token)
        taught_patches = fsr.teacher.project(taught.patch_list)
    tokens, patches = fsr.student.project(seen.token), fsr.student.project(seen.patch_list)
    taught_tokens, mean_patch = taught_tokens[:count], taught_patches[count:].mean((0, 1))
    recovered, target = patches[count:][hidden], taught_patches[count:][hidden]
    (centre, tau), (patch_centre, patch_tau) = fsr.targets(step, taught_tokens, target, mean_patch)
    student_tau = fsr.config.distillation.student_temperature
    certain = certain_loss(tokens[count:], taught_tokens, centre, student_tau, tau)
    uncertain = uncertain_loss(recovered, target, hidden, patch_centre, student_tau, patch_tau)
    fsr.centres.update(taught_tokens.mean(0), mean_patch)
    return {"uncertain": uncertain.loss, "certain": certain.loss}


@torch.no_grad()
def refined_labels(views: Tensor, cam: Tensor, tags: Tensor, config: LabelConfig) -> Tensor:
    """Pseudo-labels (METHOD §6), one image after the other, (B, H, W)."""
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
    """Pixel-adaptive refinement (METHOD §6) of (1, M, h, w) maps."""
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
    """(1, M, 48, h, w): each pixel's neighbours, taken by dilated convolutions with one 1 each, as usual for PAR."""
    kernels = maps.new_zeros(len(DIRECTIONS), 1, 3, 3)
    for index, (dy, dx) in enumerate(DIRECTIONS):
        kernels[index, 0, 1 + dy, 1 + dx] = 1
    planes = maps.transpose(0, 1)  # (M, 1, h, w)
    found = [
        F.conv2d(F.pad(planes, (d, d, d, d), mode="replicate"), kernels, dilation=d).unsqueeze(0) for d in dilations
    ]
    return torch.cat(found, dim=2)


def energy_on_host(fsr: FSR, logits: Tensor, image: Tensor, label: Tensor) -> Tensor:
    """L_reg (METHOD §7), wherever the network is."""
    energy = dense_energy(logits.cpu(), image.float().cpu(), label.cpu(), fsr.config.energy)
    return energy.to(logits.device)


def make_optimiser(groups: list[dict[str, object]]) -> torch.optim.Optimizer:
    """AdamW, one parameter after the other."""
    return torch.optim.AdamW(groups, foreach=False, fused=False)


@torch.no_grad()
def update_teacher(teacher: Network, student: Network, momentum: float) -> None:
    """θ_t ← m θ_t + (1 − m) θ_s, one parameter after the other."""
    for theirs, ours in zip(teacher.parameters(), student.parameters(), strict=True):
        theirs.mul_(momentum).add_(ours, alpha=1 - momentum)
