"""From one image to its label map: the segmentation head at several scales, or a class activation map (METHOD §9).

Grids of patches stay small until the very end; pixels are made for a few classes at a time, so that a large photo with
many classes needs a few planes of memory and not one per class.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from tagseg.errors import TagsegError
from tagseg.inference.precision import Precision, computing
from tagseg.model.network import Network
from tagseg.pseudo.labels import cam_to_score

SCALES = (1.0, 1.25, 1.5)
MAX_SIDE = 1024
_VALUES_AT_ONCE = 1 << 26  # upsampled logits in memory at a time: 256 MB of float32


@dataclass(frozen=True)
class Sizing:
    """How large an image goes through the network at scale 1.

    Attributes:
        size: every image is resized to this many pixels square; ``None``: its native size.
        max_side: a longer side than this is shrunk to it (the label map keeps the native size); ``None`` or 0: never.
            A vision transformer's time grows with the fourth power of the side, and photos beyond 1,000 pixels show
            objects far larger than those it was trained on. VOC and COCO images are smaller: it changes no score there.
    """

    size: int | None = None
    max_side: int | None = MAX_SIDE

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 1:
            raise TagsegError(f"size is {self.size}, expected a positive number of pixels, or none for the native size")
        if self.max_side is not None and self.max_side < 0:
            raise TagsegError(f"max_side is {self.max_side}, expected a number of pixels, or 0 to shrink nothing")

    def at(self, height: int, width: int, scale: float, patch: int) -> tuple[int, int]:
        """Input height and width in pixels at a scale: the nearest multiples of the patch, at least one patch."""
        if self.size:
            height = width = self.size
        elif self.max_side and max(height, width) > self.max_side:
            scale *= self.max_side / max(height, width)
        return max(1, round(height * scale / patch)) * patch, max(1, round(width * scale / patch)) * patch

    def within(self, height: int, width: int) -> tuple[int, int]:
        """Height and width in pixels, shrunk such that the longer side is at most ``max_side``."""
        shrink = min(1.0, self.max_side / max(height, width)) if self.max_side else 1.0
        return max(1, round(height * shrink)), max(1, round(width * shrink))


NATIVE = Sizing()


def to_input(network: Network, image: UInt8[ndarray, "H W 3"]) -> Float[Tensor, "1 3 H W"]:
    """The image as the network expects it: normalised, on its device."""
    pixels = torch.from_numpy(np.ascontiguousarray(image)).to(next(network.parameters()).device)
    return network.normalise(pixels.permute(2, 0, 1)[None])


def resize(images: Float[Tensor, "B c H W"], size: tuple[int, int]) -> Float[Tensor, "B c H2 W2"]:
    """Bilinear, averaging where it shrinks (as the training's views do); plain bilinear where it enlarges."""
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)


def upsample(grid: Float[Tensor, "c h w"], size: tuple[int, int]) -> Float[Tensor, "c H W"]:
    """Patches to pixels: bilinear, align_corners=False."""
    return F.interpolate(grid[None], size=size, mode="bilinear", align_corners=False)[0]


@torch.inference_mode()
def scale_logits(
    network: Network,
    image: Float[Tensor, "1 3 H W"],
    scales: tuple[float, ...] = SCALES,
    mirror: bool = True,
    sizing: Sizing = NATIVE,
) -> list[Float[Tensor, "C _h _w"]]:
    """Segmentation logits of each scale on its own patch grid, image and mirrored-back mirror summed.

    Summing before upsampling equals METHOD §9's order, because upsampling is linear and symmetric, at half the work.

    Args:
        network: in evaluation mode.
        image: normalised.
        scales: factors of the image's size.
        mirror: also look at the mirror image.
        sizing: the image's size at scale 1.
    """
    return batch_logits(network, [image], scales, mirror, sizing)[0]


@torch.inference_mode()
def batch_logits(
    network: Network,
    images: Iterable[Float[Tensor, "1 3 _H _W"]],
    scales: tuple[float, ...] = SCALES,
    mirror: bool = True,
    sizing: Sizing = NATIVE,
    precision: Precision = "32",
) -> list[list[Float[Tensor, "C _h _w"]]]:
    """As ``scale_logits`` for several images whose size at each scale is the same, in one pass a scale; float32."""
    check_scales(scales)

    def at_scales(image: Float[Tensor, "1 3 H W"]) -> list[Float[Tensor, "1 3 _H _W"]]:
        sizes = (sizing.at(image.shape[2], image.shape[3], scale, network.patch_size) for scale in scales)
        return [resize(image, size) for size in sizes]

    views = [at_scales(image) for image in images]  # not the images themselves: a photo can be very large
    grids: list[list[Tensor]] = [[] for _ in views]
    for same in zip(*views, strict=True):
        together = torch.cat([*same, *(view.flip(-1) for view in same)] if mirror else same)
        with computing(network, precision):
            logits = network.segment_logits(together)
        logits = logits.float()
        if mirror:
            logits = logits[: len(same)] + logits[len(same) :].flip(-1)
        for seen, grid in zip(grids, logits, strict=True):
            seen.append(grid)
    return grids


@torch.inference_mode()
def merge_scales(grids: list[Float[Tensor, "C _h _w"]], size: tuple[int, int]) -> Float[Tensor, "C H W"]:
    """Upsample the logits of each scale to ``size`` (H, W) and take their maximum over scales (METHOD §9)."""
    merged = upsample(grids[0], size)
    for grid in grids[1:]:
        torch.maximum(merged, upsample(grid, size), out=merged)
    return merged


def multi_scale_logits(
    network: Network,
    image: Float[Tensor, "1 3 H W"],
    scales: tuple[float, ...] = SCALES,
    mirror: bool = True,
    sizing: Sizing = NATIVE,
) -> Float[Tensor, "C H W"]:
    """Logits of every class and pixel at the image's native size (METHOD §9); arguments as in ``scale_logits``."""
    return merge_scales(scale_logits(network, image, scales, mirror, sizing), (image.shape[2], image.shape[3]))


def most_likely(logits: Float[Tensor, "C H W"]) -> UInt8[ndarray, "H W"]:
    """Each pixel's class, 0 to C-1: the argmax; at a tie the lower label.

    Raises:
        TagsegError: more classes than 8 bits hold beside the ignored label.
    """
    check_classes_fit(logits.shape[0])
    return logits.argmax(dim=0).to(torch.uint8).cpu().numpy()


def check_classes_fit(classes: int) -> None:
    """Raise ``TagsegError`` where there are more than 255: a label is a byte, and 255 is the ignored one."""
    if classes > 255:
        raise TagsegError(f"cannot write {classes} classes as 8-bit labels, expected at most 255 with the background")


@torch.inference_mode()
def label_map(
    grids: list[Float[Tensor, "C _h _w"]], size: tuple[int, int], values_at_once: int = _VALUES_AT_ONCE
) -> UInt8[ndarray, "H W"]:
    """Each pixel's class, 0 to C-1: the argmax of ``merge_scales``, without holding every class's plane at once."""
    classes = grids[0].shape[0]
    check_classes_fit(classes)
    step = max(1, values_at_once // (size[0] * size[1]))
    best, labels = merge_scales([grid[:step] for grid in grids], size).max(dim=0)
    labels = labels.to(torch.uint8)
    for first in range(step, classes, step):
        value, index = merge_scales([grid[first : first + step] for grid in grids], size).max(dim=0)
        better = value > best  # strictly: at a tie the lower label wins, as in argmax
        best = torch.where(better, value, best)
        labels = torch.where(better, (index + first).to(torch.uint8), labels)
    return labels.cpu().numpy()


@torch.inference_mode()
def cam_label_map(
    cam: Float[Tensor, "K h w"], tags: tuple[int, ...], size: tuple[int, int], background_threshold: float
) -> UInt8[ndarray, "H W"]:
    """A normalised CAM as a label map, for scoring (METHOD §6): only the image's tags can be found.

    Args:
        cam: in [0, 1], at any size.
        tags: indices of the classes in the image, 0 to K-1.
        size: H and W of the label map.
        background_threshold: a pixel at or below it is background.

    Returns:
        0 background, k+1 foreground class k; nothing is ignored.
    """
    if not tags:
        return np.zeros(size, np.uint8)
    index = torch.tensor(tags, device=cam.device)
    present = upsample(cam[index], size)[None]
    found = cam_to_score(present, torch.ones(1, len(tags), device=cam.device), background_threshold)
    labels = torch.cat([index.new_zeros(1), index + 1]).to(torch.uint8)
    return labels[found[0].long()].cpu().numpy()


def check_scales(scales: tuple[float, ...]) -> None:
    """Raise ``TagsegError`` unless there are one or more positive scales."""
    if not scales or min(scales) <= 0:
        raise TagsegError(f"scales are {tuple(scales)}, expected one or more positive factors, e.g. 1.0 1.25 1.5")


def pick_device(device: str) -> torch.device:
    """``auto`` is the first GPU if there is one, else the CPU; anything else is PyTorch's name of a device.

    Raises:
        TagsegError: no such device here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros((), device=device).device
    except (RuntimeError, AssertionError) as error:  # a name PyTorch does not know, or hardware that is not there
        raise TagsegError(f"device {device!r} cannot be used here, expected auto, cpu or cuda") from error
