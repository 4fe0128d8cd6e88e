"""Labels of the training images, made once before the first step by ``pseudo.border``. Not in the paper.

The paper makes them anew in every step from the CAMs of the network as it is; a short training ends before those mean
much. These cost one pass of the pretrained encoder over the images, and are files that a person can open.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from tagseg.config import Config
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.images import image_size
from tagseg.data.loaders import whole_loader
from tagseg.data.masks import PngMask
from tagseg.inference.export import save_mask
from tagseg.model.network import Network
from tagseg.pseudo.border import BorderModel, border_label, fit_border_model
from tagseg.pseudo.cam import evaluating

MOST_IMAGES = 1_000
"""Of a larger collection the model is fitted to so many, at even distances; all get labels."""

logger = logging.getLogger("tagseg")


def first_labels(
    network: Network, images: TaggedImages, config: Config, folder: Path, device: torch.device, keep: bool = False
) -> TaggedImages:
    """The images with labels from the border in place of their masks.

    Args:
        network: with a pretrained encoder; its auxiliary features are read. It is moved to the device and back.
        images: the training images; no mask of theirs is read.
        config: ``labels.border_size`` and ``labels.foreground_share``.
        folder: for the label maps, PNGs at the images' size.
        device: computes the features.
        keep: those label maps that are there, as a training that goes on does.
    """
    paths = {sample.name: label_file(folder, sample.name) for sample in images.samples}
    missing = [sample for sample in images.samples if not (keep and paths[sample.name].is_file())]
    if missing:
        logger.info("making first labels of %d images from what their borders do not show: %s", len(missing), folder)
        if config.network.weights == "none":
            logger.warning("its weights are random (network.weights none): labels then follow colours, if anything")
        place = next(network.parameters()).device
        some = images.every(-(-len(images) // MOST_IMAGES))
        with evaluating(network.to(device)):
            features, tags = (torch.cat(parts) for parts in zip(*encoded(network, some, config), strict=True))
            model = fit_border_model(features, tags, config.labels.foreground_share)
            if len(some) == len(missing) == len(images):
                _write(model, [(features, tags)], missing, paths)
            else:
                _write(model, encoded(network, replace(images, samples=tuple(missing)), config), missing, paths)
        network.to(place)
    samples = tuple(
        replace(sample, mask=PngMask(paths[sample.name], sample.image, len(images.classes)))
        for sample in images.samples
    )
    return replace(images, samples=samples)


def label_file(folder: Path, name: str) -> Path:
    """Where the label map of an image of that name is."""
    return folder / f"{name}.png"


@torch.no_grad()
def encoded(
    network: Network, images: TaggedImages, config: Config
) -> Iterator[tuple[Float[Tensor, "B D h w"], Float[Tensor, "B K"]]]:
    """Auxiliary features of whole images, on the CPU in half precision, and their tags, batch by batch."""
    device, patch = next(network.parameters()).device, network.patch_size
    loader = whole_loader(images, config, max(1, round(config.labels.border_size / patch)) * patch)
    for batch, tags in tqdm(loader, desc="features", unit="batch", delay=2, disable=None):
        features = network.encoder(network.normalise(batch.to(device))).auxiliary
        yield features.half().cpu(), tags


def _write(
    model: BorderModel, batches: Iterable[tuple[Tensor, Tensor]], samples: Sequence[Sample], paths: dict[str, Path]
) -> None:
    """Label maps of the samples, whose features and tags the batches hold in their order."""
    left = iter(samples)
    for batch, told in batches:
        for features, tags in zip(batch, told, strict=True):
            sample = next(left)
            label = border_label(model, features, tags, image_size(sample.image))
            save_mask(paths[sample.name], label.to(torch.uint8).numpy())
