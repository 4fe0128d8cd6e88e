"""Labels of the training images, made once before the first step by ``pseudo.border``. Not in the paper.

The paper makes them anew in every step from the CAMs of the network as it is; a short training ends before those mean
much. These cost one pass of the pretrained encoder over the images, and are files that a person can open.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from tagseg.config import Config
from tagseg.data.dataset import TaggedImages
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
    network: Network, images: TaggedImages, config: Config, folder: Path, device: torch.device
) -> TaggedImages:
    """The images with labels from the border in place of their masks.

    Label maps that are there already, as those of a training that goes on, are kept.

    Args:
        network: with a pretrained encoder; its auxiliary features are read. It is moved to the device and back.
        images: the training images; no mask of theirs is read.
        config: ``labels.border_size`` and ``labels.foreground_share``.
        folder: for the label maps, PNGs at the images' size.
        device: computes the features.
    """
    paths = {sample.name: folder / f"{sample.name}.png" for sample in images.samples}
    missing = [sample for sample in images.samples if not paths[sample.name].is_file()]
    if missing:
        logger.info("making first labels of %d images from what their borders do not show: %s", len(missing), folder)
        place = next(network.parameters()).device
        network.to(device)
        seen = every_features(network, images.every(-(-len(images) // MOST_IMAGES)), config)
        model = fit_border_model(*seen, config.labels.foreground_share)
        _write(network, model, replace(images, samples=tuple(missing)), config, paths)
        network.to(place)
    samples = tuple(
        replace(sample, mask=PngMask(paths[sample.name], sample.image, len(images.classes)))
        for sample in images.samples
    )
    return replace(images, samples=samples)


@torch.no_grad()
def every_features(
    network: Network, images: TaggedImages, config: Config
) -> tuple[Float[Tensor, "n D h w"], Float[Tensor, "n K"]]:
    """Auxiliary features of whole images, on the CPU in half precision, and the tags."""
    found, tags = [], []
    with evaluating(network):
        for batch, told in tqdm(_loader(network, images, config), desc="features", unit="batch", delay=2, disable=None):
            found.append(_features(network, batch))
            tags.append(told)
    return torch.cat(found), torch.cat(tags)


@torch.no_grad()
def _write(network: Network, model: BorderModel, images: TaggedImages, config: Config, paths: dict[str, Path]) -> None:
    left = iter(images.samples)
    with evaluating(network):
        for batch, told in tqdm(_loader(network, images, config), desc="labels", unit="batch", delay=2, disable=None):
            for features, tags in zip(_features(network, batch), told, strict=True):
                sample = next(left)
                label = border_label(model, features, tags, image_size(sample.image))
                save_mask(paths[sample.name], label.to(torch.uint8).numpy())


def _loader(network: Network, images: TaggedImages, config: Config) -> DataLoader[Any]:
    patch = network.patch_size
    return whole_loader(images, config, max(1, round(config.labels.border_size / patch)) * patch)


def _features(network: Network, batch: Tensor) -> Float[Tensor, "B D h w"]:
    device = next(network.parameters()).device
    return network.encoder(network.normalise(batch.to(device))).auxiliary.half().cpu()
