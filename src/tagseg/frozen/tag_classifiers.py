"""What predicts the tags of a whole photo, fitted to frozen features by logistic regression."""

from __future__ import annotations

import torch

from tagseg.beyond.linear_probe import logistic_regression
from tagseg.frozen.features import FrozenFeatures
from tagseg.model.heads import TagPrior, pooled
from tagseg.model.network import Network


@torch.no_grad()
def fit_tag_classifiers(network: Network, features: FrozenFeatures) -> None:
    """Fit both classifiers, whose CAMs can then be scored, to the tags: logistic regression on pooled features."""
    final, auxiliary = [], []
    for maps in features.batches():
        final.append(pooled(maps[:, : features.width].float(), network.pool))
        auxiliary.append(pooled(maps[:, features.width :].float(), network.pool))
    for classifier, values in ((network.classifier, final), (network.aux_classifier, auxiliary)):
        with torch.enable_grad():
            weights = logistic_regression(torch.cat(values), features.tags)
        classifier.weight.copy_(weights[:, :, None, None])


@torch.no_grad()
def fit_tag_prior(prior: TagPrior, features: FrozenFeatures) -> None:
    """Fit the tag prior, in place, to the tags: logistic regression on the standardised means of both maps."""
    means = torch.cat([maps.float().mean(dim=(2, 3)) for maps in features.batches()])
    centre, deviation = means.mean(dim=0), means.std(dim=0, correction=0) + 1e-6
    standardised = torch.cat([(means - centre) / deviation, torch.ones(len(means), 1)], dim=1)
    with torch.enable_grad():
        weights = logistic_regression(standardised, features.tags)
    scaled = weights[:, :-1] / deviation
    prior.classifier.weight.copy_(scaled)
    prior.classifier.bias.copy_(weights[:, -1] - scaled @ centre)
