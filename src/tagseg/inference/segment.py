"""From one image to its label map: the segmentation head at several scales, or a CAM (section 9 of docs/method.md).

Logits stay on the patch grid as long as possible. They are upsampled for a few classes at a time, so that memory does
not grow with the number of classes.
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

from tagseg.data.transfer import send
from tagseg.errors import TagsegError
from tagseg.fsr.pseudo_labels import cam_to_score
from tagseg.inference.precision import Precision, computing
from tagseg.model.network import Network

SCALES = (1.0, 1.25, 1.5)
MAX_SIDE = 1024
_VALUES_AT_ONCE = 1 << 26  # upsampled logits in memory at a time: 256 MB of float32


@dataclass(frozen=True)
class Sizing:
    """Input size of the network at scale 1.

    Attributes:
        size: side in pixels of a square that images are resized to; ``None``: native size.
        max_side: longest side in pixels; larger images are downsampled (label maps keep the native size). ``None`` or
            0: no limit. Attention takes time in the fourth power of the side, and in larger photos objects are larger
            than in training. Images of VOC and COCO are smaller, so their scores do not depend on it.
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
        """Height and width in pixels, reduced to a longer side of at most ``max_side``."""
        shrink = min(1.0, self.max_side / max(height, width)) if self.max_side else 1.0
        return max(1, round(height * shrink)), max(1, round(width * shrink))


NATIVE = Sizing()


def to_input(network: Network, image: UInt8[ndarray, "H W 3"]) -> Float[Tensor, "1 3 H W"]:
    """The image as input of the network: normalised, on its device."""
    pixels = send(torch.from_numpy(np.ascontiguousarray(image)), next(network.parameters()).device)
    return network.normalise(pixels.permute(2, 0, 1)[None])


def resize(images: Float[Tensor, "B c H W"], size: tuple[int, int]) -> Float[Tensor, "B c H2 W2"]:
    """Bilinear resizing, antialiased where it downsamples."""
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)


def upsample(grid: Float[Tensor, "c h w"], size: tuple[int, int]) -> Float[Tensor, "c H W"]:
    """Bilinear upsampling from patches to pixels."""
    return F.interpolate(grid[None], size=size, mode="bilinear", align_corners=False)[0]


@torch.inference_mode()
def scale_logits(
    network: Network,
    image: Float[Tensor, "1 3 H W"],
    scales: tuple[float, ...] = SCALES,
    mirror: bool = True,
    sizing: Sizing = NATIVE,
) -> list[Float[Tensor, "C _h _w"]]:
    """Segmentation logits of each scale on its patch grid, summed over the image and its horizontal flip.

    In section 9 of docs/method.md the sum follows the upsampling, which gives the same, as upsampling is linear and
    symmetric; this order takes half the time.

    Args:
        network: in evaluation mode.
        image: normalised.
        scales: factors of the image size.
        mirror: test-time flip augmentation (image and horizontal flip).
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
    """As ``scale_logits``, for a batch of images with equal input sizes at each scale; float32."""
    check_scales(scales)

    def at_scales(image: Float[Tensor, "1 3 H W"]) -> list[Float[Tensor, "1 3 _H _W"]]:
        sizes = (sizing.at(image.shape[2], image.shape[3], scale, network.patch_size) for scale in scales)
        return [resize(image, size) for size in sizes]

    views = [at_scales(image) for image in images]  # the images themselves are not kept: a photo can be very large
    grids: list[list[Tensor]] = [[] for _ in views]
    for same in zip(*views, strict=True):
        together = torch.cat([*same, *(view.flip(-1) for view in same)] if mirror else same)
        with computing(network, precision):
            logits = network.segment_logits(together)
        logits = logits.float()
        if mirror:
            logits = logits[: len(same)] + logits[len(same) :].flip(-1)
        for own, grid in zip(grids, logits, strict=True):
            own.append(grid)
    return grids


@torch.inference_mode()
def merge_scales(grids: list[Float[Tensor, "C _h _w"]], size: tuple[int, int]) -> Float[Tensor, "C H W"]:
    """Upsample the logits of each scale to ``size`` (H, W) and take their maximum over scales."""
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
    """Logits of all classes and pixels at the image's native size; arguments as of ``scale_logits``."""
    return merge_scales(scale_logits(network, image, scales, mirror, sizing), (image.shape[2], image.shape[3]))


def most_likely(logits: Float[Tensor, "C H W"]) -> UInt8[ndarray, "H W"]:
    """Label map, 0 to C-1: the argmax; at a tie the lower label.

    Raises:
        TagsegError: more than 255 classes.
    """
    check_classes_fit(logits.shape[0])
    return logits.max(dim=0).indices.to(torch.uint8).cpu().numpy()  # argmax takes five times as long on a CPU


def check_classes_fit(classes: int) -> None:
    """Raise ``TagsegError`` if there are more than 255 classes: labels are bytes, and 255 is ignored."""
    if classes > 255:
        raise TagsegError(f"cannot write {classes} classes as 8-bit labels, expected at most 255 with the background")


@torch.inference_mode()
def label_map(
    grids: list[Float[Tensor, "C _h _w"]], size: tuple[int, int], values_at_once: int = _VALUES_AT_ONCE
) -> UInt8[ndarray, "H W"]:
    """Label map, 0 to C-1: the argmax of ``merge_scales``, computed for a few classes at a time."""
    classes = grids[0].shape[0]
    check_classes_fit(classes)
    step = max(1, values_at_once // (size[0] * size[1]))
    best, labels = merge_scales([grid[:step] for grid in grids], size).max(dim=0)
    labels = labels.to(torch.uint8)
    for first in range(step, classes, step):
        value, index = merge_scales([grid[first : first + step] for grid in grids], size).max(dim=0)
        better = value > best  # strictly: at a tie the lower label is kept, as in argmax
        best = torch.where(better, value, best)
        labels = torch.where(better, (index + first).to(torch.uint8), labels)
    return labels.cpu().numpy()


@torch.inference_mode()
def cam_label_map(
    cam: Float[Tensor, "K h w"], tags: tuple[int, ...], size: tuple[int, int], background_threshold: float
) -> UInt8[ndarray, "H W"]:
    """A normalised CAM as a label map for scoring (section 6 of docs/method.md), limited to the image's tags.

    Args:
        cam: in [0, 1], at any size.
        tags: indices of the classes in the image, 0 to K-1.
        size: H and W of the label map.
        background_threshold: pixels at or below it are background.

    Returns:
        0 background, k+1 foreground class k; nothing is ignored.
    """
    if not tags:
        return np.zeros(size, np.uint8)
    index = torch.tensor(tags, device=cam.device)
    present = upsample(cam[index], size)[None]
    positions = cam_to_score(present, torch.ones(1, len(tags), device=cam.device), background_threshold)
    labels = torch.cat([index.new_zeros(1), index + 1]).to(torch.uint8)
    return labels[positions[0].long()].cpu().numpy()


def check_scales(scales: tuple[float, ...]) -> None:
    """Raise ``TagsegError`` unless there are one or more positive scales."""
    if not scales or min(scales) <= 0:
        raise TagsegError(f"scales are {tuple(scales)}, expected one or more positive factors, e.g. 1.0 1.25 1.5")


def pick_device(device: str) -> torch.device:
    """``auto``: the first GPU if there is one, else the CPU; otherwise PyTorch's name of a device.

    Raises:
        TagsegError: the device does not exist.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros((), device=device).device
    except (RuntimeError, AssertionError, TypeError) as error:  # no such name or hardware
        raise TagsegError(f"device {device!r} cannot be used here, expected auto, cpu or cuda") from error
