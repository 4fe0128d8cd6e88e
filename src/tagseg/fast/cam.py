"""Equals ``fsr.cam``: all scales and mirror images go through the encoder together; only requested classes get maps.

The auxiliary CAM alone runs no block after the auxiliary one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from tagseg.fast.engine import Engine
from tagseg.fast.packed_tokens import Group, encode_packed
from tagseg.fast.prepared import Prepared, prepare
from tagseg.fast.present_classes import present_classes, to_all_classes
from tagseg.fast.threads import part_size
from tagseg.fsr.cam import CamClasses, Cams, all_classes, merge_mirror, normalise, scaled_size
from tagseg.model.encoder import Encoder
from tagseg.model.network import Network, evaluating

TOKENS_AT_ONCE = {"cpu": 1_500, "cuda": 65_536}
"""Most tokens that go through the encoder together. CPU: more do not fit its caches; GPU: not measured."""

Size = tuple[int, int]


def class_cams(
    network: Network,
    images: Float[Tensor, "B 3 H W"],
    scales: Sequence[float],
    tags: Float[Tensor, "B K"] | None = None,
    engine: Engine | None = None,
) -> Cams:
    """CAMs of all K classes, (B, K, H, W); with tags only present classes are computed and absent ones are 0."""
    count = len(network.classes)
    if tags is None:
        return multi_scale_cam(network, images, scales, all_classes(images.new_ones(len(images), count)), engine)
    classes = present_classes(tags)
    cams = multi_scale_cam(network, images, scales, classes, engine)
    return Cams(to_all_classes(cams.final, classes, count), to_all_classes(cams.auxiliary, classes, count))


def multi_scale_cam(
    network: Network,
    images: Float[Tensor, "B 3 H W"],
    scales: Sequence[float],
    classes: CamClasses,
    engine: Engine | None = None,
    prepared: Prepared | None = None,
) -> Cams:
    """Equals ``fsr.cam.multi_scale_cam``.

    Args:
        network: student or teacher.
        images: normalised.
        scales: factors of the images' size.
        classes: whose maps are wanted.
        engine: what it runs on.
        prepared: the network's encoder, if it is prepared already; otherwise it is prepared here.
    """
    return Cams(*_sum_over_scales(network, images, scales, classes, engine or Engine(), prepared, final=True))


def auxiliary_cam(
    network: Network,
    images: Float[Tensor, "B 3 H W"],
    scales: Sequence[float],
    classes: CamClasses,
    engine: Engine | None = None,
    prepared: Prepared | None = None,
) -> Float[Tensor, "B n H W"]:
    """Equals ``fsr.cam.auxiliary_cam``; arguments as of ``multi_scale_cam``."""
    (auxiliary,) = _sum_over_scales(network, images, scales, classes, engine or Engine(), prepared, final=False)
    return auxiliary


@torch.no_grad()
def _sum_over_scales(
    network: Network,
    images: Tensor,
    scales: Sequence[float],
    classes: CamClasses,
    engine: Engine,
    prepared: Prepared | None,
    final: bool,
) -> list[Float[Tensor, "B n H W"]]:
    """Normalised sums over the scales of the final maps (if asked for) and of the auxiliary ones."""
    size, device = (images.shape[-2], images.shape[-1]), images.device
    sizes = [scaled_size(size, scale, network.patch_size) for scale in scales]
    tokens = sum(2 * height * width // network.patch_size**2 for height, width in sizes)
    most = TOKENS_AT_ONCE.get(device.type, TOKENS_AT_ONCE["cpu"]) // tokens
    at_once = part_size(len(images), most, device)
    parts = list(zip(images.split(at_once), classes.index.split(at_once), strict=True))
    ready = prepare(network.encoder, images, engine) if prepared is None else prepared

    def tokens_of(part: Tensor) -> tuple[Tensor, ...]:
        inputs = [_with_mirror(part, to) for to in sizes]
        groups = encode_packed(ready.encoder, inputs, ready.packed, engine.run_block, final)
        return tuple(tokens for group in groups for tokens in _read(ready.encoder, group, final))

    def maps_of(part: tuple[Tensor, Tensor]) -> list[Tensor]:
        tokens = ready.run(f"CAM at {sizes}, final {final}", tokens_of, part[0])
        return _sums_of_maps(network, tokens, part[1], sizes, size, final)

    with evaluating(network):
        results = engine.cores.map(maps_of, parts, device)
    return [normalise(torch.cat(maps)) for maps in zip(*results, strict=True)]


def _with_mirror(images: Float[Tensor, "b 3 H W"], size: Size) -> Float[Tensor, "b2 3 h w"]:
    """Images at a size, then their mirror images."""
    if size != (images.shape[-2], images.shape[-1]):
        images = F.interpolate(images, size=size, mode="bilinear", align_corners=False)
    return torch.cat([images, images.flip(-1)])


def _read(encoder: Encoder, group: Group, final: bool) -> list[Float[Tensor, "b2 N D"]]:
    """What the classifiers read of the inputs of one size: the final one, if it is asked for, and the auxiliary one."""
    return [encoder.norm(group.tokens), group.auxiliary] if final else [group.auxiliary]


def _sums_of_maps(
    network: Network,
    tokens: Sequence[Float[Tensor, "b2 _N D"]],
    index: Int64[Tensor, "b n"],
    sizes: Sequence[Size],
    size: Size,
    final: bool,
) -> list[Float[Tensor, "b n H W"]]:
    """Sums over scales of the maps of each image's classes, not normalised; ``tokens``: ``_read`` of each scale."""
    classifiers = [network.classifier, network.aux_classifier] if final else [network.aux_classifier]
    sums: list[Tensor] = []
    for scale, (height, width) in enumerate(sizes):
        grid = (height // network.patch_size, width // network.patch_size)
        read = tokens[scale * len(classifiers) :][: len(classifiers)]
        maps = [_maps(values, classifier, index, grid) for values, classifier in zip(read, classifiers, strict=True)]
        merged = [merge_mirror(m, size) for m in maps]
        sums = [a + b for a, b in zip(sums, merged, strict=True)] if sums else merged
    return sums


def _maps(
    tokens: Float[Tensor, "b2 N D"], classifier: nn.Conv2d, index: Int64[Tensor, "b n"], grid: Size
) -> Float[Tensor, "b2 n h w"]:
    """ReLU of the 1×1 classifier, for each image's own classes alone."""
    weights = classifier.weight.flatten(1)[index].repeat(2, 1, 1)  # (2b, n, D): images, then their mirror images
    return F.relu(weights.to(tokens.dtype) @ tokens.transpose(1, 2)).unflatten(2, grid)
