"""Multi-scale class activation maps (METHOD §2). ``cam_plain`` is the same without any of the shortcuts here.

All scales and mirrors of some images go through the encoder together; only the classes asked for get a map; the
auxiliary CAM alone runs no block behind its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from tagseg.model.cores import on_each_core, part_size
from tagseg.model.network import Network
from tagseg.model.onednn import weights_packed
from tagseg.model.packed import Group, encode_packed
from tagseg.pseudo.present import Present, present_classes

TOKENS_AT_ONCE = {"cpu": 1_500, "cuda": 65_536}
"""Most tokens that go through the encoder together. CPU: more do not fit its caches; GPU: not measured."""


@dataclass
class Cams:
    """Normalised class activation maps of B images.

    Attributes:
        final: (B, K, H, W) in [0, 1], of the final map.
        auxiliary: (B, K, H, W) in [0, 1], of the auxiliary map.
    """

    final: Tensor
    auxiliary: Tensor


def multi_scale_cam(
    network: Network,
    images: Float[Tensor, "B 3 H W"],
    scales: Sequence[float],
    tags: Float[Tensor, "B K"] | None = None,
) -> Cams:
    """CAMs of normalised images: maximum of image and mirror, summed over scales, then normalised (METHOD §2).

    Sizes are rounded to multiples of the patch. No gradient, no stochastic depth.

    Args:
        network: whose CAMs.
        images: normalised.
        scales: factors of the images' size.
        tags: 0 or 1; if given, only present classes are computed and absent ones are 0, at a fraction of the cost.
    """
    count = len(network.classes)
    present = present_classes(images.new_ones(len(images), count) if tags is None else tags)
    cams = present_cam(network, images, scales, present)
    return Cams(present.scatter(cams.final, count), present.scatter(cams.auxiliary, count))


def present_cam(network: Network, images: Float[Tensor, "B 3 H W"], scales: Sequence[float], present: Present) -> Cams:
    """``multi_scale_cam`` of the present classes alone, (B, n, H, W): no map in memory that nobody asked for."""
    return Cams(*_sum_over_scales(network, images, scales, present, final=True))


def present_aux_cam(
    network: Network, images: Float[Tensor, "B 3 H W"], scales: Sequence[float], present: Present
) -> Float[Tensor, "B n H W"]:
    """Only the auxiliary CAM of the present classes: runs no layer behind the auxiliary one."""
    (auxiliary,) = _sum_over_scales(network, images, scales, present, final=False)
    return auxiliary


def normalise(cam: Float[Tensor, "B K H W"]) -> Float[Tensor, "B K H W"]:
    """Per image and class: subtract the minimum, divide by (maximum + 1e-5)."""
    cam = cam - cam.amin(dim=(2, 3), keepdim=True)
    return cam / (cam.amax(dim=(2, 3), keepdim=True) + 1e-5)


@torch.no_grad()
def _sum_over_scales(
    network: Network, images: Tensor, scales: Sequence[float], present: Present, final: bool
) -> list[Float[Tensor, "B n H W"]]:
    """Normalised sum over scales of the final (if asked for) and the auxiliary maps of the present classes."""
    sizes = [_scaled_size(images.shape[-2:], scale, network.patch_size) for scale in scales]
    tokens = sum(2 * height * width // network.patch_size**2 for height, width in sizes)
    most = TOKENS_AT_ONCE.get(images.device.type, TOKENS_AT_ONCE["cpu"]) // tokens
    at_once = part_size(len(images), most, images.device)
    some = list(zip(images.split(at_once), present.classes.split(at_once), strict=True))
    with evaluating(network), weights_packed(network.encoder.blocks):
        parts = on_each_core(lambda part: _some_images(network, *part, sizes, final), some, images.device)
    return [normalise(torch.cat(maps)) for maps in zip(*parts, strict=True)]


def _some_images(
    network: Network,
    images: Float[Tensor, "b 3 H W"],
    classes: Int64[Tensor, "b n"],
    sizes: Sequence[tuple[int, int]],
    final: bool,
) -> list[Float[Tensor, "b n H W"]]:
    """Sums over scales of the maps of each image's classes, not normalised."""
    inputs = []
    for size in sizes:
        scaled = images
        if size != tuple(images.shape[-2:]):
            scaled = F.interpolate(images, size=size, mode="bilinear", align_corners=False)
        inputs.append(torch.cat([scaled, scaled.flip(-1)]))
    groups = encode_packed(network.encoder, inputs, final)
    weights = [network.classifier, network.aux_classifier] if final else [network.aux_classifier]
    sums: list[Tensor] = []
    for group in groups:
        tokens = [network.encoder.norm(group.tokens), group.auxiliary] if final else [group.auxiliary]
        maps = [_maps(t, w, classes, group) for t, w in zip(tokens, weights, strict=True)]
        merged = [_merge_mirror(m, images.shape[-2:]) for m in maps]
        sums = [a + b for a, b in zip(sums, merged, strict=True)] if sums else merged
    return sums


def _maps(
    tokens: Float[Tensor, "b2 N D"], classifier: nn.Conv2d, classes: Int64[Tensor, "b n"], group: Group
) -> Float[Tensor, "b2 n h w"]:
    """ReLU of the 1×1 classifier, for each image's own classes alone."""
    weights = classifier.weight.flatten(1)[classes].repeat(2, 1, 1)  # (2b, n, D): images, then their mirrors
    return F.relu(weights @ tokens.transpose(1, 2).to(weights)).unflatten(2, group.grid)


def _merge_mirror(maps: Float[Tensor, "b2 n h w"], size: Sequence[int]) -> Float[Tensor, "b n H W"]:
    """Upsample, mirror the second half back, take the maximum of both halves."""
    image, mirror = F.interpolate(maps.float(), size=tuple(size), mode="bilinear", align_corners=False).chunk(2)
    return torch.maximum(image, mirror.flip(-1))


def _scaled_size(size: Sequence[int], scale: float, patch: int) -> tuple[int, int]:
    height, width = (max(1, round(side * scale / patch)) * patch for side in size)
    return height, width


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Switch stochastic depth off, and back on afterwards where it was on."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)
