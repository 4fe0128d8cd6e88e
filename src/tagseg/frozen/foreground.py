"""Pseudo-labels on the patch grid: which patches are foreground, and of which of a photo's tags.

Four scores that read no mask, each standardised, are added:

1. *boundary prior* (``beyond/boundary_prior.py``) on the half-whitened final map: what differs from the border;
2. *normalised cut* of each photo on the auxiliary map: what falls apart from the border's side;
3. *tag evidence*: a linear model that predicts a photo's tags from each patch alone is surest where the object is;
4. *position*: the mean of the first two over all photos.

One step of a random walk over similar patches evens the sum out within a photo. A threshold leaves the share of
foreground that is asked for; a linear model of foreground patches decides between the tags of a photo.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from tagseg.beyond.boundary_prior import (
    BoundaryPrior,
    Scale,
    deviation_of,
    fit_boundary_prior,
    label_planes,
    linear,
    ridge,
    top_share_threshold,
)
from tagseg.frozen.normalised_cut import normalised_cut
from tagseg.frozen.random_walk import random_walk
from tagseg.frozen.whitening import Whitening

EVIDENCE = 0.3
"""Weight of the tag evidence."""
POSITION = 0.2
"""Weight of the position."""
AT_ONCE = 64
"""Photos in full precision at a time."""


@dataclass(frozen=True)
class LinearModel:
    """A ridge regression on standardised features.

    Attributes:
        mean: (D, 1, 1) subtracted from the features.
        deviation: (D, 1, 1) divides them.
        weights: (D + 1, m), the last row is the bias.
    """

    mean: Tensor
    deviation: Tensor
    weights: Tensor

    @staticmethod
    def fitted(
        features: Float[Tensor, "n D h w"], targets: Float[Tensor, "n m h w"], weights: Float[Tensor, "n h w"]
    ) -> LinearModel:
        """Regress targets on features over weighted patches."""
        sums = torch.stack([torch.stack([p.float().sum((0, 2, 3)), p.float().square().sum((0, 2, 3))])
                            for p in features.split(AT_ONCE)]).double().sum(0)  # fmt: skip
        mean, square = sums / features[:, 0].numel()
        deviation = ((square - mean.square()).clamp(min=0).sqrt() + 1e-8).float()[:, None, None]
        centre = mean.float()[:, None, None]
        fitted = ridge(features, targets, weights, lambda part: (part.float() - centre) / deviation)
        return LinearModel(centre, deviation, fitted)

    def __call__(self, features: Float[Tensor, "n D h w"]) -> Float[Tensor, "n m h w"]:
        """Predictions."""
        return linear((features.float() - self.mean) / self.deviation, self.weights)


@dataclass(frozen=True)
class Evidence:
    """Tag evidence of a patch: the standardised prediction of the photo's surest tag.

    Attributes:
        model: predicts tags from auxiliary features.
        mean: (K, 1, 1) of its predictions over all patches.
        deviation: (K, 1, 1).
        scale: standardises the highest one among a photo's tags.
    """

    model: LinearModel
    mean: Tensor
    deviation: Tensor
    scale: Scale

    @staticmethod
    def fitted(auxiliary: Float[Tensor, "n D h w"], tags: Float[Tensor, "n K"]) -> Evidence:
        """Fit to the tags of whole photos, which every patch of a photo gets as its target."""
        planes = tags[:, :, None, None].expand(-1, -1, *auxiliary.shape[-2:])
        model = LinearModel.fitted(auxiliary, planes, torch.ones_like(auxiliary[:, 0], dtype=torch.float32))
        predicted = torch.cat([model(part) for part in auxiliary.split(AT_ONCE)])
        mean = predicted.mean((0, 2, 3))[:, None, None]
        unscaled = Evidence(model, mean, deviation_of(predicted, (0, 2, 3))[:, None, None] + 1e-8, IDENTITY)
        return Evidence(model, mean, unscaled.deviation, Scale.of(_batched(unscaled, auxiliary, tags)))

    def __call__(self, auxiliary: Float[Tensor, "n D h w"], tags: Float[Tensor, "n K"]) -> Float[Tensor, "n h w"]:
        """The evidence; of photos without tags the mean."""
        surest = (self.model(auxiliary) - self.mean) / self.deviation
        surest = surest.masked_fill(tags[:, :, None, None] == 0, -torch.inf).amax(dim=1)
        return self.scale(surest.where(surest.isfinite(), self.scale.mean))


IDENTITY = Scale(torch.zeros(()), torch.ones(()))


@dataclass(frozen=True)
class Foreground:
    """What is fitted to the features of the training photos.

    Attributes:
        whitening: of the final map.
        prior: boundary prior on the half-whitened final map.
        contrast: standardises its score.
        evidence: tag evidence.
        position: (h, w) standardised mean score at each position.
        threshold: of the sum after the walk; above it is foreground.
        deviation: of that sum, by which it is divided.
        classes: tells the tags of a photo apart, from auxiliary features.
    """

    whitening: Whitening
    prior: BoundaryPrior
    contrast: Scale
    evidence: Evidence
    position: Tensor
    threshold: Tensor
    deviation: Tensor
    classes: LinearModel | None = None

    def score(
        self,
        final: Float[Tensor, "n D h w"],
        auxiliary: Float[Tensor, "n D h w"],
        tags: Float[Tensor, "n K"],
        cuts: Float[Tensor, "n h w"] | None = None,
    ) -> Float[Tensor, "n h w"]:
        """Foreground where above 0; its deviation over the fitted photos is 1."""
        total = self.first_scores(final, auxiliary, cuts) + POSITION * self.position
        walked = random_walk(total + EVIDENCE * self.evidence(auxiliary, tags), auxiliary)
        return (walked - self.threshold) / self.deviation

    def first_scores(
        self,
        final: Float[Tensor, "n D h w"],
        auxiliary: Float[Tensor, "n D h w"],
        cuts: Float[Tensor, "n h w"] | None = None,
    ) -> Float[Tensor, "n h w"]:
        """Boundary prior and normalised cut, which is computed where it is not given."""
        cuts = normalised_cut(auxiliary) if cuts is None else cuts
        return self.contrast(self.prior.score(self.whitening(final))) + cuts

    def planes(
        self,
        final: Float[Tensor, "n D h w"],
        auxiliary: Float[Tensor, "n D h w"],
        tags: Float[Tensor, "n K"],
        cuts: Float[Tensor, "n h w"] | None = None,
    ) -> Float[Tensor, "n C h w"]:
        """Scores whose argmax is the label: 0 for background, −∞ for absent classes, else at most ``score``."""
        assert self.classes is not None  # only while it is being fitted
        return label_planes(self.classes(auxiliary), self.score(final, auxiliary, tags, cuts), tags)


def fit_foreground(
    final: Float[Tensor, "n D h w"],
    auxiliary: Float[Tensor, "n D h w"],
    tags: Float[Tensor, "n K"],
    share: float,
    note: Callable[[str], None] = lambda step: None,
    cuts: Float[Tensor, "n h w"] | None = None,
) -> Foreground:
    """Fit all scores to features and tags; no mask is read.

    Args:
        final: final map of a pretrained encoder, any precision.
        auxiliary: auxiliary map.
        tags: 0 or 1; photos without tags are background.
        share: share of the patches of tagged photos that are foreground; 0: estimated.
        note: is told each step as it begins.
        cuts: the photos' normalised cuts, which depend on no tag; computed if not given.
    """
    note("boundary prior")
    whitening = Whitening.fitted(final)
    white = torch.cat([whitening(part).to(final.dtype) for part in final.split(AT_ONCE)])
    prior = fit_boundary_prior(white, tags, share or DEFAULT_SHARE)
    tagged = tags.sum(dim=1) > 0
    if not tagged.any():  # the threshold is infinite then, and infinite scores cannot be standardised
        prior = replace(prior, threshold=torch.zeros(()))
    contrast = Scale.of(torch.cat([prior.score(part) for part in white.split(AT_ONCE)]))
    del white
    note("tag evidence")
    evidence = Evidence.fitted(auxiliary, tags)
    note("normalised cut")
    nothing, one = torch.zeros(()), torch.ones(())
    fitted = Foreground(whitening, prior, contrast, evidence, nothing, nothing, one)
    known = () if cuts is None else (cuts,)
    first = _batched(fitted.first_scores, final, auxiliary, *known)
    position = first.mean(dim=0)
    position = (position - position.mean()) / (deviation_of(position) + 1e-8)
    total = first + POSITION * position + EVIDENCE * _batched(evidence, auxiliary, tags)
    walked = _batched(random_walk, total, auxiliary)
    threshold = top_share_threshold(walked[tagged], share or estimated_share(walked[tagged]))
    note("classes")
    mask = ((walked > threshold) & tagged[:, None, None]).float()
    classes = _fit_classes(auxiliary, tags, mask)
    return Foreground(whitening, prior, contrast, evidence, position, threshold, deviation_of(walked) + 1e-8, classes)


DEFAULT_SHARE = 0.3
"""Share of foreground for the boundary prior where it is estimated, which needs a first score."""


def estimated_share(scores: Float[Tensor, "n h w"]) -> float:
    """The share of scores above the threshold that separates them best into two groups (Otsu 1979), 0.1 to 0.6.

    The default where nothing is to be separated: no scores, or equal ones.
    """
    ordered = scores.flatten().sort().values.double()
    count = len(ordered)
    if not count or ordered[0] == ordered[-1]:
        return DEFAULT_SHARE
    below = torch.arange(1, count, dtype=torch.float64)
    sums = ordered.cumsum(0)
    low, high = sums[:-1] / below, (sums[-1] - sums[:-1]) / (count - below)
    between = below * (count - below) * (high - low).square()
    best = int(between.argmax()) + 1
    return min(0.6, max(0.1, (count - best) / count))


def _fit_classes(
    auxiliary: Float[Tensor, "n D h w"], tags: Float[Tensor, "n K"], foreground: Float[Tensor, "n h w"]
) -> LinearModel:
    """Regress tags on foreground patches; each class counts as much as any other."""
    shares = tags / tags.sum(dim=1, keepdim=True).clamp(min=1)
    patches_of_class = shares.T @ foreground.sum(dim=(1, 2))
    balance = shares @ (1 / patches_of_class.clamp(min=1))
    planes = shares[:, :, None, None].expand(-1, -1, *foreground.shape[-2:])
    return LinearModel.fitted(auxiliary, planes, foreground * balance[:, None, None])


def _batched(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """A function of a few photos at a time."""
    return torch.cat([function(*parts) for parts in zip(*(one.split(AT_ONCE) for one in inputs), strict=True)])
