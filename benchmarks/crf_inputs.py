"""What ``crf.py`` measures on: photos, probabilities, the peer, and the plain form in float64."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from shared import GOLDEN, PHOTOS, SHARED
from tagseg.data.images import image_size, read_image
from tagseg.data.listing import list_photos, photo_paths
from tagseg.errors import TagsegError
from tagseg.pairwise.config import CrfConfig

COCO = SHARED / "data" / "tiny_coco" / "val2017"
SIZE = (375, 500)
"""Height and width in pixels of VOC's most common photo."""
CLASSES = 21
LEAST = 1e-10
"""Probabilities are clipped here before the logarithm, for the peer as in ours."""
RANDOM = "random"
NETWORK = "network"
STORED = Path(__file__).with_name("crf_logits.npz")

Photo: TypeAlias = UInt8[ndarray, "H W 3"]
Labels: TypeAlias = UInt8[ndarray, "H W"]
Planes: TypeAlias = Float[Tensor, "C H W"]
Probabilities: TypeAlias = Callable[[Photo, int], Planes]
"""A photo and a seed → the probabilities of its pixels."""


@dataclass(frozen=True)
class Golden:
    """A stored result of the published C++ implementation."""

    photo: Photo
    probabilities: Planes
    labels: Labels


def golden_crf() -> Golden:
    """Photo, probabilities and labels of ``dense_crf_china.npz``."""
    with np.load(GOLDEN / "dense_crf_china.npz") as arrays:
        photo, labels = arrays["image"], arrays["argmax"]
        small = torch.from_numpy(arrays["logits_small"])
    logits = F.interpolate(small, size=labels.shape, mode="bicubic", align_corners=False)[0]
    return Golden(photo, logits.softmax(dim=0), labels)


def voc_photos(count: int) -> list[Photo]:
    """Photos of voc20mix's ``val``, spread evenly over the list, at native size (longer side at most 256 px)."""
    names = (PHOTOS / "ImageSets" / "Segmentation" / "val.txt").read_text().split()
    return [read_image(PHOTOS / "JPEGImages" / f"{names[i]}.jpg") for i in _spread(len(names), count)]


def coco_photos(count: int) -> list[Photo]:
    """500 × 375 pixels at the top left of photos of tiny_coco's ``val2017`` that are large enough, spread evenly."""
    height, width = SIZE
    paths = photo_paths(list_photos(COCO))
    large = [path for path, (h, w) in ((path, image_size(path)) for path in paths) if h >= height and w >= width]
    return [np.ascontiguousarray(read_image(large[i])[:height, :width]) for i in _spread(len(large), count)]


def _spread(total: int, count: int) -> list[int]:
    return [int(i) for i in np.linspace(0, total - 1, min(count, total)).round()]


def resized(photo: Photo, size: tuple[int, int]) -> Photo:
    """The photo at another height and width, 0 to 255."""
    pixels = resized_planes(torch.from_numpy(photo).permute(2, 0, 1).float(), size)
    return pixels.permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).contiguous().numpy()


def resized_planes(planes: Planes, size: tuple[int, int]) -> Planes:
    """Bilinear, averaging where it shrinks: probabilities still sum to 1."""
    return F.interpolate(planes[None], size=size, mode="bilinear", align_corners=False, antialias=True)[0]


def random_probabilities(size: tuple[int, int], seed: int, classes: int = CLASSES) -> Planes:
    """Every class wins somewhere, so all have to be filtered: softmax of normal logits (σ 3) on 24 × 32 patches."""
    grid = 3 * torch.randn(1, classes, 24, 32, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(grid, size=size, mode="bilinear", align_corners=False)[0].softmax(dim=0)


def sources(model: str | None, quick: bool = False) -> dict[str, Probabilities]:
    """The kinds of probabilities; the last one is that of a network, if there is one. ``--quick`` has stored logits."""
    kinds: dict[str, Probabilities] = {RANDOM: lambda photo, seed: random_probabilities(photo.shape[:2], seed)}
    if quick and not model:
        kinds[NETWORK] = lambda photo, _: stored_probabilities(photo)
    elif model:
        from tagseg.inference.predictor import (
            open_network,
        )  # timm takes seconds to import, also in the peer's processes
        from tagseg.inference.segment import multi_scale_logits, to_input

        network = open_network(model, "cpu")
        kinds[NETWORK] = lambda photo, _: multi_scale_logits(network, to_input(network, photo)).softmax(dim=0).clone()
    return kinds


def _key(photo: Photo) -> str:
    return f"{zlib.crc32(photo.tobytes()):08x}"


def stored_probabilities(photo: Photo) -> Planes:
    """Probabilities of the network of docs/voc20mix.md for one of the photos of ``--quick``."""
    from tagseg.inference.segment import merge_scales

    with np.load(STORED) as arrays:
        names = sorted(name for name in arrays if name.startswith(_key(photo)))
        grids = [torch.from_numpy(arrays[name]).float() for name in names]
    if not grids:
        raise TagsegError(f"{STORED.name} holds no logits of a photo of --quick: write it anew with --store")
    return merge_scales(grids, photo.shape[:2]).softmax(dim=0).clone()


def store(model: str, photos: Sequence[Photo]) -> None:
    """Keep a network's logits of photos, each scale on its own patch grid in half precision."""
    from tagseg.inference.predictor import open_network
    from tagseg.inference.segment import scale_logits, to_input

    network = open_network(model, "cpu")
    arrays = {
        f"{_key(photo)}_{scale}": grid.half().numpy()
        for photo in photos
        for scale, grid in enumerate(scale_logits(network, to_input(network, photo)))
    }
    np.savez_compressed(STORED, **arrays)  # type: ignore[arg-type]  # its stubs take keywords for flags


def planes_of(kinds: dict[str, Probabilities], photos: Sequence[Photo]) -> dict[str, list[Planes]]:
    """The probabilities of each kind, of each photo."""
    return {kind: [source(photo, seed) for seed, photo in enumerate(photos)] for kind, source in kinds.items()}


def peer_labels(probabilities: Float[ndarray, "C H W"], photo: Photo) -> Labels:
    """pydensecrf2's labels at the published settings."""
    import pydensecrf.densecrf as peer

    config = CrfConfig()
    classes, height, width = probabilities.shape
    model = peer.DenseCRF2D(width, height, classes)
    model.setUnaryEnergy(-np.log(np.maximum(probabilities, np.float32(LEAST))).reshape(classes, -1))
    model.addPairwiseGaussian(sxy=config.gaussian_sigma, compat=config.gaussian_weight)
    sigma_xy, sigma_rgb = config.bilateral_sigma_xy, config.bilateral_sigma_rgb
    model.addPairwiseBilateral(sxy=sigma_xy, srgb=sigma_rgb, rgbim=photo, compat=config.bilateral_weight)
    marginals = np.asarray(model.inference(config.iterations))
    return marginals.argmax(axis=0).astype(np.uint8).reshape(height, width)


def plain_marginals(probabilities: Planes, photo: Photo, config: CrfConfig) -> Float[Tensor, "C H W"]:
    """Mean field in float64 with both N × N kernels in memory, nothing cut off: what the other forms approximate."""
    classes, height, width = probabilities.shape
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    place = torch.stack([x.flatten(), y.flatten()], dim=1)
    colour = torch.from_numpy(photo).double().reshape(-1, 3)
    both = torch.cat([place / config.bilateral_sigma_xy, colour / config.bilateral_sigma_rgb], dim=1)
    kernel = config.gaussian_weight * _normalised(place / config.gaussian_sigma)
    kernel += config.bilateral_weight * _normalised(both)
    unary = probabilities.double().reshape(classes, -1).T.clamp(min=LEAST).log()
    q = unary.softmax(dim=1)
    for _ in range(config.iterations):
        q = (unary + kernel @ q).softmax(dim=1)
    return q.T.reshape(classes, height, width)


def _normalised(points: Float[Tensor, "N F"]) -> Float[Tensor, "N N"]:
    """n_i exp(−½‖f_i − f_j‖²) n_j with n_i = 1 / √(Σ_j k_ij)."""
    squared = sum((column[:, None] - column[None]).square() for column in points.T)
    kernel = torch.exp(-0.5 * squared)
    norm = kernel.sum(dim=1).rsqrt()
    return norm[:, None] * kernel * norm
