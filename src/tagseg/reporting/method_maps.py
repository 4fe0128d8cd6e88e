"""What the method makes of photos on the way to a mask: CAM, partition, masked blocks, pseudo-label, segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from tagseg.fsr.config import CamConfig, FSRConfig
from tagseg.fsr.masking import block_mask, block_noise
from tagseg.fsr.partition import UNCERTAIN, partition, present_activation
from tagseg.fsr.step import Ops
from tagseg.model.network import Network, evaluating


@dataclass(frozen=True)
class Photos:
    """B photos of one size.

    Attributes:
        images: 0 to 255, sides multiples of the patch and of the mask's block.
        tags: 0 or 1.
        seeds: of each photo's masked blocks.
    """

    images: Float[Tensor, "B 3 H W"]
    tags: Float[Tensor, "B K"]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Maps:
    """Of B photos; ``None`` for what a method does not have.

    Attributes:
        cam: highest CAM of the present classes, 0 to 1.
        regions: section 3 of docs/method.md: 0 certain background, 1 uncertain, 2 certain foreground.
        masked: masked blocks (True).
        pseudo_label: from the CAM; 0 background, k+1 class k, 255 ignored.
    """

    cam: Float[Tensor, "B H W"]
    regions: UInt8[Tensor, "B H W"] | None = None
    masked: Bool[Tensor, "B gh gw"] | None = None
    pseudo_label: UInt8[Tensor, "B H W"] | None = None


@torch.no_grad()
def cam_maps(network: Network, photos: Photos, cam: CamConfig, ops: Ops) -> Maps:
    """The CAM alone, of any method."""
    classes = ops.cam_classes(photos.tags)
    cams = ops.cams(network, network.normalise(photos.images), cam.scales, classes)
    return Maps(present_activation(cams.final, classes.tags))


@torch.no_grad()
def fsr_maps(network: Network, photos: Photos, settings: FSRConfig, ops: Ops, choice: str, labels: bool = True) -> Maps:
    """CAM, partition, masked blocks and pseudo-label, as a step of FSR makes them of a view.

    Draws no random number but from the photos' seeds and leaves the network as it is.

    Args:
        network: whose CAMs they are made of, the student.
        photos: whole photos.
        settings: of the method.
        ops: plain or faster operations.
        choice: of the masked blocks, as of ``mask_choice``: ``none``, ``random``, ``uncertain``.
        labels: whether labels are made of CAMs.
    """
    classes = ops.cam_classes(photos.tags)
    cams = ops.cams(network, network.normalise(photos.images), settings.cam.scales, classes)
    unit = photos.images / 255
    regions = partition(cams.auxiliary, classes.tags, unit, settings.partition)
    masked = None
    if choice != "none":
        height, width = photos.images.shape[-2:]
        noise = block_noise(list(photos.seeds), (height // settings.mask.block, width // settings.mask.block))
        uncertain = regions == UNCERTAIN if choice == "uncertain" else None
        masked = block_mask(noise.to(unit.device), uncertain, settings.mask.ratio)
    label = None
    if labels:
        label = classes.class_label(ops.pseudo_label(unit, cams.final, classes.tags, settings.labels)).to(torch.uint8)
    return Maps(present_activation(cams.final, classes.tags), regions, masked, label)


@torch.no_grad()
def decoder_logits(networks: Mapping[str, Network], images: Float[Tensor, "B 3 H W"]) -> dict[str, Tensor]:
    """Logits (B, C, h, w) of each network's decoder, in evaluation mode, of images of 0 to 255."""
    logits = {}
    for name, network in networks.items():
        with evaluating(network):
            logits[name] = network.segment_logits(network.normalise(images))
    return logits
