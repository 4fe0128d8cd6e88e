"""A start for short trainings: classifiers fitted to the pretrained encoder before the first step. Not in the paper.

The paper's classifiers start at random and need hundreds of steps until their CAMs mean something. Logistic regression
on the features of the training images, which are computed once, tells them as much at the price of a few steps.
"""

from __future__ import annotations

import logging

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from tagseg.config import Config
from tagseg.data.dataset import TaggedImages
from tagseg.data.loaders import whole_loader
from tagseg.model.network import Network, pooled
from tagseg.pseudo.cam import evaluating

MOST_IMAGES = 5_000
"""Of a larger collection, so many at even distances: 192 to 768 weights a class need no more."""
DECAY = 1e-3
"""Weight of the squared weights, per class."""

logger = logging.getLogger("tagseg")


def fit_classifiers(network: Network, images: TaggedImages, config: Config, device: torch.device) -> None:
    """Set the weights of both classifiers of a network, in place, to a logistic regression of the tags.

    Args:
        network: with a pretrained encoder; only its classifiers change. It is moved to the device and back.
        images: the training images; only their tags are read.
        config: view size and pooling.
        device: computes the features.
    """
    some = images.every(-(-len(images) // MOST_IMAGES))
    logger.info("fitting the classifiers to the pretrained features of %d images", len(some))
    place = next(network.parameters()).device
    features, tags = tag_features(network.to(device), some, config)
    for classifier, seen in zip((network.classifier, network.aux_classifier), features, strict=True):
        fitted = logistic_regression(seen, tags)
        with torch.no_grad():
            classifier.weight.copy_(fitted[:, :, None, None])
    network.to(place)


@torch.no_grad()
def tag_features(
    network: Network, images: TaggedImages, config: Config
) -> tuple[tuple[Float[Tensor, "n D"], Float[Tensor, "n D"]], Float[Tensor, "n K"]]:
    """What both classifiers see of whole images, final and auxiliary, and the tags."""
    device = next(network.parameters()).device
    final, auxiliary, tags = [], [], []
    with evaluating(network):
        for batch, told in tqdm(whole_loader(images, config), desc="features", unit="batch", delay=2, disable=None):
            features = network.encoder(network.normalise(batch.to(device)))
            final.append(pooled(features.patches, config.network.pool))
            auxiliary.append(pooled(features.auxiliary, config.network.pool))
            tags.append(told.to(device))
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
