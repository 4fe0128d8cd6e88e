"""Scores of student and teacher while training (METHOD §8): CAM, auxiliary CAM, segmentation, tag F1."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

from tagseg.config import CamConfig
from tagseg.data.loaders import ScoreBatch
from tagseg.inference.metrics import SegmentationScore, tag_f1
from tagseg.model.network import Network
from tagseg.pseudo.cam import evaluating, multi_scale_cam
from tagseg.pseudo.labels import cam_to_score

WHAT = ("segmentation", "cam", "aux_cam")


class Validation:
    """Accumulates the scores of both networks over one pass of the validation images.

    Images are resized to the training size; scores count at native size. CAMs are scored with the images' tags,
    the segmentation without.

    Args:
        classes: K.
        cam: scales and background threshold.
    """

    def __init__(self, classes: int, cam: CamConfig) -> None:
        self.classes, self.cam = classes, cam
        self.reset()

    def reset(self) -> None:
        """Forget everything counted."""
        self.scores: dict[str, SegmentationScore] = {}
        self.f1: dict[str, list[Tensor]] = {}

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
        self.f1.setdefault(name, []).append(tag_f1(output.logits, batch.tags))
        for index, mask in enumerate(batch.masks):
            tags = batch.tags[index : index + 1]
            maps = {"segmentation": output.segmentation, "cam": cams.final, "aux_cam": cams.auxiliary}
            for what, values in maps.items():
                native = F.interpolate(
                    values[index : index + 1].float(), size=mask.shape, mode="bilinear", align_corners=False
                )
                if what == "segmentation":
                    label = native.argmax(dim=1)
                else:
                    label = cam_to_score(native, tags, self.cam.background_threshold)
                self._score(f"{name}/{what}").update(label[0].cpu(), mask.cpu())

    def _score(self, key: str) -> SegmentationScore:
        return self.scores.setdefault(key, SegmentationScore(self.classes + 1))

    def compute(self, reduce: bool = False) -> dict[str, float]:
        """mIoU, pixel accuracy (of the segmentation) and tag F1 by name, 0 to 1; then start anew.

        Args:
            reduce: sum over all processes first.
        """
        results: dict[str, float] = {}
        for key, score in self.scores.items():
            if reduce:
                score.matrix = _all_sum(score.matrix)
            result = score.compute()
            results[key] = result.mean_iou
            if key.endswith("segmentation"):
                results[f"{key}_accuracy"] = result.pixel_accuracy
        for name, parts in self.f1.items():
            values = torch.cat(parts).float()
            both = torch.stack([values.sum(), values.new_tensor(float(len(values)))]).cpu()
            total, count = (_all_sum(both) if reduce else both).tolist()
            results[f"{name}/tag_f1"] = total / count
        self.reset()
        return results


def _all_sum(values: Tensor) -> Tensor:
    """Sum over all processes, on the device their backend speaks to."""
    device = torch.device("cuda") if dist.get_backend() == "nccl" else torch.device("cpu")
    moved = values.to(device)
    dist.all_reduce(moved)
    return moved.cpu()
