"""What the tests of filters and CRF share: pictures with edges, probabilities, and mean field by full matrices."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def photo(seed, height, width, noise=2.0):
    """Smooth colours, regions with sharp edges and a little noise; uint8 (3, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    smooth = F.interpolate(torch.rand(1, 3, 4, 5, generator=generator), (height, width), mode="bicubic")[0]
    regions = F.interpolate(torch.rand(1, 3, 3, 3, generator=generator), (height, width), mode="nearest")[0]
    picture = 100 * smooth + 130 * regions + noise * torch.randn(3, height, width, generator=generator)
    return picture.clamp(0, 255).round().to(torch.uint8)


def soft(seed, classes, height, width, sharpness=3.0):
    """Probabilities as coarse logits give them; float32 (C, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    logits = sharpness * torch.randn(1, classes, 4, 5, generator=generator)
    return F.interpolate(logits, (height, width), mode="bicubic")[0].softmax(dim=0)


def with_rare(probabilities, rare, share=1e-5):
    """``rare`` classes more, whose probability is a small share of the first one's, different in each pixel."""
    generator = torch.Generator().manual_seed(rare)
    chances = torch.rand(rare, *probabilities.shape[1:], generator=generator)
    return (everything := torch.cat([probabilities, share * chances * probabilities[:1]])) / everything.sum(dim=0)


def some_images(count=3, height=20, width=26, classes=4):
    """Probabilities (B, C, H, W) and images of a batch."""
    probabilities = torch.stack([soft(seed, classes, height, width) for seed in range(count)])
    return probabilities, torch.stack([photo(seed, height, width) for seed in range(count)])


def draw(seed, batch, n, size=2, width=5, spread=2.0):
    """Points (batch, n, width) and values (batch, n, size)."""
    generator = torch.Generator().manual_seed(seed)
    points = spread * torch.randn(batch, n, width, generator=generator)
    return points, torch.rand(batch, n, size, generator=generator)


def squared_distances(points):
    """(N, F) → (N, N), by differences in float64: no digits are lost."""
    points = points.double()
    return (points[:, None] - points[None]).square().sum(dim=2)


def full_sum(points, values):
    """Σ_j exp(−½‖f_i − f_j‖²) v_j of (N, F) and (N, M) by the full matrix in float64."""
    return torch.exp(-0.5 * squared_distances(points)) @ values.double()


def positions(height, width):
    """(N, 2) x and y of the pixels, row by row."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1).double()


def normalised(kernel):
    """n_i k_ij n_j with n = 1 / √(Σ_j k_ij)."""
    norm = kernel.sum(dim=1).rsqrt()
    return norm[:, None] * kernel * norm


def full_messages(image, config):
    """(N, N) what a unit of Q in each pixel sends to each: both kernels, normalised, times their weights; float64."""
    place = positions(*image.shape[1:])
    points = torch.cat([place / config.bilateral_sigma_xy, image.double().flatten(1).T / config.bilateral_sigma_rgb], 1)
    gaussian, bilateral = (torch.exp(-0.5 * squared_distances(p)) for p in (place / config.gaussian_sigma, points))
    return config.gaussian_weight * normalised(gaussian) + config.bilateral_weight * normalised(bilateral)


def full_mean_field(probabilities, image, config):
    """Marginals (C, H, W) of one image after each iteration, 0 to ``config.iterations``; float64, nothing left out."""
    matrix = full_messages(image, config)
    unary = probabilities.double().flatten(1).T.log()
    q = [unary.softmax(dim=1)]
    for _ in range(config.iterations):
        q.append((unary + matrix @ q[-1]).softmax(dim=1))
    return [x.T.unflatten(1, image.shape[1:]) for x in q]


def set_pixel(value):
    def change(probabilities):
        probabilities[1, 2, 3, 4] = value

    return change


def minus(probabilities):
    """Still sums to one."""
    probabilities[1, :2, 3, 4] = torch.tensor([-0.25, 1.25]) - probabilities[1, 2:, 3, 4].sum() / 2


BAD_PROBABILITIES: dict[str, tuple[Callable[[Tensor], object], list[str]]] = {
    "a sum above one": (set_pixel(1.5), ["sum to", "expected 1", "softmax"]),
    "logits": (lambda p: p.mul_(3), ["sum to 3", "expected 1", "softmax"]),
    "all zero": (lambda p: p.zero_(), ["sum to 0", "expected 1", "softmax"]),
    "not a number": (set_pixel(float("nan")), ["not finite", "NaN", "network"]),
    "infinite": (set_pixel(float("inf")), ["not finite", "infinite", "network"]),
    "negative": (minus, ["probability of -", "expected 0 to 1", "softmax"]),
}
"""What changes the probabilities of a batch to what is none, and parts of the message that refuses them."""
