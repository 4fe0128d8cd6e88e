"""Scores of a photo's own labels, background and tags, from frozen features or from a trained network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from tagseg.data.dataset import Sample
from tagseg.data.images import image_size, read_image
from tagseg.frozen.features import FrozenFeatures
from tagseg.frozen.foreground import Foreground
from tagseg.frozen.labels import foreground_planes
from tagseg.inference.attempt import attempt
from tagseg.inference.batches import Batches, Photo
from tagseg.inference.multi_scale import MultiScale, PhotoLogits
from tagseg.model.network import Network


@dataclass(frozen=True)
class OwnScores:
    """Scores of a photo's own labels, of which the highest wins.

    Attributes:
        labels: the background, 0, and the photo's tags, k+1.
        size: H and W of the photo.
        grids: scores of each scale on its patch grid, float32 (len(labels), h, w).
        photo: uint8 (H, W, 3); ``None`` where it was not read.
    """

    labels: tuple[int, ...]
    size: tuple[int, int]
    grids: list[Tensor]
    photo: UInt8[ndarray, "H W 3"] | None = None


Scores = Iterator[tuple[int, OwnScores | str]]
"""Each photo's index and its scores, or an error message; as they are ready, not in order."""


def own_labels(sample: Sample) -> tuple[int, ...]:
    """The labels that a photo of known tags can have: background and its tags."""
    return (0, *(tag + 1 for tag in sample.tags))


@dataclass(frozen=True)
class FromFeatures:
    """Scores of ``frozen.foreground``, which needs no training.

    Attributes:
        features: of all photos, in their order.
        foreground: fitted to them.
        sharpness: multiplies the scores, whose softmax a CRF takes for probabilities.
    """

    features: FrozenFeatures
    foreground: Foreground
    sharpness: float

    @torch.inference_mode()
    def __call__(self, samples: Sequence[Sample], wanted: Sequence[int], read: bool) -> Scores:
        """The scores of some photos.

        Args:
            samples: all photos.
            wanted: indices of those with tags whose scores are wanted.
            read: whether the photos themselves are needed.
        """
        for index in wanted:
            planes = foreground_planes(self.features, self.foreground, range(index, index + 1))[0]
            work = partial(_with_size, samples[index], self.sharpness * planes, read)
            yield index, attempt(work, samples[index].image)


def _with_size(sample: Sample, planes: Tensor, read: bool) -> OwnScores:
    photo = read_image(sample.image) if read else None
    size = image_size(sample.image) if photo is None else (photo.shape[0], photo.shape[1])
    labels = own_labels(sample)
    return OwnScores(labels, size, [planes[list(labels)]], photo)


@dataclass(frozen=True)
class FromNetwork:
    """Scores of a trained network that is told the tags.

    Attributes:
        network: in evaluation mode.
        multi_scale: how it sees a photo.
        batches: photos that it sees at a time.
    """

    network: Network
    multi_scale: MultiScale
    batches: Batches

    @torch.inference_mode()
    def __call__(self, samples: Sequence[Sample], wanted: Sequence[int], read: bool) -> Scores:
        """As ``FromFeatures``; the photos are read in any case."""
        for place, logits in self.batches.each(
            [samples[index].image for index in wanted],
            lambda height, width: self.multi_scale.sizes(height, width, self.network.patch_size),
            self._logits,
            next(self.network.parameters()).device,
        ):
            index = wanted[place]
            yield index, logits if isinstance(logits, str) else _limited(logits, own_labels(samples[index]))

    def _logits(self, photos: list[Photo]) -> list[PhotoLogits]:
        """The logits of all classes, without the tag prior, as the tags are known."""
        prior, self.network.tag_prior = self.network.tag_prior, None
        try:
            return self.multi_scale.logits(self.network, photos)
        finally:
            self.network.tag_prior = prior


def _limited(logits: PhotoLogits, labels: tuple[int, ...]) -> OwnScores:
    grids = [told_the_tags(grid, labels) for grid in logits.grids]
    return OwnScores(labels, logits.size, grids, logits.photo)


def told_the_tags(logits: Float[Tensor, "C h w"], labels: tuple[int, ...]) -> Float[Tensor, "L h w"]:
    """The logits of a photo's own labels, the background first, where it can show no other.

    What a network takes for a class that the photo does not show is foreground nevertheless: the probability of all
    classes is divided among the photo's own, in their proportions, and that of the background stays.
    """
    background, own = logits[:1], logits[list(labels[1:])]
    return torch.cat([background, own + logits[1:].logsumexp(dim=0) - own.logsumexp(dim=0)])


Scorer = FromFeatures | FromNetwork
"""Makes the scores of photos."""
