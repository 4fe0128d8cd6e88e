"""Prediction: photos in, label maps out. No tags are needed (section 9 of docs/method.md).

Imports neither Lightning nor torchmetrics nor anything else that only training needs; a test checks that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from tagseg.arguments import check_kinds, check_path
from tagseg.data.masks import save_mask
from tagseg.data.reading import Reading, reading_of_photos
from tagseg.errors import TagsegError, list_some
from tagseg.inference import export
from tagseg.inference.background import Background
from tagseg.inference.jobs import jobs_of, target
from tagseg.inference.label_maps import Labelled
from tagseg.inference.precision import Precision
from tagseg.inference.predictor import Predictor
from tagseg.inference.segment import MAX_SIDE, SCALES
from tagseg.model.network import Network
from tagseg.pairwise.config import PUBLISHED_CRF, CrfConfig
from tagseg.progress import progress

logger = logging.getLogger("tagseg")


@dataclass(frozen=True)
class Prediction:
    """The prediction of one image.

    Attributes:
        image: the image file.
        name: of its outputs without extension: ``masks/<name>.png``, ``overlays/<name>.jpg``, ``scores/<name>.npz``.
        mask: the label map file.
        shares: share of the pixels (0 to 1) of each predicted foreground class, largest first.
    """

    image: Path
    name: str
    mask: Path
    shares: dict[str, float]


def predict(
    model: str | Path | Network,
    images: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    scales: tuple[float, ...] = SCALES,
    mirror: bool = True,
    size: int | None = None,
    max_side: int | None = MAX_SIDE,
    overlays: bool = True,
    scores: bool = False,
    crf: bool = False,
    crf_settings: CrfConfig = PUBLISHED_CRF,
    precision: Precision = "32",
    batch: int = 0,
    read_ahead: bool = True,
    writers: int = 2,
    device: str = "auto",
    quiet: bool = False,
) -> list[Prediction]:
    """Label every pixel of photos with a trained network; returns an entry for each image, in the order of the input.

    Writes to ``output``: ``masks/`` (palette PNG: pixel values are labels, 0 background, k+1 the k-th class),
    ``classes.csv`` (names of the labels), ``predictions.csv`` (classes of each image), ``data.json`` (what was read)
    and optionally ``overlays/`` and ``scores/``. Sub-folders of the input are kept. Input files are never overwritten.

    Args:
        model: run folder, ``.safetensors`` file or a network (which is put into evaluation mode on ``device``).
        images: an image file, a folder (with its sub-folders), or several of them.
        output: folder for the results.
        scales: factors of the image size for multi-scale testing.
        mirror: test-time flip augmentation (image and horizontal flip).
        size: side in pixels of a square that images are resized to for the network; default: native size.
        max_side: longest side in pixels that the network sees; masks keep the native size. 0: no limit.
        overlays: also write pictures of the masks over the images.
        scores: also write each class's score per pixel, float16 (C, H, W): softmax of the merged logits.
        crf: refine label maps with a dense CRF, which aligns them with edges of the photo (at most ``max_side`` large).
        crf_settings: the CRF's kernels.
        precision: ``32``, or ``bf16``: faster matrix products on some hardware; a few labels differ.
        batch: batch size for photos of equal input size; 0: as many as fit on a GPU, 1 on a CPU.
        read_ahead: read the next photos in the background.
        writers: number of threads that draw and write files in the background; 0: none.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` …
        quiet: no progress bar.

    Raises:
        TagsegError: bad settings, no image, outputs that would overwrite inputs; at the end, unreadable images.
    """
    check_path("output", output)
    check_kinds(locals(), overlays="switch", writers="whole", quiet="switch")
    writing: Background[tuple[int, Prediction]] = Background(writers)
    jobs = jobs_of(images, output := Path(output).expanduser())
    predictor = Predictor(
        model, scales=scales, mirror=mirror, size=size, max_side=max_side, crf=crf, crf_settings=crf_settings,
        scores=scores, precision=precision, batch=batch, read_ahead=read_ahead, device=device,
    )  # fmt: skip
    write = partial(_write, output, predictor.classes, overlays)
    reading = reading_of_photos(len(jobs.named), _places(images), predictor.classes, jobs.notes)
    with _shown(reading, predictor, output, quiet):
        return _predict_all(predictor, jobs.named, output, write, writing, quiet)


def _places(images: str | Path | Sequence[str | Path]) -> str:
    """What was given, for people."""
    return str(images) if isinstance(images, str | Path) else list_some([str(path) for path in images])


@contextmanager
def _shown(reading: Reading, predictor: Predictor, output: Path, quiet: bool) -> Iterator[None]:
    """Say what was read; at the end also which photos were not literally 8-bit RGB, and save it all."""
    reading.show(quiet)
    try:
        yield
    finally:
        notes = predictor.remarks()
        for note in notes:
            logger.info("%s", note)
        if output.is_dir():  # something was written
            reading.noting(notes).save(output)


def _predict_all(
    predictor: Predictor,
    jobs: list[tuple[Path, str]],
    output: Path,
    write: Callable[..., tuple[int, Prediction]],
    writing: Background[tuple[int, Prediction]],
    quiet: bool,
) -> list[Prediction]:
    """Label and write every image; one entry each, in the order of the jobs."""
    failed: dict[int, str] = {}
    bar = progress(len(jobs), "predict", "image", quiet)
    try:
        with writing:
            for index, labelled in predictor.label_files([image for image, _ in jobs]):
                bar.update()
                if isinstance(labelled, str):
                    failed[index] = labelled
                else:
                    writing.add(partial(write, index, *jobs[index], labelled))
    finally:  # also after an interrupt: the tables list the masks that exist
        bar.close()
        done = [prediction for _, prediction in sorted(writing.done(), key=itemgetter(0))]
        if done:
            _save_tables(output, done, predictor.classes)
    if failed:
        raise TagsegError(_failure({jobs[index][0]: failed[index] for index in sorted(failed)}, len(jobs)))
    return done


def _write(
    output: Path, classes: tuple[str, ...], overlay: bool, index: int, image: Path, name: str, labelled: Labelled
) -> tuple[int, Prediction]:
    """Write the files of an image, its mask last. Uses no torch, as it may run in a thread."""
    labels = labelled.labels
    if labelled.scores is not None:
        export.save_scores(target(output, "scores", name), labelled.scores, classes)
    if overlay:
        export.save_picture(target(output, "overlays", name), export.draw_overlay(labelled.photo, labels, classes))
    mask = target(output, "masks", name)
    save_mask(mask, labels)
    return index, Prediction(image, name, mask, class_shares(labels, classes))


def class_shares(labels: UInt8[ndarray, "H W"], classes: tuple[str, ...]) -> dict[str, float]:
    """Share of the pixels (0 to 1) of each foreground class in a label map, largest first."""
    counts = np.bincount(labels.ravel(), minlength=len(classes) + 1)[1 : len(classes) + 1]
    order = np.argsort(-counts, kind="stable")
    return {classes[k]: int(counts[k]) / labels.size for k in order if counts[k]}


def _failure(failed: dict[Path, str], total: int) -> str:
    first, *others = failed
    if total == 1:
        return failed[first]
    names = f"; also {list_some([str(image) for image in others])}" if others else ""
    return f"{len(failed)} of {total} images failed, the others are done: {failed[first]}{names}"


def _save_tables(output: Path, done: list[Prediction], classes: tuple[str, ...]) -> None:
    export.save_legend(output / "classes.csv", classes)
    rows = []
    for p in done:
        shares = ";".join(f"{share:.4f}" for share in p.shares.values())
        rows.append((p.image, p.mask.relative_to(output).as_posix(), ";".join(p.shares), shares))
    export.save_table(output / "predictions.csv", ("image", "mask", "classes", "shares"), rows)
