"""Prediction: photos in, label maps out. No tags are needed (section 9 of docs/method.md).

Imports neither Lightning nor torchmetrics nor anything else that only training needs; a test checks that.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from operator import itemgetter
from pathlib import Path

from tagseg.arguments import check_kinds, check_path
from tagseg.data.reading import reading_of_photos
from tagseg.errors import list_some, some_failed
from tagseg.formats.settings import DEFAULT_SETTINGS, FormatSettings
from tagseg.inference.background import Background
from tagseg.inference.jobs import Jobs, jobs_of
from tagseg.inference.outputs import Outputs, Prediction, chosen_formats
from tagseg.inference.precision import Precision
from tagseg.inference.predictor import Predictor
from tagseg.inference.segment import MAX_SIDE, SCALES
from tagseg.model.network import Network
from tagseg.pairwise.config import PUBLISHED_CRF, CrfConfig
from tagseg.progress import progress
from tagseg.stopping import told

logger = logging.getLogger("tagseg")


def predict(
    model: str | Path | Network,
    images: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    scales: tuple[float, ...] = SCALES,
    mirror: bool = True,
    size: int | None = None,
    max_side: int | None = MAX_SIDE,
    format: str | tuple[str, ...] = "png",
    format_settings: FormatSettings = DEFAULT_SETTINGS,
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

    Args:
        model: run folder, ``.safetensors`` file or a network (which is put into evaluation mode on ``device``).
        images: an image file, a folder (with its sub-folders), or several of them.
        output: folder for ``masks/`` (palette PNG: 0 is background, k+1 class k), overlays, ``classes.csv`` (names),
            ``predictions.csv`` (classes of each image) and ``data.json`` (what was read). No input is overwritten.
        scales: factors of the image size for multi-scale testing.
        mirror: test-time flip augmentation (image and horizontal flip).
        size: side in pixels of a square that images are resized to for the network; default: native size.
        max_side: longest side in pixels that the network sees; masks keep the native size. 0: no limit.
        format: one or more of png, coco, coco-polygons, yolo, labelstudio, cvat, npz, voc-server, commas between them.
        format_settings: what the formats leave open (docs/formats.md).
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
    chosen = chosen_formats(format, format_settings, scores)
    jobs = jobs_of(images, output := Path(output).expanduser())
    predictor = Predictor(
        model, scales=scales, mirror=mirror, size=size, max_side=max_side, crf=crf, crf_settings=crf_settings,
        scores=chosen.probs, precision=precision, batch=batch, read_ahead=read_ahead, device=device,
    )  # fmt: skip
    outputs = Outputs(output, chosen, predictor, tuple(name for _, name in jobs.named), overlays)
    with _shown(images, jobs, predictor, output, quiet):
        return _predict_all(predictor, jobs.named, outputs, Background(writers), quiet)


def places_of(images: str | Path | Sequence[str | Path]) -> str:
    """What was given, for people."""
    return str(images) if isinstance(images, str | Path) else list_some([str(path) for path in images])


@contextmanager
def _shown(
    images: str | Path | Sequence[str | Path], jobs: Jobs, predictor: Predictor, output: Path, quiet: bool
) -> Iterator[None]:
    """Say what was read; at the end also which photos were not literally 8-bit RGB, and save it all."""
    reading = reading_of_photos(len(jobs.named), places_of(images), predictor.classes, jobs.notes)
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
    outputs: Outputs,
    writing: Background[tuple[int, Prediction]],
    quiet: bool,
) -> list[Prediction]:
    """Label and write every image; one entry each, in the order of the jobs."""
    failed: dict[int, str] = {}
    bar = progress(len(jobs), "predict", "image", quiet)
    try:
        with writing:
            for index, result in predictor.label_files([image for image, _ in jobs]):
                bar.update()
                if isinstance(result, str):
                    failed[index] = result
                else:
                    writing.add(partial(outputs.write, index, *jobs[index], result))
    except KeyboardInterrupt as stop:
        raise told(stop, f"stopped after {len(writing.done())} of {len(jobs)} images, which are written") from stop
    finally:  # also after an interrupt: the tables list the masks that exist
        bar.close()
        done = [prediction for _, prediction in sorted(writing.done(), key=itemgetter(0))]
        outputs.close(done)
    if failed:
        raise some_failed({str(jobs[index][0]): failed[index] for index in sorted(failed)}, len(jobs), "images")
    return done
