"""The steps of the method on one image: a row of the grid picture."""

from __future__ import annotations

import torch
from jaxtyping import UInt8
from numpy import ndarray

from tagseg.config import Config
from tagseg.data.dataset import Sample
from tagseg.data.images import read_image
from tagseg.data.seeds import seed_of
from tagseg.fast.cam import class_cams
from tagseg.fast.pseudo_labels import pseudo_label
from tagseg.fsr.masking import block_mask, block_noise
from tagseg.fsr.partition import UNCERTAIN, partition, present_activation
from tagseg.inference.segment import label_map, scale_logits, to_input
from tagseg.model.network import Network
from tagseg.reporting.pictures import GridRow


@torch.no_grad()
def explain(
    network: Network,
    sample: Sample,
    config: Config,
    plain: Network | None = None,
    label: UInt8[ndarray, "H W"] | None = None,
) -> GridRow:
    """CAM, partition, mask, pseudo-label and prediction of one image (docs/method.md).

    Args:
        network: in evaluation mode.
        sample: an image whose sides are multiples of the patch and of the mask's block.
        config: settings of the training.
        plain: a plain classifier whose CAM is shown for comparison.
        label: the image's pseudo-label if it was made before the training; default: made from the CAM.
    """
    pixels = read_image(sample.image)
    image = to_input(network, pixels)
    unit = torch.from_numpy(pixels.copy()).permute(2, 0, 1).unsqueeze(0).float().to(image.device) / 255
    tags = torch.zeros(1, len(network.classes), device=image.device)
    tags[0, list(sample.tags)] = 1

    settings = config.fsr
    cams = class_cams(network, image, settings.cam.scales)
    regions = partition(cams.auxiliary, tags, unit, settings.partition)
    height, width = pixels.shape[:2]
    blocks = (height // settings.mask.block, width // settings.mask.block)
    noise = block_noise([seed_of(config.run.seed)], blocks).to(image.device)
    if label is None:
        label = pseudo_label(unit, cams.final, tags, settings.labels)[0].to(torch.uint8).cpu().numpy()
    grids = scale_logits(network, image, scales=(1.0,))
    plain_cam = None
    if plain is not None:
        plain_cam = present_activation(class_cams(plain, image, settings.cam.scales).final, tags)[0].cpu().numpy()
    return GridRow(
        image=pixels,
        tags=tuple(network.classes[k] for k in sample.tags),
        plain_cam=plain_cam,
        cam=present_activation(cams.final, tags)[0].cpu().numpy(),
        regions=regions[0].cpu().numpy(),
        masked=block_mask(noise, regions == UNCERTAIN, settings.mask.ratio)[0].cpu().numpy(),
        pseudo_label=label,
        prediction=label_map(grids, (height, width)),
        truth=None if sample.mask is None else sample.mask(),
    )
