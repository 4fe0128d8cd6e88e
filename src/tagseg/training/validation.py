"""Scores of student and teacher while training (METHOD §8): CAM, auxiliary CAM, segmentation, tag F1."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanMetric, Metric

from tagseg.config import CamConfig
from tagseg.data.loaders import ScoreBatch
from tagseg.inference.metrics import SegmentationResult, SegmentationScore, tag_f1
from tagseg.model.network import Network
from tagseg.pseudo.cam import evaluating, multi_scale_cam
from tagseg.pseudo.labels import cam_to_score

NETWORKS = ("student", "teacher")
MAPS = ("segmentation", "cam", "aux_cam")


class Confusion(Metric):
    """``SegmentationScore`` summed over all processes."""

    full_state_update = False
    matrix: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.add_state("matrix", torch.zeros((classes, classes), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, truth: Tensor) -> None:
        """Count one label map."""
        score = SegmentationScore(self.classes, self.matrix.device)
        score.update(prediction, truth)
        self.matrix += score.matrix

    def compute(self) -> Tensor:
        """Everything counted; torchmetrics does not let a frozen result through."""
        return self.matrix

    def result(self) -> SegmentationResult:
        """The scores of everything counted."""
        score = SegmentationScore(self.classes)
        score.matrix = self.compute().cpu()
        return score.compute()


class Validation(nn.Module):
    """Accumulates the scores of both networks over one pass of the validation images.

    Images are resized to the training size; scores count at native size. CAMs are scored with the images' tags,
    the segmentation without.

    Args:
        classes: K.
        cam: scales and background threshold.
    """

    def __init__(self, classes: int, cam: CamConfig) -> None:
        super().__init__()
        self.cam = cam
        self.confusion = nn.ModuleDict({f"{who}/{what}": Confusion(classes + 1) for who in NETWORKS for what in MAPS})
        self.f1 = nn.ModuleDict({who: MeanMetric() for who in NETWORKS})

    @torch.no_grad()
    def update(self, name: str, network: Network, images: Tensor, batch: ScoreBatch) -> None:
        """Score one network on a batch.

        Args:
            name: ``student`` or ``teacher``.
            network: the network.
            images: (B, 3, S, S) normalised.
            batch: their tags and masks.
        """
        with evaluating(network):
            output = network(images)
            cams = multi_scale_cam(network, images, self.cam.scales, batch.tags)
        self._metric(self.f1[name]).update(tag_f1(output.logits, batch.tags))
        maps = {"segmentation": output.segmentation, "cam": cams.final, "aux_cam": cams.auxiliary}
        for index, mask in enumerate(batch.masks):
            tags = batch.tags[index : index + 1]
            for what, values in maps.items():
                native = F.interpolate(
                    values[index : index + 1].float(), size=mask.shape, mode="bilinear", align_corners=False
                )
                if what == "segmentation":
                    label = native.argmax(dim=1)
                else:
                    label = cam_to_score(native, tags, self.cam.background_threshold)
                self._metric(self.confusion[f"{name}/{what}"]).update(label[0], mask.to(label.device))

    def compute(self) -> dict[str, float]:
        """mIoU, pixel accuracy (of the segmentation) and tag F1 by name, 0 to 1, over all processes; then anew."""
        results: dict[str, float] = {}
        for key, module in self.confusion.items():
            assert isinstance(module, Confusion)  # for the type checker: a ModuleDict does not say
            score = module.result()
            results[key] = score.mean_iou
            if key.endswith("segmentation"):
                results[f"{key}_accuracy"] = score.pixel_accuracy
        for name, module in self.f1.items():
            results[f"{name}/tag_f1"] = float(self._metric(module).compute())
        for module in (*self.confusion.values(), *self.f1.values()):
            self._metric(module).reset()
        return results

    @staticmethod
    def _metric(module: Any) -> Metric:
        return module
