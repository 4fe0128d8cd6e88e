"""Pseudo-labels from a boundary prior: patches unlike the image's border are foreground, of the classes of its tags.

Not in the paper. The border of a photo is mostly background (boundary prior, Wei et al. 2012), so patches unlike it are
likely foreground. That alone is noisy. A linear model of the features, fitted to it over all images, keeps what is
common to them. A second linear model, fitted to the image-level labels of the foreground patches, separates the classes
of an image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

NEAREST = 0.4
"""Share of the border patches, the most similar ones, that a patch is compared with: a border shows several things."""
DECAY = 1.0
"""Weight of the squared weights of both linear models, beside a mean squared error on features of deviation 1."""
FEW = 10
"""Number of pseudo-observations that draw the mean feature at a position to the overall mean: with few images the mean
at a position would contain the objects that they show there."""
AT_ONCE = 64
"""Images whose features are held in full precision at a time."""


@dataclass(frozen=True)
class Scale:
    """Standardisation: mean 0 and standard deviation 1 over the images that were fitted."""

    mean: Tensor
    deviation: Tensor

    @staticmethod
    def of(values: Tensor) -> Scale:
        """The one of some values."""
        return Scale(values.mean(), deviation_of(values) + 1e-8)

    def __call__(self, values: Tensor) -> Tensor:
        """Standardised values."""
        return (values - self.mean) / self.deviation


def deviation_of(values: Tensor, dims: tuple[int, ...] | None = None) -> Tensor:
    """Standard deviation over some dimensions, by default all; 0, not NaN, of a single value."""
    single = values.numel() == 1 if dims is None else all(values.shape[dim] == 1 for dim in dims)
    return values.std(dims, correction=0 if single else 1)


@dataclass(frozen=True)
class BoundaryPrior:
    """What is fitted to the features of the training images.

    Attributes:
        position: (D, h, w) mean feature at each position, which is subtracted: it depends on where a patch lies,
            not on what it shows.
        deviation: (D, 1, 1) standard deviation of the features from it.
        contrast: standardises the boundary contrast.
        foreground: (D + 1, 1) linear model of high contrast.
        learned: standardises its output.
        threshold: of the sum of both scores; above it is foreground.
        classes: (D + 1, K) linear model of the tags of foreground patches.
    """

    position: Tensor
    deviation: Tensor
    contrast: Scale
    foreground: Tensor
    learned: Scale
    threshold: Tensor
    classes: Tensor

    def score(self, features: Float[Tensor, "n D h w"]) -> Float[Tensor, "n h w"]:
        """Foreground where above 0."""
        centred = features.float() - self.position
        contrast = self.contrast(boundary_contrast(centred))
        return contrast + self.learned(linear(centred / self.deviation, self.foreground)[:, 0]) - self.threshold

    def planes(self, features: Float[Tensor, "n D h w"], tags: Float[Tensor, "n K"]) -> Float[Tensor, "n C h w"]:
        """Scores whose argmax is the label: 0 for background, −∞ for absent classes, else at most ``score``."""
        centred = (features.float() - self.position) / self.deviation
        return label_planes(linear(centred, self.classes), self.score(features), tags)


def label_planes(
    classes: Float[Tensor, "n K h w"], score: Float[Tensor, "n h w"], tags: Float[Tensor, "n K"]
) -> Float[Tensor, "n C h w"]:
    """Planes whose argmax is the label: 0 for background, −∞ for absent classes, the score for the best tag."""
    own = classes.masked_fill(tags[:, :, None, None] == 0, -torch.inf)
    best = own.amax(dim=1, keepdim=True).clamp(min=torch.finfo(own.dtype).min)  # −∞ where there is no tag
    return F.pad(own - best + score.unsqueeze(1), (0, 0, 0, 0, 1, 0))


def boundary_contrast(features: Float[Tensor, "n D h w"], nearest: float = NEAREST) -> Float[Tensor, "n h w"]:
    """−1 to 1: minus the mean cosine similarity of a patch to the border patches most similar to it.

    Args:
        features: without the mean at their position.
        nearest: share of the border patches.
    """
    directions = F.normalize(features, dim=1).flatten(2)
    edge = directions[:, :, border(*features.shape[-2:]).to(features.device).flatten()]
    similar = directions.transpose(1, 2) @ edge  # (n, N, border)
    count = max(1, round(nearest * edge.shape[2]))
    return -similar.topk(count, dim=2, sorted=False).values.mean(dim=2).unflatten(1, features.shape[-2:])


def border(height: int, width: int) -> Tensor:
    """(h, w) bool: the outermost ring of patches."""
    ring = torch.ones(height, width, dtype=torch.bool)
    ring[1:-1, 1:-1] = False
    return ring


def fit_boundary_prior(features: Float[Tensor, "n D h w"], tags: Float[Tensor, "n K"], share: float) -> BoundaryPrior:
    """Fit foreground and classes to the boundary contrast and the image-level labels; no mask is read.

    Args:
        features: of a pretrained encoder, any precision.
        tags: 0 or 1; patches of images without tags are background.
        share: share of the patches of tagged images that are foreground.
    """
    position = mean_by_position(features)
    squares = torch.stack([(p.float() - position).square().sum((0, 2, 3)) for p in features.split(AT_ONCE)]).sum(0)
    deviation = (squares / (len(features) * position[0].numel())).sqrt()[:, None, None] + 1e-8

    def standard(some: Tensor) -> Tensor:
        return (some.float() - position) / deviation

    tagged = (tags.sum(dim=1) > 0)[:, None, None]
    raw = torch.cat([boundary_contrast(part.float() - position) for part in features.split(AT_ONCE)])
    contrast = Scale.of(raw)
    high = (raw > top_share_threshold(raw[tagged[:, 0, 0]], share)) & tagged
    foreground = ridge(features, high[:, None].float(), torch.ones_like(raw), standard)
    predicted = torch.cat([linear(standard(part), foreground)[:, 0] for part in features.split(AT_ONCE)])
    learned = Scale.of(predicted)
    score = contrast(raw) + learned(predicted)
    threshold = top_share_threshold(score[tagged[:, 0, 0]], share)
    foreground_mask = ((score > threshold) & tagged).float()
    shares = tags / tags.sum(dim=1, keepdim=True).clamp(min=1)
    patches_of_class = shares.T @ foreground_mask.sum(dim=(1, 2))  # (K,): each class is to count as much as any other
    balance = shares @ (1 / patches_of_class.clamp(min=1))
    planes = shares[:, :, None, None].expand(-1, -1, *raw.shape[-2:])
    classes = ridge(features, planes, foreground_mask * balance[:, None, None], standard)
    return BoundaryPrior(position, deviation, contrast, foreground, learned, threshold, classes)


def mean_by_position(features: Float[Tensor, "n D h w"]) -> Float[Tensor, "D h w"]:
    """Mean feature at each position, drawn to the overall mean where there are few images (``FEW``)."""
    total = torch.stack([part.float().sum(0) for part in features.split(AT_ONCE)]).sum(0)
    everywhere = total.mean(dim=(1, 2), keepdim=True) / len(features)
    return (total + FEW * everywhere) / (len(features) + FEW)


def top_share_threshold(values: Tensor, share: float) -> Tensor:
    """The threshold that the highest ``share`` of the values exceeds; ∞ where there are none."""
    if not values.numel():
        return values.new_tensor(torch.inf)
    ordered = values.flatten().sort().values
    return ordered[min(len(ordered) - 1, round((1 - share) * len(ordered)))]


def linear(centred: Float[Tensor, "n D h w"], weights: Float[Tensor, "D1 m"]) -> Float[Tensor, "n m h w"]:
    """A linear model of features, its bias in the last row."""
    return torch.einsum("ndhw,dm->nmhw", centred, weights[:-1]) + weights[-1][:, None, None]


def ridge(
    features: Float[Tensor, "n D h w"],
    targets: Float[Tensor, "n m h w"],
    weights: Float[Tensor, "n h w"],
    prepare: Callable[[Tensor], Tensor] = Tensor.float,
) -> Float[Tensor, "D1 m"]:
    """Weights and, last, bias of a ridge regression of targets on features over weighted patches.

    Args:
        features: any precision.
        targets: their weighted mean goes to the bias and is not regularised.
        weights: of the patches.
        prepare: applied to the features of some images before.
    """
    width = features.shape[1]
    products = features.new_zeros((width + 1, width + 1), dtype=torch.float64)
    sums = features.new_zeros((width + 1, targets.shape[1]), dtype=torch.float64)
    total = weights.double().sum() + 1e-12
    mean = (weights[:, None] * targets).double().sum((0, 2, 3)) / total
    for part, wanted, weight in zip(*(x.split(AT_ONCE) for x in (features, targets, weights)), strict=True):
        centred = F.pad(prepare(part), (0, 0, 0, 0, 0, 1), value=1.0)
        centred = centred.transpose(0, 1).flatten(1).double()  # (D + 1, patches)
        heavy = centred * weight.flatten()
        products += heavy @ centred.T
        sums += heavy @ (wanted.transpose(0, 1).flatten(1).double() - mean[:, None]).T
    decay = DECAY * torch.eye(width + 1, dtype=torch.float64, device=features.device)
    solved = torch.linalg.solve(products / total + decay, sums / total)
    solved[-1] += mean
    return solved.float()


def pseudo_label(
    prior: BoundaryPrior, features: Float[Tensor, "D h w"], tags: Float[Tensor, " K"], size: tuple[int, int]
) -> Int64[Tensor, "H W"]:
    """Label map of one image at its size: 0 background, 1 to K its tags."""
    own = F.pad(tags.nonzero()[:, 0] + 1, (1, 0))  # of many classes, few can win
    planes = prior.planes(features[None], tags[None])[:, own].clamp(min=torch.finfo(torch.float32).min / 4)
    large = F.interpolate(planes, size, mode="bilinear", align_corners=False)[0]
    return own[large.max(dim=0).indices]  # argmax takes five times as long on a CPU
