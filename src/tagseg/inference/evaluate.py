"""Evaluation: a network's label maps, or its CAMs, against true masks, with the protocol beside the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor
from tqdm import tqdm

from tagseg.config import PUBLISHED_CRF, CamConfig, CrfConfig, DataConfig
from tagseg.data.dataset import IGNORE, Sample, TaggedImages
from tagseg.data.palette import label_names
from tagseg.data.sources import load
from tagseg.errors import TagsegError, list_some
from tagseg.inference.batches import Batches, Photo, Sizes
from tagseg.inference.evaluation import Evaluation
from tagseg.inference.label import Labeller
from tagseg.inference.label_maps import Wanted
from tagseg.inference.look import View
from tagseg.inference.metrics import SegmentationScore
from tagseg.inference.precision import Precision, computing
from tagseg.inference.predict import open_network
from tagseg.inference.segment import (
    MAX_SIDE,
    SCALES,
    Sizing,
    cam_label_map,
    resize,
    to_input,
)
from tagseg.model.network import Network
from tagseg.pseudo.cam import multi_scale_cam

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
    """Score a network on a split that has masks; print the table.

    Args:
        model: run folder, ``.safetensors`` file or a network (which is put into evaluation mode on ``device``). Its
            classes must be the data's.
        data: where images, tags and masks are.
        split: which images; default: ``data.val_split``.
        what: ``segmentation`` (METHOD §9, no tags are used), or ``cam`` or ``aux_cam``: the class activation map of the
            final or the auxiliary layer, limited to the image's tags (METHOD §6).
        scales: factors of the image's size; default 1, 1.25, 1.5 (METHOD §9), for CAMs 1, 0.5, 1.5 (METHOD §2).
        mirror: also look at the mirror image; CAMs always do.
        size: resize every image to this many pixels square for the network; default: its native size.
        max_side: longest side in pixels at scale 1, as in ``predict``.
        background_threshold: CAMs only: a pixel at or below it is background.
        crf: segmentation only: score it after a dense CRF as well (METHOD §9); both scores are told.
        crf_settings: the CRF's kernels.
        limit: score only the first so many images; 0: all.
        precision: as in ``predict``.
        batch: as in ``predict``.
        read_ahead: as in ``predict``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` …
        output: folder for ``evaluation.json`` and ``confusion_matrix.csv``; default: none are written.
        quiet: neither progress bar nor table.

    Raises:
        TagsegError: bad settings, other classes than the network's, no masks, or a broken image or mask.
    """
    _check(what, limit, crf)
    scales = scales or (SCALES if what == "segmentation" else CamConfig().scales)
    view = View(scales, mirror or what != "segmentation", Sizing(size, max_side), precision)
    how = _How(what, view, Batches(batch, read_ahead), background_threshold, crf_settings if crf else None)
    network = open_network(model, device)
    every = load(data, data.val_split if split is None else split, masks=True)
    images = _with_masks(every, network.classes, limit)
    score, crf_score = _scores(how, network, images, quiet)
    protocol = {
        "model": str(model) if isinstance(model, str | Path) else "network in memory",
        "source": every.source,
        "images": len(images),
        "images without mask, left out": len(every) - len(every.with_masks()),
        "classes with background": score.classes,
        "ignored label": IGNORE,
        "mean IoU over": "classes present in the truth",
        **how.protocol(images.tags_from),
    }
    refined_scores = (crf_score.compute(), crf_score.matrix.numpy()) if crf else (None, None)
    names = label_names(images.classes)
    evaluation = Evaluation(protocol, names, score.compute(), score.matrix.numpy(), *refined_scores)
    if output is not None:
        evaluation.save(Path(output))
    if not quiet:
        print(evaluation.table())
    return evaluation


@dataclass(frozen=True)
class _How:
    """How images are labelled; the arguments of ``evaluate``."""

    what: What
    view: View
    batches: Batches
    background_threshold: float
    crf: CrfConfig | None

    def label(
        self, network: Network, samples: Sequence[Sample]
    ) -> Iterator[tuple[Sample, UInt8[ndarray, "_H _W"], UInt8[ndarray, "_H _W"] | None]]:
        """Each sample's label map to be scored, and the one after the CRF, where one is asked for; not in order."""
        images = [sample.image for sample in samples]
        if self.what == "segmentation":
            for index, found in Labeller(self.view, Wanted(crf=self.crf), self.batches).label(network, images):
                if isinstance(found, str):
                    raise TagsegError(found)
                assert found.plain is not None  # it is wanted
                yield samples[index], found.plain, found.refined
            return
        device = next(network.parameters()).device
        for index, seen in self.batches.each(
            images, partial(self._cam_sizes, network), partial(self._cams, network), device
        ):
            if isinstance(seen, str):
                raise TagsegError(seen)
            cam, size = seen
            yield samples[index], cam_label_map(cam, samples[index].tags, size, self.background_threshold), None

    def _cam_sizes(self, network: Network, height: int, width: int) -> Sizes:
        """CAMs are scaled from the input size at scale 1."""
        scales = (1.0, *self.view.scales)
        return tuple(self.view.sizing.at(height, width, scale, network.patch_size) for scale in scales)

    def _cams(self, network: Network, photos: list[Photo]) -> list[tuple[Tensor, tuple[int, int]]]:
        """Each photo's CAM (K, H, W) at the network's input size, and the photo's own height and width."""
        sizes = [(photo.shape[0], photo.shape[1]) for photo in photos]
        (side,) = {self._cam_sizes(network, *size)[0] for size in sizes}
        images = torch.cat([resize(to_input(network, photo), side) for photo in photos])
        with computing(network, self.view.precision):
            cams = multi_scale_cam(network, images, self.view.scales)
        return list(zip(cams.final if self.what == "cam" else cams.auxiliary, sizes, strict=True))

    def protocol(self, tags_from: str) -> dict[str, object]:
        """Everything of it that changes the numbers."""
        is_cam = self.what != "segmentation"
        side, most = self.view.sizing.size, self.view.sizing.max_side
        return {
            "what": self.what,
            "tags used": f"yes, from {tags_from}" if is_cam else "no",
            "scales": list(self.view.scales),
            "mirror": self.view.mirror,
            "input size": f"{side} x {side} pixels" if side else f"native, longer side at most {most or 'any'}",
            "precision": self.view.precision,
            "batch": self.batches.batch or "auto",
            **({"background threshold": self.background_threshold} if is_cam else {}),
            **({"CRF": asdict(self.crf)} if self.crf else {}),
        }


def _check(what: str, limit: int, crf: bool) -> None:
    if what not in WHAT:
        raise TagsegError(f"what is {what!r}, expected one of: {', '.join(WHAT)}")
    if limit < 0:
        raise TagsegError(f"limit is {limit}, expected a number of images, or 0 for all")
    if crf and what != "segmentation":
        raise TagsegError(f"crf is for the segmentation and what is {what!r}: leave out one of the two")


def _scores(
    how: _How, network: Network, images: TaggedImages, quiet: bool
) -> tuple[SegmentationScore, SegmentationScore]:
    """Of the label maps, and of those after the CRF, empty where none was asked for."""
    score, crf_score = (SegmentationScore(len(images.classes) + 1) for _ in range(2))
    with tqdm(total=len(images), desc=f"evaluate {how.what}", unit="image", disable=True if quiet else None) as bar:
        for sample, plain, refined in how.label(network, images.samples):
            truth = _truth(sample, plain.shape)
            _count(score, sample, plain, truth)
            if refined is not None:
                _count(crf_score, sample, refined, truth)
            bar.update()
    if not score.matrix.any():
        raise TagsegError(
            f"{images.source}: all pixels of the masks are ignored ({IGNORE}), expected some to score with"
        )
    return score, crf_score


def _with_masks(every: TaggedImages, classes: tuple[str, ...], limit: int) -> TaggedImages:
    """The images to score; the network's classes must be theirs."""
    check_classes(classes, every)
    images = every.with_masks().first(limit)
    if not len(images):
        raise TagsegError(f"{every.source} has no masks to score with: choose another split or name the masks' folder")
    return images


def check_classes(known: tuple[str, ...], data: TaggedImages) -> None:
    """Raise ``TagsegError`` unless a network's classes are the data's, in the same order."""
    if known == data.classes:
        return
    counts = f"the model has {len(known)} classes and {data.source} has {len(data.classes)}"
    only_model = [name for name in known if name not in data.classes]
    only_data = [name for name in data.classes if name not in known]
    parts = [f"only the model has {list_some(only_model)}"] if only_model else []
    parts += [f"only the data have {list_some(only_data)}"] if only_data else []
    difference = " and ".join(parts) or "their order differs"
    raise TagsegError(f"{counts}; {difference}: score with the model's classes (data.classes)")


def _truth(sample: Sample, size: tuple[int, ...]) -> UInt8[ndarray, "_H _W"]:
    """A sample's mask, which must be as large as its label map."""
    assert sample.mask is not None  # with_masks() left no other
    truth = sample.mask()
    if truth.shape != size:
        sizes = f"{truth.shape[1]} x {truth.shape[0]} pixels and its image {size[1]} x {size[0]}"
        raise TagsegError(f"the mask of {sample.name} has {sizes}, expected the same size")
    return truth


def _count(
    score: SegmentationScore, sample: Sample, labels: UInt8[ndarray, "H W"], truth: UInt8[ndarray, "H W"]
) -> None:
    """Add one image; a message about it says which."""
    try:
        score.update(labels, truth)
    except TagsegError as error:
        raise TagsegError(f"mask of {sample.name}: {error}") from error
