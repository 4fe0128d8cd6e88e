"""Certain and uncertain regions (section 3 of docs/method.md); nothing else decides that."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from tagseg.fsr.config import PartitionConfig

CERTAIN_BACKGROUND, UNCERTAIN, CERTAIN_FOREGROUND = 0, 1, 2


def partition(
    cam: Float[Tensor, "B n H W"],
    tags: Float[Tensor, "B n"],
    image: Float[Tensor, "B 3 H W"],
    config: PartitionConfig,
) -> UInt8[Tensor, "B H W"]:
    """Divide each image into certain background (0), uncertain (1) and certain foreground (2).

    Args:
        cam: normalised auxiliary CAM in [0, 1].
        tags: 0 or 1.
        image: in [0, 1]; only the edge rule looks at it.
        config: rule and thresholds.
    """
    activation = present_activation(cam, tags)
    if config.rule == "edge":
        return by_edges(activation, image, config)
    return by_cam(activation, config)


def present_activation(cam: Float[Tensor, "B n H W"], tags: Float[Tensor, "B n"]) -> Float[Tensor, "B H W"]:
    """The highest CAM value among the present classes; 0 where an image has no tags."""
    return (cam * tags[:, :, None, None]).amax(dim=1)


def by_cam(activation: Float[Tensor, "B H W"], config: PartitionConfig) -> UInt8[Tensor, "B H W"]:
    """At or below ``low``: certain background; at or above ``high``: certain foreground; between: uncertain."""
    regions = torch.full_like(activation, UNCERTAIN, dtype=torch.uint8)
    regions[activation <= config.low] = CERTAIN_BACKGROUND
    regions[activation >= config.high] = CERTAIN_FOREGROUND
    return regions


def by_edges(
    activation: Float[Tensor, "B H W"], image: Float[Tensor, "B 3 H W"], config: PartitionConfig
) -> UInt8[Tensor, "B H W"]:
    """The paper's alternative: the surroundings of the strongest edges are uncertain, whatever the CAM is.

    Edge strength (Sobel, luminance) is averaged over a sixteenth of the side, and the strongest ``edge_share`` of the
    pixels are uncertain. The others are foreground where the CAM is nearer to the high threshold than to the low one.
    """
    strength = edge_strength(image)
    count = round(config.edge_share * strength[0].numel())
    middle = (config.low + config.high) / 2
    regions = torch.where(activation >= middle, CERTAIN_FOREGROUND, CERTAIN_BACKGROUND).to(torch.uint8).flatten(1)
    strongest = strength.flatten(1).topk(count, dim=1).indices
    regions.scatter_(1, strongest, UNCERTAIN)
    return regions.view_as(activation)


def edge_strength(image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B H W"]:
    """Sobel gradient magnitude of the luminance, averaged over a window of a sixteenth of the side."""
    red, green, blue = image.unbind(1)
    luminance = (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(1)
    padded = F.pad(luminance, (1, 1, 1, 1), mode="replicate")
    # Written out, as autocast would round a convolution to bfloat16, in which edges are equally strong.
    across = padded[..., 2:] - padded[..., :-2]
    down = padded[..., 2:, :] - padded[..., :-2, :]
    horizontal = across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]
    vertical = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    magnitude = (horizontal.square() + vertical.square()).sqrt()
    window = max(1, min(image.shape[-2:]) // 16) // 2 * 2 + 1
    smooth = F.avg_pool2d(magnitude, window, stride=1, padding=window // 2, count_include_pad=False)
    return smooth.squeeze(1)
