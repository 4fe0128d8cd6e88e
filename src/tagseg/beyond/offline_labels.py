"""Labels of the training images that exist before the first step: by a boundary prior, or the ground truth.

Not in the paper, which makes pseudo-labels at every step from the CAMs of the network as it is; a short training ends
before those are meaningful. These cost one pass of the pretrained encoder, and are files that a person can open.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from tagseg.beyond.boundary_prior import BoundaryPrior, fit_boundary_prior, pseudo_label
from tagseg.beyond.config import BeyondConfig
from tagseg.beyond.linear_probe import Loading
from tagseg.beyond.made_from import Origin
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.images import image_size
from tagseg.data.loaders import whole_loader
from tagseg.data.masks import MaskFile, save_mask
from tagseg.model.fingerprint import weights_fingerprint
from tagseg.model.network import Network, evaluating
from tagseg.progress import with_progress

MOST_IMAGES = 1_000
"""Of a larger collection, the prior is fitted to this many images, sampled evenly; all images get labels."""

logger = logging.getLogger("tagseg")


def ground_truth_labels(images: TaggedImages) -> TaggedImages:
    """The images with their ground-truth masks as labels: full supervision, as an upper bound."""
    return replace(images, samples=tuple(replace(sample, label=sample.mask) for sample in images.samples))


def offline_labels(
    network: Network,
    images: TaggedImages,
    config: BeyondConfig,
    loading: Loading,
    folder: Path,
    device: torch.device,
    keep: bool = False,
) -> TaggedImages:
    """The images with pseudo-labels of the boundary prior.

    Args:
        network: with a pretrained encoder; its auxiliary features are read. It is moved to the device and back.
        images: the training images; no mask is read.
        config: ``boundary_size`` and ``foreground_share``.
        loading: how images are loaded.
        folder: for the label maps, PNGs at the images' size.
        device: computes the features.
        keep: keep label maps that exist and were made from the same, as a resumed training does.
    """
    origin = boundary_origin(network, images, config)
    missing = missing_labels(images, folder, keep, origin, tell=True)
    if missing:
        origin.write(folder, without=[sample.name for sample in missing])
        logger.info("making pseudo-labels of %d images with the boundary prior: %s", len(missing), folder)
        if network.config.weights == "none":
            logger.warning("its weights are random (network.weights none): labels then follow colours, if anything")
        place = next(network.parameters()).device
        some = images.every(-(-len(images) // MOST_IMAGES))
        with evaluating(network.to(device)):
            features, tags = (torch.cat(parts) for parts in zip(*encoded(network, some, config, loading), strict=True))
            prior = fit_boundary_prior(features, tags, config.foreground_share)
            if len(some) == len(missing) == len(images):
                _write(prior, [(features, tags)], missing, folder)
            else:
                rest = replace(images, samples=tuple(missing))
                _write(prior, encoded(network, rest, config, loading), missing, folder)
        network.to(place)
        origin.write(folder)
    return with_label_files(images, folder)


def label_file(folder: Path, name: str) -> Path:
    """Where the label map of an image of that name is."""
    return folder / f"{name}.png"


def boundary_origin(network: Network, images: TaggedImages, config: BeyondConfig) -> Origin:
    """What label maps of the boundary prior are made from."""
    settings = {"labels": "boundary", "size": config.boundary_size, "foreground_share": config.foreground_share}
    return Origin.of(images, weights_fingerprint(network), settings)


def missing_labels(images: TaggedImages, folder: Path, keep: bool, origin: Origin, tell: bool = False) -> list[Sample]:
    """The images whose label maps are to be made.

    Args:
        images: the training images.
        folder: of the label maps.
        keep: only those that have none in the folder, or one that was made from something else.
        origin: what they would be made from now.
        tell: say which are made anew, and why.
    """
    if not keep:
        return list(images.samples)
    outdated = origin.outdated(folder, lambda name: label_file(folder, name).is_file())
    if tell:
        outdated.tell()
    return [s for s in images.samples if s.name in outdated.names or not label_file(folder, s.name).is_file()]


def with_label_files(images: TaggedImages, folder: Path) -> TaggedImages:
    """The images with the label maps in a folder as labels."""
    count = len(images.classes)
    samples = (
        replace(sample, label=MaskFile(label_file(folder, sample.name), sample.image, count))
        for sample in images.samples
    )
    return replace(images, samples=tuple(samples))


@torch.no_grad()
def encoded(
    network: Network, images: TaggedImages, config: BeyondConfig, loading: Loading
) -> Iterator[tuple[Float[Tensor, "B D h w"], Float[Tensor, "B K"]]]:
    """Auxiliary features of whole images, on the CPU in half precision, and their tags, batch by batch."""
    device, patch = next(network.parameters()).device, network.patch_size
    size = max(1, round(config.boundary_size / patch)) * patch
    loader = whole_loader(images, size, loading.val_batch, loading.workers, device)
    for batch, tags in with_progress(loader, "features", "batch"):
        features = network.encoder(network.normalise(batch.to(device))).auxiliary
        yield features.half().cpu(), tags


def _write(
    prior: BoundaryPrior, batches: Iterable[tuple[Tensor, Tensor]], samples: Sequence[Sample], folder: Path
) -> None:
    """Label maps of the samples, whose features and tags the batches hold in their order."""
    remaining = iter(samples)
    for batch, batch_tags in batches:
        for features, tags in zip(batch, batch_tags, strict=True):
            sample = next(remaining)
            label = pseudo_label(prior, features, tags, image_size(sample.image))
            save_mask(label_file(folder, sample.name), label.to(torch.uint8).numpy())
