"""A second round: masks of the training images, by a trained network that is told their tags, to train another on.

Single-stage training makes a pseudo-label anew for every view, from the network as it is. Here a finished network makes
one for each image, from the whole image and its mirror, limited to its tags; ``labels.source: masks`` trains on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import UInt8
from numpy import ndarray
from scores import limited
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from tagseg.config import Config, replace
from tagseg.data import sources
from tagseg.data.images import read_image
from tagseg.data.loaders import to_tensor
from tagseg.inference.export import save_mask
from tagseg.model.network import Network


@torch.no_grad()
def with_masks_of(network: Network, config: Config, folder: Path, scored_on: Sequence[str]) -> Config:
    """Write masks of ``data.train_split`` to ``folder`` and return the configuration that trains on them.

    The true masks of the splits that score are copied there as they are.

    Args:
        network: of the first round.
        config: of the second.
        folder: for the masks.
        scored_on: the splits that score.
    """
    for sample in tqdm(sources.load(config.data, config.data.train_split).samples, desc="masks", unit="image"):
        label = told_label(network, read_image(sample.image), sample.tags, config.views.size)
        save_mask(folder / f"{sample.name}.png", label.numpy())
    for split in scored_on:
        for sample in sources.load(config.data, split).with_masks().samples:
            if sample.mask is not None:  # for the type checker
                save_mask(folder / f"{sample.name}.png", sample.mask())
    return replace(config, data={"masks": str(folder.resolve())})


def told_label(
    network: Network, photo: UInt8[ndarray, "H W 3"], tags: tuple[int, ...], size: int
) -> UInt8[Tensor, "H W"]:
    """Label map of a photo, of background and its tags alone; the network sees it ``size`` pixels square."""
    device = next(network.parameters()).device
    image = to_tensor(photo).contiguous().float().unsqueeze(0).to(device)
    native = image.shape[-2:]
    image = F.interpolate(image, (size, size), mode="bilinear", align_corners=False, antialias=True)
    logits = network.segment_logits(network.normalise(torch.cat([image, image.flip(-1)])))
    logits = (logits[:1] + logits[1:].flip(-1)) / 2
    row = torch.zeros(1, len(network.classes), device=device)
    row[0, list(tags)] = 1
    planes = F.interpolate(logits, native, mode="bilinear", align_corners=False)
    return limited(planes, row).argmax(dim=1)[0].to(torch.uint8).cpu()
