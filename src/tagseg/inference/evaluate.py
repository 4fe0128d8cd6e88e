"""Evaluation: label maps or CAMs of a network against ground truth; scores are saved with their protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor

from tagseg.arguments import check_kinds, check_path, refuse
from tagseg.data.comparison import Comparison
from tagseg.data.config import DataConfig
from tagseg.data.dataset import IGNORE, Sample, TaggedImages
from tagseg.data.palette import label_names
from tagseg.data.reading import reading_of, show_warnings
from tagseg.data.sources import load_for_network
from tagseg.data.tags_and_masks import TagsAgainstMasks, judge
from tagseg.errors import TagsegError
from tagseg.fast.cam import multi_scale_cam
from tagseg.fast.engine import Engine
from tagseg.fast.present_classes import present_classes
from tagseg.fsr.config import CamConfig
from tagseg.inference.batches import Photo, Sizes
from tagseg.inference.evaluation_result import Evaluation
from tagseg.inference.precision import Precision, computing
from tagseg.inference.predictor import Predictor
from tagseg.inference.scored import Scored, See
from tagseg.inference.segment import (
    MAX_SIDE,
    SCALES,
    cam_label_map,
    resize,
    to_input,
)
from tagseg.metrics.segmentation import SegmentationScore
from tagseg.model.network import Network
from tagseg.pairwise.config import PUBLISHED_CRF, CrfConfig
from tagseg.progress import progress
from tagseg.terminal import say

What = Literal["segmentation", "cam", "aux_cam"]
WHAT: tuple[What, ...] = get_args(What)


def evaluate(
    model: str | Path | Network,
    data: DataConfig,
    split: str | None = None,
    what: What = "segmentation",
    *,
    scales: tuple[float, ...] | None = None,
    mirror: bool = True,
    size: int | None = None,
    max_side: int | None = MAX_SIDE,
    background_threshold: float = CamConfig.background_threshold,
    crf: bool = False,
    crf_settings: CrfConfig = PUBLISHED_CRF,
    limit: int = 0,
    precision: Precision = "32",
    batch: int = 0,
    read_ahead: bool = True,
    device: str = "auto",
    output: str | Path | None = None,
    quiet: bool = False,
) -> Evaluation:
    """Score a network on a split with ground-truth masks; print the table.

    Args:
        model: run folder, ``.safetensors`` file or a network.
        data: where images, tags and masks are.
        split: default: ``data.val_split``.
        what: ``segmentation`` (uses no tags), or ``cam`` or ``aux_cam``, limited to the image's tags.
        scales: factors of the image's size; default 1, 1.25, 1.5, for CAMs 1, 0.5, 1.5 (as published).
        mirror: test-time flip augmentation (image and horizontal flip); always on for CAMs.
        size: side in pixels of a square that images are resized to for the network; default: native size.
        max_side: longest side in pixels at scale 1, as in ``predict``.
        background_threshold: CAMs only: a pixel at or below it is background.
        crf: segmentation only: also score it after a dense CRF (section 9 of docs/method.md).
        crf_settings: the CRF's kernels.
        limit: number of images to score, the first ones; 0: all.
        precision: as in ``predict``.
        batch: as in ``predict``.
        read_ahead: as in ``predict``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` …
        output: folder for ``evaluation.json``, ``confusion_matrix.csv`` and ``data.json``; default: no files.
        quiet: neither progress bar nor table.

    Raises:
        TagsegError: bad settings, classes that the network lacks, no masks, broken files, masks that contradict tags.
    """
    _check_data(data, split, output)
    check_kinds(locals(), what="text", scales="numbers?", background_threshold="number", limit="whole", quiet="switch")
    _check(what, limit, crf)
    scales = scales or (SCALES if what == "segmentation" else CamConfig().scales)
    predictor = Predictor(
        model, scales=scales, mirror=mirror or what != "segmentation", size=size, max_side=max_side, plain=True,
        crf=crf, crf_settings=crf_settings, precision=precision, batch=batch, read_ahead=read_ahead, device=device,
    )  # fmt: skip
    name = str(model) if isinstance(model, str | Path) else "network in memory"
    labeller = Labeller(what, predictor, background_threshold)
    return _scored(labeller, data, data.val_split if split is None else split, limit, name, output, quiet)


def _scored(
    labeller: Labeller, data: DataConfig, split: str, limit: int, name: str, output: str | Path | None, quiet: bool
) -> Evaluation:
    """Load the split, show what was read, score, save and print."""
    every = load_for_network(data, split, labeller.predictor.classes, tags=labeller.what != "segmentation")
    reading = reading_of(data, {split: every})
    reading.show(quiet)
    evaluation = scored_images(labeller, every, limit, {"model": name}, data.contradictions, quiet)
    if output is not None:
        evaluation.save(Path(output))
        reading.noting(evaluation.notes).save(Path(output))
    if not quiet:
        say(evaluation.table())
    return evaluation


def scored_images(
    labeller: Labeller, every: TaggedImages, limit: int, protocol: dict[str, object], contradictions: str, quiet: bool,
    see: See | None = None,
) -> Evaluation:  # fmt: skip
    """The scores of the images that have masks, with the protocol beside them; ``see`` is shown each image.

    Raises:
        TagsegError: tags and masks contradict each other, so that the scores would be wrong.
    """
    images = _with_masks(every, limit)
    (score, crf_score), compared = _scores(labeller, images, quiet, see)
    notes = judge(compared, contradictions)
    show_warnings(notes)
    if not score.matrix.any():
        raise TagsegError(
            f"{images.source}: all pixels of the masks are ignored ({IGNORE}), expected some to score with"
        )
    result, names = score.compute(), label_names(images.classes)
    protocol = {
        **protocol,
        "source": every.source,
        "images": len(images),
        "images without mask, left out": len(every) - len(every.with_masks()),
        "classes with background": score.classes,
        "ignored label": IGNORE,
        "mean IoU over": "classes present in the ground truth",
        "absent from the ground truth": ", ".join(result.absent(names)) or "none",
        **({"of these tagged": ", ".join(compared.absent)} if compared.absent else {}),
        **labeller.protocol(images.tags_from),
    }
    has_crf = labeller.predictor.wanted.crf is not None
    after, after_matrix = (crf_score.compute(), crf_score.matrix.numpy()) if has_crf else (None, None)
    return Evaluation(protocol, names, result, score.matrix.numpy(), after, after_matrix, notes)


@dataclass(frozen=True)
class Labeller:
    """Label maps of images: of the segmentation (by a predictor with ``plain``) or of a CAM."""

    what: What
    predictor: Predictor
    background_threshold: float

    def label(
        self, samples: Sequence[Sample]
    ) -> Iterator[tuple[Sample, UInt8[ndarray, "_H _W"], UInt8[ndarray, "_H _W"] | None, ndarray | None]]:
        """Each sample, its label map, that after the CRF and probabilities if there are any; not in order."""
        images = [sample.image for sample in samples]
        if self.what == "segmentation":
            for index, labelled in self.predictor.label_files(images):
                if isinstance(labelled, str):
                    raise TagsegError(labelled)
                assert labelled.plain is not None  # the predictor was made with ``plain``
                yield samples[index], labelled.plain, labelled.refined, labelled.probs
            return
        device = next(self.predictor.network.parameters()).device
        cams = partial(self._cams, samples, Engine())
        for index, result in self.predictor.batches.each_with_index(images, self._cam_sizes, cams, device):
            if isinstance(result, str):
                raise TagsegError(result)
            cam, size = result
            tags = sorted(set(samples[index].tags))  # the order of the CAMs; a source of somebody's own may not keep it
            places = cam_label_map(cam, tuple(range(len(tags))), size, self.background_threshold)
            yield samples[index], np.array([0, *(tag + 1 for tag in tags)], np.uint8)[places], None, None

    def _cam_sizes(self, height: int, width: int) -> Sizes:
        """Input sizes of a photo: at scale 1, which CAMs are computed at, and at each scale."""
        multi_scale, patch = self.predictor.multi_scale, self.predictor.network.patch_size
        return tuple(multi_scale.sizing.at(height, width, scale, patch) for scale in (1.0, *multi_scale.scales))

    def _cams(
        self, samples: Sequence[Sample], engine: Engine, photos: list[tuple[int, Photo]]
    ) -> list[tuple[Tensor, tuple[int, int]]]:
        """Each photo's CAMs (n, H, W) at the network's input size, and the photo's own height and width.

        They are those of its tags, in their order, and then others: a network of many classes has few that are tagged.
        """
        network, multi_scale = self.predictor.network, self.predictor.multi_scale
        sizes = [(photo.shape[0], photo.shape[1]) for _, photo in photos]
        (side,) = {self._cam_sizes(*size)[0] for size in sizes}
        images = torch.cat([resize(to_input(network, photo), side) for _, photo in photos])
        tags = images.new_zeros(len(photos), len(network.classes))
        for row, (index, _) in zip(tags, photos, strict=True):
            row[list(samples[index].tags)] = 1
        with computing(network, multi_scale.precision):
            cams = multi_scale_cam(network, images, multi_scale.scales, present_classes(tags), engine)
        return list(zip(cams.final if self.what == "cam" else cams.auxiliary, sizes, strict=True))

    def protocol(self, tags_from: str) -> dict[str, object]:
        """All settings that change the scores."""
        is_cam = self.what != "segmentation"
        multi_scale, crf = self.predictor.multi_scale, self.predictor.wanted.crf
        side, most = multi_scale.sizing.size, multi_scale.sizing.max_side
        return {
            "what": self.what,
            "tags used": f"yes, from {tags_from}" if is_cam else "no",
            "scales": list(multi_scale.scales),
            "mirror": multi_scale.mirror,
            "input size": f"{side} x {side} pixels" if side else f"native, longer side at most {most or 'any'}",
            "precision": multi_scale.precision,
            "batch": self.predictor.batches.batch or "auto",
            **({"background threshold": self.background_threshold} if is_cam else {}),
            **({"CRF": asdict(crf)} if crf else {}),
        }


def _check_data(data: object, split: object, output: object) -> None:
    if not isinstance(data, DataConfig):
        of_config = hasattr(data, "data") and isinstance(data.data, DataConfig)
        way_out = ": pass its data" if of_config else ", e.g. the data of a Config"
        raise refuse("data", data, f"a DataConfig{way_out}")
    if split is not None and not isinstance(split, str):
        raise refuse("split", split, "the name of a split, or None for data.val_split")
    if output is not None:
        check_path("output", output, "a folder (str or Path), or None")


def _check(what: str, limit: int, crf: bool) -> None:
    if what not in WHAT:
        raise TagsegError(f"what is {what!r}, expected one of: {', '.join(WHAT)}")
    if limit < 0:
        raise TagsegError(f"limit is {limit}, expected a number of images, or 0 for all")
    if crf and what != "segmentation":
        raise TagsegError(f"crf is for the segmentation and what is {what!r}: leave out one of the two")


def _scores(
    labeller: Labeller, images: TaggedImages, quiet: bool, see: See | None
) -> tuple[tuple[SegmentationScore, SegmentationScore], Comparison]:
    """Scores of the label maps and of those after the CRF (empty without one); the tags held against the masks."""
    score, crf_score = (SegmentationScore(len(images.classes) + 1) for _ in range(2))
    collected = TagsAgainstMasks(images)
    with progress(len(images), f"evaluate {labeller.what}", "image", quiet) as bar:
        for sample, plain, refined, probs in labeller.label(images.samples):
            truth = _truth(sample, plain.shape)
            collected.add(sample, truth)
            _count(score, sample, plain, truth)
            if refined is not None:
                _count(crf_score, sample, refined, truth)
            if see is not None:
                see(Scored(sample, plain, refined, probs, truth))
            bar.update()
    return (score, crf_score), collected.comparison()


def _with_masks(every: TaggedImages, limit: int) -> TaggedImages:
    """The images to score."""
    images = every.with_masks().first(limit)
    if not len(images):
        raise TagsegError(f"{every.source} has no masks to score with: choose another split or name the masks' folder")
    return images


def _truth(sample: Sample, size: tuple[int, ...]) -> UInt8[ndarray, "_H _W"]:
    """The ground-truth mask of a sample, which must have the size of its label map."""
    assert sample.mask is not None  # with_masks() left no other
    truth = sample.mask()
    if truth.shape != size:
        sizes = f"{truth.shape[1]} x {truth.shape[0]} pixels and its image {size[1]} x {size[0]}"
        raise TagsegError(f"the mask of {sample.name} has {sizes}, expected the same size")
    return truth


def _count(
    score: SegmentationScore, sample: Sample, labels: UInt8[ndarray, "H W"], truth: UInt8[ndarray, "H W"]
) -> None:
    """Add one image; error messages name it."""
    try:
        score.update(labels, truth)
    except TagsegError as error:
        raise TagsegError(f"mask of {sample.name}: {error}") from error
