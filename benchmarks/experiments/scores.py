"""Scores of a trained student and teacher: segmentation, CAMs, pseudo-labels, outlines, regions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tagseg.config import Config
from tagseg.data import sources
from tagseg.data.batch import ScoreBatch
from tagseg.data.dataset import IGNORE, TaggedImages
from tagseg.data.images import read_image
from tagseg.data.loaders import score_loader
from tagseg.errors import TagsegError
from tagseg.fast.cam import class_cams
from tagseg.fast.dense_crf import crf_labels
from tagseg.fast.ops import FAST
from tagseg.fast.pseudo_labels import pseudo_label
from tagseg.fsr.partition import CERTAIN_BACKGROUND, CERTAIN_FOREGROUND, UNCERTAIN, partition
from tagseg.fsr.pseudo_labels import cam_to_score
from tagseg.methods.fsr import FSR
from tagseg.metrics.boundary import BoundaryScore
from tagseg.metrics.segmentation import SegmentationScore
from tagseg.model.network import Network
from tagseg.pairwise.config import PUBLISHED_CRF
from tagseg.training.validation import Validation


@dataclass
class Regions:
    """Number of pixels of each region, and of those where the CAM is wrong."""

    pixels: list[int]
    wrong: list[int]

    def figures(self) -> dict[str, float]:
        """Precision of the certain regions, and share of all errors that lie in uncertain ones, 0 to 1."""
        right = [1 - wrong / max(1, pixels) for wrong, pixels in zip(self.wrong, self.pixels, strict=True)]
        return {
            "certain_background_precision": right[CERTAIN_BACKGROUND],
            "certain_foreground_precision": right[CERTAIN_FOREGROUND],
            "errors_in_uncertain": self.wrong[UNCERTAIN] / max(1, sum(self.wrong)),
            "uncertain_share": self.pixels[UNCERTAIN] / max(1, sum(self.pixels)),
        }

    def add(self, region: Tensor, guess: Tensor, truth: Tensor) -> None:
        """Add one image: its regions, the labels of its CAM, and the ground truth."""
        counted = truth != IGNORE
        for kind in range(3):
            here = counted & (region == kind)
            self.pixels[kind] += int(here.sum())
            self.wrong[kind] += int((guess[here] != truth[here].long()).sum())


class StudentScore:
    """Accumulates the scores of a student beyond those of the validation.

    They are mIoU of pseudo-labels, of the segmentation limited to the image's tags, and of the segmentation after a
    dense CRF; boundary IoU of the segmentation; and the quality of the partition.
    """

    def __init__(self, student: Network, config: Config, images: TaggedImages) -> None:
        self.student, self.settings = student, config.fsr
        self.photos = iter(images.samples)
        classes = len(student.classes) + 1
        self.labels, self.with_tags, self.with_crf = (SegmentationScore(classes) for _ in range(3))
        self.outlines, self.regions = BoundaryScore(classes), Regions([0] * 3, [0] * 3)

    def update(self, batch: ScoreBatch, views: Tensor) -> None:
        """Add a batch; ``views`` are its normalised images."""
        settings, unit = self.settings, batch.images / 255
        cams = class_cams(self.student, views, settings.cam.scales, batch.tags)
        segmentation = self.student.segment_logits(views)
        label = pseudo_label(unit, cams.final, batch.tags, settings.labels)
        region = partition(cams.auxiliary, batch.tags, unit, settings.partition)
        for index, truth in enumerate(batch.masks):
            one, size, truth = slice(index, index + 1), truth.shape, truth.to(views.device)
            logits = F.interpolate(segmentation[one], size=size, mode="bilinear", align_corners=False)
            refined = crf_labels([logits[0].softmax(dim=0)], [read_image(next(self.photos).image)], PUBLISHED_CRF)[0]
            self.with_crf.update(torch.from_numpy(refined), truth.cpu())
            self.outlines.update(logits.argmax(dim=1)[0], truth)
            self.with_tags.update(limited(logits, batch.tags[one]).argmax(dim=1)[0], truth)
            ours = _nearest(label[index], size)
            # Pixels that the pseudo-label ignores are not counted: no loss reads them.
            self.labels.update(torch.where(ours == IGNORE, 0, ours), torch.where(ours == IGNORE, IGNORE, truth.long()))
            cam = F.interpolate(cams.auxiliary[one], size=size, mode="bilinear", align_corners=False)
            guess = cam_to_score(cam, batch.tags[one], settings.cam.background_threshold)[0]
            self.regions.add(_nearest(region[index], size), guess, truth)

    def compute(self) -> dict[str, float]:
        """The scores by name, 0 to 1."""
        return {
            "pseudo_label": self.labels.compute().mean_iou,
            "segmentation_with_tags": self.with_tags.compute().mean_iou,
            "segmentation_crf": self.with_crf.compute().mean_iou,
            "boundary_iou": self.outlines.compute(),
            **self.regions.figures(),
        }


@torch.no_grad()
def score(student: Network, teacher: Network, config: Config) -> dict[str, float]:
    """The validation scores of both networks on ``data.val_split``, and those of ``StudentScore``, 0 to 1.

    Images are resized to the training size, as in the validation of a training; scores count at native size.

    Raises:
        TagsegError: none of the images has a mask.
    """
    images = sources.load(config.data, config.data.val_split).with_masks()
    if not len(images):
        raise TagsegError(f"{images.source}: no image has a mask to score with, expected some in --data.masks")
    device, networks, run = next(student.parameters()).device, {"student": student, "teacher": teacher}, config.run
    validation = Validation(tuple(networks), FSR.SCORED, len(student.classes), config.fsr.cam).to(device)
    more = StudentScore(student, config, images)
    for batch in score_loader(images, config.views.size, run.val_batch, run.workers, run.val_limit):
        batch = ScoreBatch(batch.images.to(device), batch.tags.to(device), batch.masks)
        views = student.normalise(batch.images)
        for name, network in networks.items():
            validation.update(name, network, views, batch, FAST)
        more.update(batch, views)
    return validation.compute() | {f"student/{name}": value for name, value in more.compute().items()}


def limited(logits: Tensor, tags: Tensor) -> Tensor:
    """Logits (B, C, H, W) of background and the image's tags; −∞ for all other classes."""
    allowed = F.pad(tags, (1, 0), value=1.0) > 0
    return logits.masked_fill(~allowed[:, :, None, None], float("-inf"))


def _nearest(labels: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(labels[None, None].float(), size=size, mode="nearest")[0, 0].long()
