"""The method's labels of tagged photos: of frozen features and tags, to hold the prediction against.

They are told the tags and the network is not, so the two err differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from tagseg.data.dataset import Sample, TaggedImages
from tagseg.frozen.features import frozen_features
from tagseg.frozen.labels import FINER, fitted_foreground, foreground_labels, with_cuts
from tagseg.model.network import Network

FEWEST = 20
"""Tagged photos from which on labels can be fitted to them."""
SIZE = 320
"""Side in pixels that photos are resized to, as in training."""


@dataclass(frozen=True)
class _Loading:
    """How photos are loaded."""

    val_batch: int = 8
    workers: int = 0


def labels_told_tags(network: Network, samples: list[Sample], folder: Path) -> UInt8[ndarray, "n h w"]:
    """The labels, 0 to K, of photos whose tags are known, in their order; no mask is read.

    Args:
        network: whose encoder gives the features; in evaluation mode.
        samples: ``FEWEST`` or more photos with their tags in the network's classes.
        folder: of the features, 300 kB a photo with a DeiT-Ti; those that are there are not computed again.

    Raises:
        TagsegError: an unreadable photo, or too little space on the disk.
    """
    images = TaggedImages("tagged photos", network.classes, tuple(samples), "tags")
    device = next(network.parameters()).device
    features = with_cuts(frozen_features(network, images, SIZE, folder, _Loading(), device))
    foreground = fitted_foreground(features, 0.0)
    labels = foreground_labels(features, foreground, (FINER * features.grid[0], FINER * features.grid[1]))
    return np.ascontiguousarray(labels.numpy())
