"""Pictures while a decoder on frozen features is trained: the same few photos, their labels and what it predicts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from tagseg.data.dataset import Sample, TaggedImages
from tagseg.errors import TagsegError
from tagseg.frozen.features import FrozenFeatures
from tagseg.model.network import Network, evaluating
from tagseg.reporting.pictures import GridRow, grid_picture
from tagseg.training.fixed_photos import CELL, NAME, even_steps, fixed_samples, read_fixed, square_images
from tagseg.training.frozen_log import FrozenLog
from tagseg.training.loggers import log_picture
from tagseg.training.shown_maps import shown_labels, shown_prediction

logger = logging.getLogger("tagseg")


class FrozenPictures:
    """Draws and logs at evenly spaced steps of the decoder, the last one included. Changes nothing, draws no numbers.

    Args:
        log: where pictures go.
        network: whose decoder is trained.
        features: of the training photos.
        labels: of the training photos, on their grid.
        training: the training photos.
        scored: validation photos with masks.

    Raises:
        TagsegError: a photo or a mask that cannot be read.
    """

    def __init__(
        self,
        log: FrozenLog,
        network: Network,
        features: FrozenFeatures,
        labels: UInt8[Tensor, "n H W"],
        training: TaggedImages,
        scored: TaggedImages | None,
    ) -> None:
        self.log, self.network = log, network
        self.steps = even_steps(log.run.pictures + 1, log.run.steps) - {0}
        samples = fixed_samples(training, scored)
        places = {id(sample): index for index, sample in enumerate(training.samples)}
        own = [places.get(id(sample)) for sample in samples]
        self.photos = read_fixed(samples)
        self.labels = [
            None if place is None else shown_labels(labels[place], photo.image.shape[:2])
            for place, photo in zip(own, self.photos, strict=True)
        ]
        self.maps = _maps(network, features, samples, own)

    def __call__(self, step: int) -> None:
        """Log a picture after a step that is due."""
        if step in self.steps and self.photos:
            picture = grid_picture(self.rows(), self.network.classes, CELL)
            self.log.to_loggers(lambda one: log_picture([one], NAME, picture, step))

    @torch.no_grad()
    def rows(self) -> list[GridRow]:
        """A row of each photo, with what the decoder predicts now."""
        decoder = self.network.decoder
        with evaluating(decoder):
            device = next(decoder.parameters()).device
            logits = decoder(self.maps.to(device)).float().cpu()
        if self.network.tag_prior is not None:
            logits = self.network.tag_prior(logits, self.maps)
        return [
            GridRow(
                image=photo.image,
                tags=tuple(self.network.classes[tag] for tag in photo.sample.tags),
                pseudo_label=label,
                prediction=shown_prediction(one, photo.image.shape[:2]),
                truth=photo.truth,
            )
            for photo, label, one in zip(self.photos, self.labels, logits, strict=True)
        ]


@torch.no_grad()
def _maps(
    network: Network, features: FrozenFeatures, samples: Sequence[Sample], places: Sequence[int | None]
) -> Float[Tensor, "B D2 h w"]:
    """Both maps of each photo: from the cache for those of the training, else computed."""
    maps: dict[int, Tensor] = {}
    for index, place in enumerate(places):
        if place is not None:
            maps[index] = features.read([place])[0].float()
    others = [index for index, place in enumerate(places) if place is None]
    if others:
        side = features.grid[0] * network.patch_size
        images, _ = square_images([samples[index] for index in others], network.classes, side)
        with evaluating(network):
            made = network.encoder(network.normalise(images))
        rows = torch.cat([made.patches, made.auxiliary], dim=1)
        maps |= dict(zip(others, rows, strict=True))
    return torch.stack([maps[index] for index in range(len(samples))])


def pictures_of(
    log: FrozenLog,
    network: Network,
    features: FrozenFeatures,
    labels: UInt8[Tensor, "n H W"],
    training: TaggedImages,
    scored: TaggedImages | None,
) -> Callable[[int], None]:
    """``FrozenPictures``, or nothing where a photo or a mask cannot be read, which is told."""
    try:
        return FrozenPictures(log, network, features, labels, training, scored)
    except (OSError, TagsegError) as error:
        logger.warning("no pictures of photos (%s); the training goes on without them", error)
        return lambda step: None
