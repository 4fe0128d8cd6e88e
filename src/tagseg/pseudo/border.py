"""Labels from the border: what an image's border does not show is foreground, and its tags say of which class.

Not in the paper. A CAM of a plain ViT says which patches tell the classes apart: often few, and often those around an
object. The border of a photo is mostly background (the boundary prior of saliency, Wei et al. 2012), so patches unlike
it are likely foreground. That alone is noisy, image by image; a linear model of the features, fitted to it over all
images, keeps what they agree on. A second one, fitted to the tags of the images that foreground patches lie in, tells
the classes of an image apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

NEAREST = 0.4
"""A patch is compared with this share of the border, the patches most like it: a border shows several things."""
DECAY = 1.0
"""Weight of the squared weights of both linear models, beside a mean squared error on features of deviation 1."""
FEW = 10
"""The mean feature at a place counts this many images more, that have the mean of all places: of few images it would
hold what they show there."""
AT_ONCE = 64
"""Images whose features are held in full precision at a time."""


@dataclass(frozen=True)
class Scale:
    """Values brought to mean 0 and deviation 1 over the images that were fitted."""

    mean: Tensor
    deviation: Tensor

    @staticmethod
    def of(values: Tensor) -> Scale:
        """That of some values."""
        return Scale(values.mean(), values.std() + 1e-8)

    def __call__(self, values: Tensor) -> Tensor:
        """Values on this scale."""
        return (values - self.mean) / self.deviation


@dataclass(frozen=True)
class BorderModel:
    """What was fitted to the features of the training images.

    Attributes:
        position: (D, h, w) ``mean_at_each_place``; it is taken away, as it says where a patch lies, not what it is.
        deviation: (D, 1, 1) of the features from it.
        contrast: scale of the border contrast.
        foreground: (D + 1, 1) linear model of a high contrast.
        learned: scale of what it says.
        threshold: of the sum of both scores; above it is foreground.
        classes: (D + 1, K) linear model of the tags that foreground patches go with.
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
        seen = features.float() - self.position
        contrast = self.contrast(border_contrast(seen))
        return contrast + self.learned(_linear(seen / self.deviation, self.foreground)[:, 0]) - self.threshold

    def planes(self, features: Float[Tensor, "n D h w"], tags: Float[Tensor, "n K"]) -> Float[Tensor, "n C h w"]:
        """Scores whose highest is the label: background 0, absent classes −∞, an image's likeliest tag ``score``."""
        seen = (features.float() - self.position) / self.deviation
        present = tags[:, :, None, None] > 0
        classes = _linear(seen, self.classes).masked_fill(~present, -torch.inf)
        best = classes.amax(dim=1, keepdim=True).clamp(min=torch.finfo(classes.dtype).min)  # −∞ where there is no tag
        return F.pad(classes - best + self.score(features).unsqueeze(1), (0, 0, 0, 0, 1, 0))


def border_contrast(features: Float[Tensor, "n D h w"], nearest: float = NEAREST) -> Float[Tensor, "n h w"]:
    """−1 to 1: minus the mean cosine similarity of a patch to those border patches that are most like it.

    Args:
        features: without the mean at their place.
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


def fit_border_model(features: Float[Tensor, "n D h w"], tags: Float[Tensor, "n K"], share: float) -> BorderModel:
    """Fit the foreground and the classes of images to their border contrast and their tags; no mask is read.

    Args:
        features: of a pretrained encoder, any precision.
        tags: 0 or 1; patches of images without tags are background.
        share: of all patches of images with tags that are foreground.
    """
    position = mean_at_each_place(features)
    squares = torch.stack([(p.float() - position).square().sum((0, 2, 3)) for p in features.split(AT_ONCE)]).sum(0)
    deviation = (squares / (len(features) * position[0].numel())).sqrt()[:, None, None] + 1e-8

    def standard(some: Tensor) -> Tensor:
        return (some.float() - position) / deviation

    tagged = (tags.sum(dim=1) > 0)[:, None, None]
    raw = torch.cat([border_contrast(part.float() - position) for part in features.split(AT_ONCE)])
    contrast = Scale.of(raw)
    high = (raw > upper(raw[tagged[:, 0, 0]], share)) & tagged
    foreground = ridge(features, high[:, None].float(), torch.ones_like(raw), standard)
    said = torch.cat([_linear(standard(part), foreground)[:, 0] for part in features.split(AT_ONCE)])
    learned = Scale.of(said)
    score = contrast(raw) + learned(said)
    threshold = upper(score[tagged[:, 0, 0]], share)
    found = ((score > threshold) & tagged).float()
    told = tags / tags.sum(dim=1, keepdim=True).clamp(min=1)
    often = told.T @ found.sum(dim=(1, 2))  # (K,) patches of a class: each class is to count as much as any other
    balance = told @ (1 / often.clamp(min=1))
    planes = told[:, :, None, None].expand(-1, -1, *raw.shape[-2:])
    classes = ridge(features, planes, found * balance[:, None, None], standard)
    return BorderModel(position, deviation, contrast, foreground, learned, threshold, classes)


def mean_at_each_place(features: Float[Tensor, "n D h w"]) -> Float[Tensor, "D h w"]:
    """Mean feature at each place, drawn to that of all places where there are few images."""
    total = torch.stack([part.float().sum(0) for part in features.split(AT_ONCE)]).sum(0)
    everywhere = total.mean(dim=(1, 2), keepdim=True) / len(features)
    return (total + FEW * everywhere) / (len(features) + FEW)


def upper(values: Tensor, share: float) -> Tensor:
    """Value that the highest ``share`` of the values exceeds; ∞ where there are none."""
    if not values.numel():
        return values.new_tensor(torch.inf)
    ordered = values.flatten().sort().values
    return ordered[min(len(ordered) - 1, round((1 - share) * len(ordered)))]


def _linear(seen: Float[Tensor, "n D h w"], weights: Float[Tensor, "D1 m"]) -> Float[Tensor, "n m h w"]:
    return torch.einsum("ndhw,dm->nmhw", seen, weights[:-1]) + weights[-1][:, None, None]


def ridge(
    features: Float[Tensor, "n D h w"],
    targets: Float[Tensor, "n m h w"],
    weights: Float[Tensor, "n h w"],
    prepare: Callable[[Tensor], Tensor] = Tensor.float,
) -> Float[Tensor, "D1 m"]:
    """Weights and, last, bias that tell targets from features: ridge regression over weighted patches.

    Args:
        features: any precision.
        targets: without their weighted mean, which the bias has besides.
        weights: of the patches.
        prepare: what is done to some images' features before.
    """
    width = features.shape[1]
    products = features.new_zeros((width + 1, width + 1), dtype=torch.float64)
    sums = features.new_zeros((width + 1, targets.shape[1]), dtype=torch.float64)
    total = weights.double().sum() + 1e-12
    mean = (weights[:, None] * targets).double().sum((0, 2, 3)) / total
    for part, wanted, weight in zip(*(x.split(AT_ONCE) for x in (features, targets, weights)), strict=True):
        seen = F.pad(prepare(part), (0, 0, 0, 0, 0, 1), value=1.0)
        seen = seen.transpose(0, 1).flatten(1).double()  # (D + 1, patches)
        heavy = seen * weight.flatten()
        products += heavy @ seen.T
        sums += heavy @ (wanted.transpose(0, 1).flatten(1).double() - mean[:, None]).T
    decay = DECAY * torch.eye(width + 1, dtype=torch.float64, device=features.device)
    solved = torch.linalg.solve(products / total + decay, sums / total)
    solved[-1] += mean
    return solved.float()


def border_label(
    model: BorderModel, features: Float[Tensor, "D h w"], tags: Float[Tensor, " K"], size: tuple[int, int]
) -> Int64[Tensor, "H W"]:
    """Label map of one image at its size: 0 background, 1 to K its tags."""
    planes = model.planes(features[None], tags[None]).clamp(min=torch.finfo(torch.float32).min / 4)
    return F.interpolate(planes, size, mode="bilinear", align_corners=False).argmax(dim=1)[0]
