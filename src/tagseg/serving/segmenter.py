"""The network of the server: from a photo's file to its mask, and to the method's own view of it, the partition."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float16, UInt8
from numpy import ndarray
from PIL import Image

from tagseg.data.images import read_image
from tagseg.errors import TagsegError
from tagseg.fast.cam import auxiliary_cam
from tagseg.fast.present_classes import present_classes
from tagseg.fast.workspace import Workspaces
from tagseg.fsr.config import CamConfig, PartitionConfig
from tagseg.fsr.partition import partition
from tagseg.inference.label_maps import Wanted, label_maps
from tagseg.inference.multi_scale import PhotoLogits
from tagseg.inference.predictor import Predictor
from tagseg.inference.segment import resize, to_input
from tagseg.model.network import Network
from tagseg.pairwise.config import CrfConfig
from tagseg.reviewing.views import photo_views

REGION_COLOURS = ((33, 62, 99), (250, 178, 56), (226, 60, 74))
"""RGB of certain background, uncertain and certain foreground."""
_SHOWN = 0.5
"""A class is predicted for a photo from this probability on."""


@dataclass(frozen=True)
class Segmented:
    """What the network said about a photo.

    Attributes:
        mask: the label map, as ``predict`` writes it.
        grids: logits of each scale on its patch grid, float32 (C, h, w).
    """

    mask: UInt8[ndarray, "H W"]
    grids: tuple[ndarray, ...]


class Segmenter:
    """Labels photos with one network. Not for several threads at a time.

    Args:
        predictor: the network and how it is used.
        crf: what a CRF does, where it is asked for.
        regions: thresholds of the partition.
        cam: scales of the auxiliary CAM.
    """

    def __init__(self, predictor: Predictor, crf: CrfConfig, regions: PartitionConfig, cam: CamConfig) -> None:
        self._predictor, self._crf = predictor, crf
        self._regions, self._cam = regions, cam
        self._workspaces = Workspaces()
        self.classes, self.names, self.colours = predictor.classes, predictor.names, predictor.colours

    def use(self, network: Network) -> None:
        """Take another network of the same classes from now on, e.g. one that was trained anew."""
        if network.classes != self.classes:
            raise TagsegError(
                f"the network has {len(network.classes)} classes, expected the {len(self.classes)} before"
            )
        self._predictor.network = network.to(next(self._predictor.network.parameters()).device).eval()

    def segment(self, photo: Path, crf: bool) -> Segmented:
        """The mask of a photo, equal to that of ``predict`` with the same settings.

        Raises:
            TagsegError: the photo cannot be read.
        """
        logits = self._logits(photo)
        wanted = Wanted(plain=not crf, crf=self._crf if crf else None)
        labelled = label_maps([logits], self._predictor.multi_scale.sizing, wanted, self._workspaces)[0]
        return Segmented(labelled.labels, tuple(grid.cpu().numpy() for grid in logits.grids))

    def probabilities(self, photo: Path) -> Float16[ndarray, "C H W"]:
        """The probability of each label at each pixel, as ``predict`` writes it.

        Raises:
            TagsegError: the photo cannot be read.
        """
        wanted = replace(self._predictor.wanted, plain=True, crf=None, scores=True)
        scores = label_maps([self._logits(photo)], self._predictor.multi_scale.sizing, wanted)[0].scores
        assert scores is not None
        return scores

    def _logits(self, photo: Path) -> PhotoLogits:
        (logits,) = self._predictor.multi_scale.logits(self._predictor.network, [read_image(photo)])
        return logits

    @torch.inference_mode()
    def partition(self, photo: Path) -> UInt8[ndarray, "H W"]:
        """Where the method is certain: 0 certain background, 1 uncertain, 2 certain foreground.

        By thresholds on the auxiliary CAM of the classes that the network predicts for the photo as a whole, or of the
        likeliest one. It is computed at the size that the network sees and enlarged to that of the photo.

        Raises:
            TagsegError: the photo cannot be read.
        """
        pixels = read_image(photo)
        height, width = pixels.shape[:2]
        network, multi_scale = self._predictor.network, self._predictor.multi_scale
        (views,) = photo_views(network, [pixels], replace(multi_scale, scales=(1.0,)))
        tags = (views.tags >= max(min(_SHOWN, float(views.tags.max())), 0)).float()[None]
        within = multi_scale.sizing.within(height, width)
        image = resize(to_input(network, pixels), within)
        classes = present_classes(tags)
        cam = auxiliary_cam(network, image, self._cam.scales, classes)
        plain = resize(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255, within).to(cam.device)
        regions = partition(cam, classes.tags, plain, self._regions)[0].cpu().numpy()
        enlarged = Image.fromarray(regions).resize((width, height), Image.Resampling.NEAREST)
        return np.array(enlarged)
