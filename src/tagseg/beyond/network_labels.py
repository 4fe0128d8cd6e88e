"""Labels of the training images by a trained network, limited to each image's tags, made before the first step.

Not in the paper. A trained network that may only answer with the classes an image is known to have labels it better
than by itself; another training on those labels starts from there.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from tagseg.beyond.linear_probe import Loading
from tagseg.beyond.made_from import Origin
from tagseg.beyond.offline_labels import label_file, missing_labels, with_label_files
from tagseg.data.dataset import TaggedImages
from tagseg.data.images import image_size
from tagseg.data.loaders import whole_loader
from tagseg.data.masks import save_mask
from tagseg.model.fingerprint import weights_fingerprint
from tagseg.model.network import Network, evaluating
from tagseg.progress import with_progress

logger = logging.getLogger("tagseg")


def network_labels(
    network: Network,
    images: TaggedImages,
    size: int,
    loading: Loading,
    folder: Path,
    device: torch.device,
    keep: bool = False,
) -> TaggedImages:
    """The images with the labels that a network gives them; images without tags are background.

    Args:
        network: trained; it is moved to the device and back.
        images: the training images; no mask is read.
        size: side in pixels that images are resized to.
        loading: how images are loaded.
        folder: for the label maps, PNGs at the images' size.
        device: runs the network.
        keep: keep label maps that exist and were made from the same, as a resumed training does.
    """
    origin = network_origin(network, images, size)
    missing = missing_labels(images, folder, keep, origin, tell=True)
    if missing:
        origin.write(folder, without=[sample.name for sample in missing])
        logger.info("making labels of %d images with the network: %s", len(missing), folder)
        place = next(network.parameters()).device
        left = replace(images, samples=tuple(missing))
        loader = whole_loader(left, size, loading.val_batch, loading.workers, device)
        remaining = iter(missing)
        with evaluating(network.to(device)), torch.no_grad():
            for batch, batch_tags in with_progress(loader, "labels", "batch"):
                scores = network.segment_logits(network.normalise(batch.to(device))).float()
                for score, tags in zip(scores, batch_tags, strict=True):
                    sample = next(remaining)
                    label = tagged_label(score, tags, image_size(sample.image))
                    save_mask(label_file(folder, sample.name), label.to(torch.uint8).cpu().numpy())
        network.to(place)
        origin.write(folder)
    return with_label_files(images, folder)


def network_origin(network: Network, images: TaggedImages, size: int) -> Origin:
    """What label maps of a network are made from."""
    return Origin.of(images, weights_fingerprint(network, whole=True), {"labels": "network", "size": size})


def tagged_label(
    score: Float[Tensor, "C h w"], tags: Float[Tensor, " K"], size: tuple[int, int]
) -> Int64[Tensor, "H W"]:
    """The best of background and an image's tags at each pixel, of the decoder's logits; 0 is background."""
    own = torch.cat([torch.zeros(1, dtype=torch.int64), tags.nonzero()[:, 0].cpu() + 1]).to(score.device)
    large = F.interpolate(score[own][None], size, mode="bilinear", align_corners=False)
    return own[large[0].max(dim=0).indices]  # argmax takes five times as long on a CPU
