"""What ``crf.py`` measures on: photos, probabilities, the peer, the plain float64 form; and how it times and prints."""

from __future__ import annotations

import platform
import statistics
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from tagseg.config import CrfConfig
from tagseg.data.images import find_images, image_size, read_image
from tagseg.errors import TagsegError

SHARED = Path(__file__).resolve().parents[2] / "shared"
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
    with np.load(SHARED / "golden" / "dense_crf_china.npz") as arrays:
        photo, labels = arrays["image"], arrays["argmax"]
        small = torch.from_numpy(arrays["logits_small"])
    logits = F.interpolate(small, size=labels.shape, mode="bicubic", align_corners=False)[0]
    return Golden(photo, logits.softmax(dim=0), labels)


def voc_photos(count: int) -> list[Photo]:
    """Photos of voc20mix's ``val``, spread evenly over the list, at native size (longer side at most 256 px)."""
    root = SHARED / "data" / "voc20mix"
    names = (root / "ImageSets" / "Segmentation" / "val.txt").read_text().split()
    return [read_image(root / "JPEGImages" / f"{names[i]}.jpg") for i in _spread(len(names), count)]


def coco_photos(count: int) -> list[Photo]:
    """500 × 375 pixels at the top left of photos of tiny_coco's ``val2017`` that are large enough, spread evenly."""
    height, width = SIZE
    paths = find_images(SHARED / "data" / "tiny_coco" / "val2017")
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
    """The kinds of probabilities that are measured with; the network's last, if there is one.

    ``--quick`` needs none: the logits that one gave on its photos are stored beside this file.
    """
    kinds: dict[str, Probabilities] = {RANDOM: lambda photo, seed: random_probabilities(photo.shape[:2], seed)}
    if quick and not model:
        kinds[NETWORK] = lambda photo, _: stored_probabilities(photo)
    elif model:
        from tagseg.inference.predict import open_network  # timm takes seconds to import, also in the peer's processes
        from tagseg.inference.segment import multi_scale_logits, to_input

        network = open_network(model, "cpu")
        kinds[NETWORK] = lambda photo, _: multi_scale_logits(network, to_input(network, photo)).softmax(dim=0).clone()
    return kinds


def _key(photo: Photo) -> str:
    return f"{zlib.crc32(photo.tobytes()):08x}"


def stored_probabilities(photo: Photo) -> Planes:
    """What the network of docs/voc20mix.md gave for one of the photos of ``--quick``."""
    from tagseg.inference.segment import merge_scales

    with np.load(STORED) as arrays:
        names = sorted(name for name in arrays if name.startswith(_key(photo)))
        grids = [torch.from_numpy(arrays[name]).float() for name in names]
    if not grids:
        raise TagsegError(f"{STORED.name} holds no logits of a photo of --quick: write it anew with --store")
    return merge_scales(grids, photo.shape[:2]).softmax(dim=0).clone()


def store(model: str, photos: Sequence[Photo]) -> None:
    """Keep a network's logits of photos, each scale on its own patch grid in half precision."""
    from tagseg.inference.predict import open_network
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
    """Mean field in float64 with both N × N kernels in memory, nothing cut off: what every other form stands for."""
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


def timed(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way in each round, the ways taking turns; each is called once before, to warm up."""
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def median_times(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """As ``timed``, the median of each; more rounds where one takes milliseconds."""
    seconds = timed(ways, rounds)
    slowest = max(max(values) for values in seconds.values())
    more = min(20, int(0.2 / slowest)) - rounds
    if more > 0:
        seconds = {name: seconds[name] + values for name, values in timed(ways, more).items()}
    return {name: statistics.median(values) for name, values in seconds.items()}


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]], note: str = "") -> None:
    """Print a markdown table under a title, with a note below."""
    print(f"\n### {title}\n")
    for line in (header, ["---"] * len(header), *rows):
        print("| " + " | ".join(str(cell) for cell in line) + " |")
    if note:
        print(f"\n{note}")
    print(end="", flush=True)


def machine() -> str:
    """Processor, threads and torch, as the other benchmarks name them."""
    processor = platform.processor() or platform.machine()
    return f"{processor}, {torch.get_num_threads()} threads, torch {torch.__version__}"
