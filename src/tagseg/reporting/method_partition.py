"""The partition that FSR trains with, by the auxiliary CAM of the tags, held against masks."""

from __future__ import annotations

from itertools import islice

import numpy as np
import torch
from PIL import Image

from tagseg.data.dataset import TaggedImages
from tagseg.data.loaders import whole_loader
from tagseg.fast.cam import class_cams
from tagseg.fast.engine import Engine
from tagseg.fsr.config import FSRConfig
from tagseg.fsr.partition import partition
from tagseg.inference.segment import cam_label_map
from tagseg.model.network import Network
from tagseg.progress import progress
from tagseg.reporting.certainty import RegionResult, RegionScore

_BATCH = 8


@torch.inference_mode()
def method_partition(
    network: Network, images: TaggedImages, settings: FSRConfig, side: int, quiet: bool
) -> tuple[RegionResult, ...]:
    """The three regions of whole photos at the size of the training, enlarged to that of their masks.

    A label is right where the tag with the highest CAM is the true class, and background where the CAM is at or below
    the lower threshold.

    Args:
        network: in evaluation mode.
        images: with masks and known tags.
        settings: of the training.
        side: of the network's input in pixels.
        quiet: no progress bar.
    """
    score, device, engine = RegionScore(), next(network.parameters()).device, Engine()
    samples = iter(images.samples)
    with progress(len(images), "partition", quiet=quiet) as bar:
        for pixels, tags in whole_loader(images, side, _BATCH, 0):
            pixels, tags = pixels.to(device), tags.to(device)
            cams = class_cams(network, network.normalise(pixels), settings.cam.scales, tags, engine).auxiliary
            regions = partition(cams, tags, pixels / 255, settings.partition).cpu().numpy()
            for sample, cam, region in zip(islice(samples, len(tags)), cams, regions, strict=True):
                assert sample.mask is not None  # scored images have one
                truth = sample.mask()
                enlarged = Image.fromarray(region).resize((truth.shape[1], truth.shape[0]), Image.Resampling.NEAREST)
                labels = cam_label_map(cam, sample.tags, truth.shape, settings.partition.low)
                score.update(np.asarray(enlarged), labels, truth)
                bar.update()
    return score.compute()
