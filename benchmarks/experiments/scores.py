"""What is measured of a trained student and teacher: segmentation, CAMs, labels, outlines, regions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tagseg.config import PUBLISHED_CRF, Config
from tagseg.data import sources
from tagseg.data.dataset import IGNORE
from tagseg.data.images import read_image
from tagseg.data.loaders import ScoreBatch, score_loader
from tagseg.errors import TagsegError
from tagseg.inference.boundary import BoundaryScore
from tagseg.inference.metrics import SegmentationScore
from tagseg.model.network import Network
from tagseg.pairwise.crf import crf_labels
from tagseg.pseudo.cam import multi_scale_cam
from tagseg.pseudo.labels import cam_to_score, refined_label
from tagseg.pseudo.partition import CERTAIN_BACKGROUND, CERTAIN_FOREGROUND, UNCERTAIN, partition
from tagseg.training.validation import Validation


@dataclass
class Regions:
    """Pixels by region: how many, and how many of them the CAM gets wrong."""

    pixels: list[int]
    wrong: list[int]

    def figures(self) -> dict[str, float]:
        """Share right of the certain regions, and share of all errors that lie in uncertain ones, 0 to 1."""
        right = [1 - wrong / max(1, pixels) for wrong, pixels in zip(self.wrong, self.pixels, strict=True)]
        return {
            "certain_background_precision": right[CERTAIN_BACKGROUND],
            "certain_foreground_precision": right[CERTAIN_FOREGROUND],
            "errors_in_uncertain": self.wrong[UNCERTAIN] / max(1, sum(self.wrong)),
            "uncertain_share": self.pixels[UNCERTAIN] / max(1, sum(self.pixels)),
        }


@torch.no_grad()
def score(student: Network, teacher: Network, config: Config) -> dict[str, float]:
    """The training's own scores of both networks on ``data.val_split``, and more of the student, all 0 to 1.

    More are: mIoU of the pseudo-labels that its CAMs make, of the segmentation limited to an image's tags, and of the
    segmentation after a dense CRF; boundary IoU of the segmentation, and the quality of the partition.

    Images are resized to the training size, as in a training's own validation; scores count at native size.

    Raises:
        TagsegError: none of the images has a mask.
    """
    images = sources.load(config.data, config.data.val_split).with_masks()
    if not len(images):
        raise TagsegError(f"{images.source}: no image has a mask to score with, expected some in --data.masks")
    classes = len(student.classes) + 1
    labels, told, sharpened = (SegmentationScore(classes) for _ in range(3))
    photos = iter(images.samples)
    outlines, regions = BoundaryScore(classes), Regions([0] * 3, [0] * 3)
    device = next(student.parameters()).device
    validation = Validation(len(student.classes), config.cam).to(device)
    for batch in score_loader(images, config):
        batch = ScoreBatch(batch.images.to(device), batch.tags.to(device), batch.masks)
        views = student.normalise(batch.images)
        validation.update("student", student, views, batch)
        validation.update("teacher", teacher, views, batch)
        cams = multi_scale_cam(student, views, config.cam.scales, batch.tags)
        segmentation = student.segment_logits(views)
        label = refined_label(batch.images / 255, cams.final, batch.tags, config.labels)
        region = partition(cams.auxiliary, batch.tags, batch.images / 255, config.partition)
        for index, truth in enumerate(batch.masks):
            size = truth.shape
            found = F.interpolate(segmentation[index : index + 1], size=size, mode="bilinear", align_corners=False)
            truth = truth.to(device)
            photo = read_image(next(photos).image)
            refined = crf_labels([found[0].softmax(dim=0)], [photo], PUBLISHED_CRF)[0]
            sharpened.update(torch.from_numpy(refined), truth.cpu())
            outlines.update(found.argmax(dim=1)[0], truth)
            told.update(limited(found, batch.tags[index : index + 1]).argmax(dim=1)[0], truth)
            _count_labels(labels, _nearest(label[index], size), truth)
            cam = F.interpolate(cams.auxiliary[index : index + 1], size=size, mode="bilinear", align_corners=False)
            guess = cam_to_score(cam, batch.tags[index : index + 1], config.cam.background_threshold)[0]
            _count_regions(regions, _nearest(region[index], size), guess, truth)
    more = {
        "pseudo_label": labels.compute().mean_iou,
        "told_segmentation": told.compute().mean_iou,
        "segmentation_crf": sharpened.compute().mean_iou,
        "boundary_iou": outlines.compute(),
        **regions.figures(),
    }
    return validation.compute() | {f"student/{name}": value for name, value in more.items()}


def limited(logits: Tensor, tags: Tensor) -> Tensor:
    """Logits (B, C, H, W) without the classes that an image has no tag of."""
    allowed = F.pad(tags, (1, 0), value=1.0) > 0
    return logits.masked_fill(~allowed[:, :, None, None], float("-inf"))


def _nearest(labels: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(labels[None, None].float(), size=size, mode="nearest")[0, 0].long()


def _count_labels(score: SegmentationScore, label: Tensor, truth: Tensor) -> None:
    """A pixel that the pseudo-label leaves open is not counted: no loss reads it."""
    score.update(torch.where(label == IGNORE, 0, label), torch.where(label == IGNORE, IGNORE, truth.long()))


def _count_regions(regions: Regions, region: Tensor, guess: Tensor, truth: Tensor) -> None:
    counted = truth != IGNORE
    for kind in range(3):
        here = counted & (region == kind)
        regions.pixels[kind] += int(here.sum())
        regions.wrong[kind] += int((guess[here] != truth[here].long()).sum())
