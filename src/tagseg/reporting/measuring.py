"""One pass over the photos of a run: scores as ``evaluate`` gives them, and what else the masks tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from tagseg.config import Config
from tagseg.data.dataset import TaggedImages
from tagseg.data.loaders import whole_loader
from tagseg.fsr.config import CamConfig, FSRConfig
from tagseg.inference.evaluate import Labeller, scored_images
from tagseg.inference.evaluation_result import Evaluation
from tagseg.inference.predictor import Predictor
from tagseg.inference.scored import Scored
from tagseg.metrics.tags import tag_f1
from tagseg.metrics.trimap import TrimapScore
from tagseg.model.network import Network
from tagseg.progress import progress
from tagseg.reporting.certainty import RegionScore, regions_of
from tagseg.reporting.gallery import Gallery, small
from tagseg.reporting.measured_run import MeasuredRun, PhotoScore, TagScore
from tagseg.reporting.method_partition import method_partition
from tagseg.reporting.object_size import SizeScore
from tagseg.reporting.opened_run import OpenedRun
from tagseg.reporting.photo_estimate import photo_estimate
from tagseg.reviewing.agreement import photo_iou

UNKNOWN_TAGS = "the tags of some photos are not known, and a CAM is told them"
_TAGS_BATCH = 8


@dataclass(frozen=True)
class Wanted:
    """What is measured, and how.

    Attributes:
        network: arguments of the ``Predictor``: scales, mirror, size, max_side, precision, batch, device.
        crf: whether scores after a dense CRF are wanted, too.
        cam: whether the CAM is scored where tags are known.
        limit: number of photos, the first ones; 0: all.
        gallery: photos of each group of the gallery.
        flags: of ``tagseg evaluate``, for the same settings of data and network.
        quiet: no progress bars.
    """

    network: dict[str, Any]
    crf: bool
    cam: bool
    limit: int
    gallery: int
    flags: tuple[str, ...]
    quiet: bool


def measure_scores(
    run: OpenedRun, split: str, every: TaggedImages, contradictions: str, wanted: Wanted,
    shown: frozenset[str] | None,
) -> MeasuredRun:  # fmt: skip
    """Score a run on the images that have masks; ``shown``: the photos of the gallery, ``None``: it chooses them.

    Raises:
        TagsegError: an unreadable photo or mask, or masks that contradict the tags.
    """
    images = every.with_masks().first(wanted.limit)
    cam = _cam_labeller(run, wanted)
    known = all(sample.tags_known for sample in images.samples)
    protocol: dict[str, object] = {"model": str(run.file)}
    labeller = cam
    if run.segments:
        settings = {**wanted.network, "plain": True, "crf": wanted.crf, "scores": True}
        labeller = Labeller("segmentation", Predictor(run.network, **settings), 0.0)
    seen = _Seen(run, Gallery(wanted.gallery, [sample.name for sample in images.samples], shown))
    scores = scored_images(labeller, every, wanted.limit, protocol, contradictions, wanted.quiet, seen.see)
    measured = replace(seen.measured(images, split, scores), flags=wanted.flags)
    if not known:
        return replace(measured, cam_left_out=UNKNOWN_TAGS)
    side = _training_side(run.config, run.network.patch_size)
    measured = replace(measured, tags=_tag_score(run.network, images, side, wanted.quiet))
    if not run.segments:
        return replace(measured, cam=scores)
    if not wanted.cam:
        return replace(measured, cam_left_out="it was not asked for (--cam false)")
    if run.config is not None and isinstance(run.config.method, FSRConfig):
        own = method_partition(run.network, images, run.config.method, side, wanted.quiet)
        measured = replace(measured, partition=own)
    return replace(measured, cam=scored_images(cam, every, wanted.limit, protocol, contradictions, wanted.quiet))


class _Seen:
    """What is collected of each photo as it is scored."""

    def __init__(self, run: OpenedRun, gallery: Gallery) -> None:
        classes = len(run.network.classes) + 1
        self.run, self.gallery = run, gallery
        self.photos: dict[str, PhotoScore] = {}
        self.trimap, self.sizes, self.regions = TrimapScore(classes), SizeScore(), RegionScore()

    def see(self, scored: Scored) -> None:
        """Measure one photo; all but the gallery's groups is of the label map without a CRF."""
        sample, labels, truth, probs = scored.sample, scored.labels, scored.truth, scored.probs
        tags = sample.tags if sample.tags_known else None
        estimate = float("nan") if probs is None else photo_estimate(probs, labels, tags)
        photo = PhotoScore(sample.name, sample.image, tags, photo_iou(labels, truth), estimate)
        self.photos[sample.name] = photo
        self.trimap.update(labels, truth)
        self.sizes.update(labels, truth)
        regions = None if probs is None else regions_of(probs)
        if regions is not None:
            self.regions.update(regions, labels, truth)
        self.gallery.add(photo, lambda: small(labels, truth, regions))

    def measured(self, images: TaggedImages, split: str, scores: Evaluation) -> MeasuredRun:
        """All of it, photos in the order of the data."""
        return MeasuredRun(
            self.run, split, tuple(self.photos[sample.name] for sample in images.samples), self.gallery.maps,
            self.gallery.groups(), scores=scores, trimap=self.trimap.compute(), sizes=self.sizes.compute(),
            regions=self.regions.compute() if self.run.segments else (),
        )  # fmt: skip


def _cam_labeller(run: OpenedRun, wanted: Wanted) -> Labeller:
    """CAMs at the scales and threshold of the training where its method has them, else at those of ``evaluate``."""
    settings = getattr(run.config.method, "cam", CamConfig()) if run.config else CamConfig()
    network = {**wanted.network, "scales": settings.scales, "mirror": True, "plain": True}
    return Labeller("cam", Predictor(run.network, **network), settings.background_threshold)


@torch.inference_mode()
def _tag_score(network: Network, images: TaggedImages, side: int, quiet: bool) -> TagScore:
    """F1 of the tags that the classifier predicts of photos at the size of the training, as its validation does."""
    device = next(network.parameters()).device
    values: list[torch.Tensor] = []
    with progress(len(images), "tags", quiet=quiet) as bar:
        for pixels, tags in whole_loader(images, side, _TAGS_BATCH, 0):
            features = network.encoder(network.normalise(pixels.to(device)))
            values.append(tag_f1(network.classify(features)[0], tags.to(device)))
            bar.update(len(tags))
    return TagScore(float(torch.cat(values).mean()), len(images), side)


def _training_side(config: Config | None, patch: int) -> int:
    """The side of the square that photos were resized to."""
    size = 224
    if config is not None:
        features = getattr(config.method, "features", None)
        size = config.views.size if features is None else features.size
    return max(1, round(size / patch)) * patch
