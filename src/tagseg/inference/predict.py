"""Prediction: photos in, label maps out. No tags are needed (METHOD §9).

Imports neither Lightning nor torchmetrics nor anything else that only training needs; a test holds it to that.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from tqdm import tqdm

from tagseg.config import PUBLISHED_CRF, CrfConfig
from tagseg.data.images import find_images
from tagseg.errors import TagsegError, list_some
from tagseg.inference import export
from tagseg.inference.background import Background
from tagseg.inference.batches import Batches
from tagseg.inference.label import Labeller
from tagseg.inference.label_maps import Labelled, Wanted
from tagseg.inference.look import View
from tagseg.inference.precision import Precision
from tagseg.inference.segment import MAX_SIDE, SCALES, Sizing, pick_device
from tagseg.model.checkpoint import load_network
from tagseg.model.network import Network

_FOLDERS = {"masks": ".png", "overlays": ".jpg", "scores": ".npz"}


@dataclass(frozen=True)
class Prediction:
    """What was found in one image.

    Attributes:
        image: the image file.
        name: of its outputs, without ending: ``masks/<name>.png``, ``overlays/<name>.jpg``, ``scores/<name>.npz``.
        mask: the label map file.
        shares: share of the pixels (0 to 1) of each foreground class that was found, largest first.
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
    """Label every pixel of photos with a trained network.

    Writes to ``output``: ``masks/`` (palette PNG: pixel values are labels, 0 background, k+1 the k-th class),
    ``classes.csv`` (what the labels mean), ``predictions.csv`` (what was found in each image), and on request
    ``overlays/`` and ``scores/``. Sub-folders of the input are kept. Input files are never overwritten.

    Args:
        model: run folder, ``.safetensors`` file or a network (which is put into evaluation mode on ``device``).
        images: an image file, a folder (searched with its sub-folders) or several of them.
        output: folder for the results.
        scales: factors of the image's size at which the network looks at it.
        mirror: also look at the mirror image.
        size: resize every image to this many pixels square for the network; default: its native size.
        max_side: shrink photos with a longer side to this many pixels for the network; masks keep the native size.
            0 never shrinks.
        overlays: also write pictures of the masks over the images.
        scores: also write each class's score per pixel: float16 (C, H, W), softmax of the merged logits that METHOD §9
            defines (what a CRF takes; sums over views, so sharper than calibrated probabilities).
        crf: let a dense CRF move the labels to the edges of the photo (METHOD §9); it sees photos at most ``max_side``
            large.
        crf_settings: its kernels.
        precision: ``32``, or ``bf16``: matrix products in bfloat16, faster where the processor has them; a few labels
            differ.
        batch: photos of equal input size that go through the network together; 1: each alone; 0: on a GPU as many as
            fit a budget of pixels, on a CPU each alone.
        read_ahead: read the next photos in the background.
        writers: threads that draw and write files in the background; 0: none.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` …
        quiet: no progress bar.

    Returns:
        One entry for each image, in the order of the input.

    Raises:
        TagsegError: bad settings, no image, outputs that would overwrite inputs; or, after all others are done, images
            that could not be read.
    """
    view = View(scales, mirror, Sizing(size, max_side), precision)
    wanted = Wanted(plain=not crf, crf=crf_settings if crf else None, scores=scores)
    labeller = Labeller(view, wanted, Batches(batch, read_ahead))
    writing: Background[tuple[int, Prediction]] = Background(writers)
    output = Path(output).expanduser()
    jobs = name_outputs(images, output)
    network = open_network(model, device)
    write = partial(_write, output, network.classes, overlays)
    failed: dict[int, str] = {}
    bar = tqdm(total=len(jobs), desc="predict", unit="image", disable=True if quiet else None)
    try:
        with writing:
            for index, found in labeller.label(network, [image for image, _ in jobs]):
                bar.update()
                if isinstance(found, str):
                    failed[index] = found
                else:
                    writing.add(partial(write, index, *jobs[index], found))
    finally:  # also when interrupted: the tables describe the masks that are there
        bar.close()
        done = [prediction for _, prediction in sorted(writing.done(), key=itemgetter(0))]
        if done:
            _save_tables(output, done, network.classes)
    if failed:
        raise TagsegError(_failure({jobs[index][0]: failed[index] for index in sorted(failed)}, len(jobs)))
    return done


def _write(
    output: Path, classes: tuple[str, ...], overlay: bool, index: int, image: Path, name: str, found: Labelled
) -> tuple[int, Prediction]:
    """Write an image's files, its mask last: where there is a mask, all is there. No torch: it may be in a thread."""
    labels = found.labels
    if found.scores is not None:
        export.save_scores(_target(output, "scores", name), found.scores, classes)
    if overlay:
        export.save_picture(_target(output, "overlays", name), export.draw_overlay(found.photo, labels, classes))
    mask = _target(output, "masks", name)
    export.save_mask(mask, labels)
    return index, Prediction(image, name, mask, class_shares(labels, classes))


def open_network(model: str | Path | Network, device: str) -> Network:
    """The network in evaluation mode on the device.

    Raises:
        TagsegError: no such model or device.
    """
    place = pick_device(device)
    network = model if isinstance(model, Network) else load_network(model, device=str(place))
    return network.to(place).eval()


def name_outputs(images: str | Path | Sequence[str | Path], output: Path) -> list[tuple[Path, str]]:
    """The images to predict and the name of each one's outputs, without ending.

    A name is the path below the folder that all the given files and folders share. Images that differ only in their
    ending keep it in the name: ``a.jpg`` and ``a.png`` give ``a.jpg.png`` and ``a.png.png``.

    Raises:
        TagsegError: nothing to predict, names that still collide, or an output that would overwrite an image.
    """
    several = [images] if isinstance(images, str | Path) else images
    given = [Path(path).expanduser() for path in several]
    found: dict[Path, Path] = {}  # absolute path → path as given; an image named twice is predicted once
    for path in given:
        for image in _images_in(path, output) if path.is_dir() else [path]:
            found.setdefault(Path(os.path.abspath(image)), image)
    if not found:
        places = list_some([str(path) for path in given])
        raise TagsegError(f"no image in {places or 'an empty list'}, expected image files or folders with images")
    root = os.path.commonpath([os.path.abspath(path if path.is_dir() else path.parent) for path in given])
    relative = [path.relative_to(root) for path in found]
    stems = Counter(path.with_suffix("") for path in relative)
    names = [(path if stems[path.with_suffix("")] > 1 else path.with_suffix("")).as_posix() for path in relative]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise TagsegError(f"two images would both be written as {twice[0]}: rename one or predict them separately")
    targets = (_target(output, folder, name) for folder in _FOLDERS for name in names)
    there = {target.resolve(): target for target in targets if target.exists()}
    inputs = {path.resolve() for path in found} if there else set()
    overwritten = [str(target) for path, target in there.items() if path in inputs]
    if overwritten:
        raise TagsegError(f"{overwritten[0]} is an input and would be overwritten: choose another output folder")
    return list(zip(found.values(), names, strict=True))


def _images_in(folder: Path, output: Path) -> list[Path]:
    """A folder's images, without what an earlier run has written below it."""
    here = folder.resolve()
    own = [(output / name).resolve() for name in _FOLDERS]
    inside = [path.relative_to(here) for path in own if path != here and path.is_relative_to(here)]
    written = tuple(str(folder / path) + os.sep for path in inside)
    return [image for image in find_images(folder) if not str(image).startswith(written)]


def _target(output: Path, folder: str, name: str) -> Path:
    return output / folder / f"{name}{_FOLDERS[folder]}"


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
