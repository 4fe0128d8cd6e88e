"""How good the mask of each photo is likely to be, from cached features: the order in which photos are shown.

The network is held against the tags that it is not told here, as ``tagseg review`` does it (``reviewing/``): where the
two differ, a tag may be wrong or the mask is likely to be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from tagseg.frozen.features import FrozenFeatures
from tagseg.model.heads import pooled
from tagseg.model.network import Network
from tagseg.progress import progress
from tagseg.reviewing.estimate import fitted
from tagseg.reviewing.measure import SIDE, measure
from tagseg.reviewing.reasons import reason
from tagseg.reviewing.views import Views

AT_ONCE = 16
"""Photos that the decoder sees together."""


@dataclass(frozen=True)
class Standing:
    """Where a photo stands.

    Attributes:
        score: photos are ordered by it, the highest first: 1 minus the estimated IoU before its limits 0 and 1.
        iou: estimated IoU, 0 to 1, of what the network finds in the photo without being told its tags.
        why: what lowers the estimate most, in a few words.
    """

    score: float
    iou: float
    why: str


@torch.inference_mode()
def standings(
    network: Network,
    features: FrozenFeatures,
    labels: UInt8[Tensor, "n H W"] | None,
    note: Callable[[float], None] = lambda done: None,
) -> list[Standing]:
    """The standing of each photo.

    Args:
        network: in evaluation mode.
        features: of the photos, with their tags.
        labels: made of features and tags, which tell the estimate more; ``None``: there are none yet.
        note: is told the share of the photos that is done.
    """
    found, fit = [], fitted()
    with progress(len(features), "worst first") as bar:
        for first in range(0, len(features), AT_ONCE):
            indices = range(first, min(first + AT_ONCE, len(features)))
            maps = features.read(indices).float()
            likely = tags_of(network, maps)
            logits = network.decoder(maps)
            if network.tag_prior is not None:
                logits = network.tag_prior(logits, maps)
            for index, grid, tags in zip(indices, logits, likely, strict=True):
                # features are of squares, whatever the photo's sides are
                views = Views((SIDE, SIDE), (grid[None],), tags)
                measured = measure(views, features.tags[index].bool().numpy())
                if labels is not None:
                    measured = measured.told(labels[index].numpy())
                estimate = fit(measured.signals)
                why = reason(measured, estimate, network.classes)
                found.append(Standing(1 - estimate.value, estimate.iou, why))
            bar.update(len(indices))
            note(len(found) / len(features))
    return found


def tags_of(network: Network, maps: Float[Tensor, "B D2 h w"]) -> Float[Tensor, "B K"]:
    """Probability that a photo shows a class, of the tag prior, or of the classifier where there is none."""
    if network.tag_prior is not None:
        return torch.exp(F.logsigmoid(network.tag_prior.classifier(maps.mean(dim=(2, 3)))))
    width = maps.shape[1] // 2
    return F.linear(pooled(maps[:, :width], network.pool), network.classifier.weight.flatten(1)).sigmoid()
