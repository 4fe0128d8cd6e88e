"""The steps of the method on one image: a row of the grid picture."""

from __future__ import annotations

import torch
from jaxtyping import UInt8
from numpy import ndarray

from tagseg.config import Config
from tagseg.data.dataset import Sample
from tagseg.data.images import read_image
from tagseg.data.seeds import seed_of
from tagseg.fast.ops import FAST
from tagseg.inference.segment import label_map, scale_logits, to_input
from tagseg.model.network import Network
from tagseg.reporting.method_maps import Photos, cam_maps, fsr_maps
from tagseg.reporting.pictures import GridRow


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
    height, width = pixels.shape[:2]
    pixels_in_rows = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].to(image.device)
    tags = torch.zeros(1, len(network.classes), device=image.device)
    tags[0, list(sample.tags)] = 1
    photo = Photos(pixels_in_rows.float(), tags, (seed_of(config.run.seed),))
    maps = fsr_maps(network, photo, config.fsr, FAST, "uncertain", labels=label is None)
    assert maps.regions is not None  # as asked for
    assert maps.masked is not None
    if maps.pseudo_label is not None:
        label = maps.pseudo_label[0].cpu().numpy()
    grids = scale_logits(network, image, scales=(1.0,))
    plain_cam = None if plain is None else cam_maps(plain, photo, config.fsr.cam, FAST).cam[0].cpu().numpy()
    return GridRow(
        image=pixels,
        tags=tuple(network.classes[k] for k in sample.tags),
        plain_cam=plain_cam,
        cam=maps.cam[0].cpu().numpy(),
        regions=maps.regions[0].cpu().numpy(),
        masked=maps.masked[0].cpu().numpy(),
        pseudo_label=label,
        prediction=label_map(grids, (height, width)),
        truth=None if sample.mask is None else sample.mask(),
    )
