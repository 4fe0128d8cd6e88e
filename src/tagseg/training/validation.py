"""Scores while training (section 8 of docs/method.md): CAM, auxiliary CAM, segmentation and tag F1."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanMetric, Metric

from tagseg.data.batch import ScoreBatch
from tagseg.fsr.cam import CamClasses
from tagseg.fsr.config import CamConfig
from tagseg.fsr.pseudo_labels import cam_to_score
from tagseg.fsr.step import Ops
from tagseg.metrics.segmentation import SegmentationResult, SegmentationScore
from tagseg.metrics.tags import tag_f1
from tagseg.model.network import Network, evaluating


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
        """The confusion matrix; torchmetrics accepts no frozen dataclass as result."""
        return self.matrix

    def result(self) -> SegmentationResult:
        """The scores of everything counted."""
        score = SegmentationScore(self.classes)
        score.matrix = self.compute().cpu()
        return score.compute()


class Validation(nn.Module):
    """Accumulates the scores of the networks over one pass of the validation images.

    Images are resized to the training size; scores count at native size. CAMs are scored with the images' tags,
    the segmentation without. Images whose tags are not known count for the segmentation alone.

    Args:
        networks: their names.
        maps: which are scored: ``segmentation``, ``cam``, ``aux_cam``.
        classes: K.
        cam: scales and background threshold.
    """

    def __init__(self, networks: tuple[str, ...], maps: tuple[str, ...], classes: int, cam: CamConfig) -> None:
        super().__init__()
        self.maps, self.cam, self.scores_cams = maps, cam, maps != ("segmentation",)
        self.confusion = nn.ModuleDict({f"{name}/{what}": Confusion(classes + 1) for name in networks for what in maps})
        self.f1 = nn.ModuleDict({name: MeanMetric() for name in networks})

    @torch.no_grad()
    def update(self, name: str, network: Network, images: Tensor, batch: ScoreBatch, ops: Ops) -> None:
        """Score one network on a batch.

        Args:
            name: of the network.
            network: the network.
            images: (B, 3, S, S) normalised.
            batch: their tags and masks.
            ops: operations that compute CAMs.
        """
        known = ~batch.tags.isnan().any(dim=1)
        tags = batch.tags.nan_to_num()
        classes = ops.cam_classes(tags)
        with evaluating(network):
            output = network(images)
            cams = ops.cams(network, images, self.cam.scales, classes) if self.scores_cams else None
        if known.any():
            self._metric(self.f1[name]).update(tag_f1(output.logits[known], tags[known]))
        maps = {"segmentation": output.segmentation}
        if cams is not None:
            maps |= {"cam": cams.final, "aux_cam": cams.auxiliary}
        for index, mask in enumerate(batch.masks):
            one = slice(index, index + 1)
            for what in self.maps if known[index] else [w for w in self.maps if w == "segmentation"]:
                native = F.interpolate(maps[what][one].float(), size=mask.shape, mode="bilinear", align_corners=False)
                if what == "segmentation":
                    label = native.max(dim=1).indices  # argmax takes five times as long on a CPU
                else:
                    own = CamClasses(classes.index[one], classes.tags[one])
                    label = own.class_label(cam_to_score(native, own.tags, self.cam.background_threshold))
                self._metric(self.confusion[f"{name}/{what}"]).update(label[0], mask.to(label.device))

    def compute(self) -> dict[str, float]:
        """mIoU, pixel accuracy (of the segmentation) and tag F1 by name, 0 to 1, over all processes; then reset.

        Scores that use tags are left out where no image's tags are known.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*compute.*before.*update.*")  # no image has known tags
            results = self._results()
        by_tags = {key for key in results if "segmentation" not in key}
        results = {key: value for key, value in results.items() if key not in by_tags or not math.isnan(value)}
        for module in (*self.confusion.values(), *self.f1.values()):
            self._metric(module).reset()
        return results

    def _results(self) -> dict[str, float]:
        results: dict[str, float] = {}
        for key, module in self.confusion.items():
            assert isinstance(module, Confusion)  # for the type checker: a ModuleDict does not say
            score = module.result()
            results[key] = score.mean_iou
            if key.endswith("segmentation"):
                results[f"{key}_accuracy"] = score.pixel_accuracy
        for name, module in self.f1.items():
            results[f"{name}/tag_f1"] = float(self._metric(module).compute())
        return results

    @staticmethod
    def _metric(module: Any) -> Metric:
        return module
