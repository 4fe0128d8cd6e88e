"""Classifiers fitted to the pretrained encoder before the first step (a linear probe). Not in the paper.

The paper's classifiers start at random and need hundreds of steps until their CAMs are meaningful. Logistic regression
on the features of the training images, which are computed once, reaches that at the price of a few steps.
"""

from __future__ import annotations

import logging
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from tagseg.data.dataset import TaggedImages
from tagseg.data.loaders import whole_loader
from tagseg.model.heads import pooled
from tagseg.model.network import Network, evaluating
from tagseg.progress import with_progress

MOST_IMAGES = 5_000
"""A larger collection is sampled evenly: 192 to 768 weights a class need no more."""
DECAY = 1e-3
"""Weight of the squared weights, per class."""

logger = logging.getLogger("tagseg")


@runtime_checkable
class Loading(Protocol):
    """How images are loaded: images at a time and loader workers, as ``RunConfig`` has them."""

    @property
    def val_batch(self) -> int:
        """Images at a time."""
        ...

    @property
    def workers(self) -> int:
        """Loader workers; -1 chooses by the number of cores."""
        ...


def fit_classifiers(network: Network, images: TaggedImages, size: int, loading: Loading, device: torch.device) -> None:
    """Set the weights of both classifiers of a network, in place, by logistic regression of the tags.

    Args:
        network: with a pretrained encoder; only its classifiers change. It is moved to the device and back.
        images: the training images; only their tags are read.
        size: side in pixels that images are resized to.
        loading: how images are loaded.
        device: computes the features.
    """
    some = images.every(-(-len(images) // MOST_IMAGES))
    logger.info("fitting the classifiers to the pretrained features of %d images", len(some))
    place = next(network.parameters()).device
    features, tags = pooled_features(network.to(device), some, size, loading)
    for classifier, pooled_of_map in zip((network.classifier, network.aux_classifier), features, strict=True):
        fitted = logistic_regression(pooled_of_map, tags)
        with torch.no_grad():
            classifier.weight.copy_(fitted[:, :, None, None])
    network.to(place)


@torch.no_grad()
def pooled_features(
    network: Network, images: TaggedImages, size: int, loading: Loading
) -> tuple[tuple[Float[Tensor, "n D"], Float[Tensor, "n D"]], Float[Tensor, "n K"]]:
    """The pooled features that both classifiers read, final and auxiliary, of whole images; and the tags."""
    device = next(network.parameters()).device
    final, auxiliary, tags = [], [], []
    loader = whole_loader(images, size, loading.val_batch, loading.workers, device)
    with evaluating(network):
        for batch, batch_tags in with_progress(loader, "features", "batch"):
            features = network.encoder(network.normalise(batch.to(device)))
            final.append(pooled(features.patches, network.pool))
            auxiliary.append(pooled(features.auxiliary, network.pool))
            tags.append(batch_tags.to(device))
    return (torch.cat(final), torch.cat(auxiliary)), torch.cat(tags)


def logistic_regression(
    features: Float[Tensor, "n D"], tags: Float[Tensor, "n K"], decay: float = DECAY
) -> Float[Tensor, "K D"]:
    """Weights, without bias, that minimise L_cls (multilabel soft margin) + decay · mean over classes of |w|²."""
    features = features.double()
    weights = features.new_zeros((tags.shape[1], features.shape[1]), requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimiser.zero_grad()
        value = F.multilabel_soft_margin_loss(features @ weights.T, tags.double())
        value = value + decay * weights.square().sum(dim=1).mean()
        value.backward()
        return float(value.detach())

    optimiser.step(loss)
    return weights.detach().float()
