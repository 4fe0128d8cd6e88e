"""``tagseg review`` and ``tagseg.review``: which photos to correct first, and how good the masks are likely to be."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tagseg.arguments import check_kinds, check_path, refuse
from tagseg.data.config import DataConfig
from tagseg.data.notes import Note
from tagseg.errors import TagsegError, some_failed
from tagseg.inference.batches import Batches
from tagseg.inference.contact_sheet import MOST
from tagseg.inference.multi_scale import MultiScale
from tagseg.inference.precision import Precision
from tagseg.inference.predictor import open_network
from tagseg.inference.segment import MAX_SIDE, SCALES, Sizing
from tagseg.model.checkpoint import trained_maps
from tagseg.model.network import Network
from tagseg.progress import progress
from tagseg.reviewing.estimate import fitted
from tagseg.reviewing.measure import Measured, measure
from tagseg.reviewing.outputs import TABLE, save_sheet, save_table
from tagseg.reviewing.photos import SHEET, Listed, listed
from tagseg.reviewing.queue import Review, queue_of
from tagseg.reviewing.told_tags import FEWEST, labels_told_tags
from tagseg.reviewing.views import photo_views
from tagseg.stopping import told

logger = logging.getLogger("tagseg")


def review(
    model: str | Path | Network,
    photos: str | Path | Sequence[str | Path] | None = None,
    output: str | Path = "review",
    *,
    data: DataConfig | None = None,
    split: str | None = None,
    sheet: int = 48,
    labels: bool = True,
    features: str | Path | None = None,
    scales: tuple[float, ...] = SCALES,
    mirror: bool = True,
    size: int | None = None,
    max_side: int | None = MAX_SIDE,
    precision: Precision = "32",
    batch: int = 0,
    read_ahead: bool = True,
    device: str = "auto",
    quiet: bool = False,
) -> Review:
    """Rank photos by how unsure the method is about them, and estimate the IoU of the masks ``predict`` makes of them.

    Writes ``review.csv`` (the queue, with every signal and the reason), ``review.jpg`` (a contact sheet of its front)
    and ``data.json`` (what was read) to ``output``. No mask is read. docs/review.md says what the numbers are.

    Args:
        model: run folder, ``.safetensors`` file or a network (which is put into evaluation mode on ``device``).
        photos: image files or folders; default: the photos of ``data``, in all of its splits. A single folder with a
            tag file, as ``labels.csv``, is read as data.
        output: folder for the results.
        data: tells the tags of photos, which then are a signal too; default: no tags are known.
        split: of ``data``; default: all of them.
        sheet: photos on the contact sheet, at most 100; 0: no sheet.
        labels: where tags are known, also hold the prediction against the labels that the method makes of them.
        features: folder of the features for that, 300 kB a photo with a DeiT-Ti; default: ``features`` in ``output``.
        scales: this and the next settings of the network are as in ``predict``.
        mirror: test-time flip augmentation.
        size: side of the network's input; default: native size.
        max_side: longest side of a photo for the network.
        precision: ``32`` or ``bf16``.
        batch: batch size.
        read_ahead: read the next photos in the background.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` …
        quiet: no progress bar.

    Raises:
        TagsegError: bad settings, no photo, a network without segmentation; at the end, unreadable photos.
    """
    check_kinds(locals(), sheet="whole", labels="switch", mirror="switch", scales="numbers", size="whole?",
                max_side="whole?", precision="text", batch="whole", read_ahead="switch", quiet="switch")  # fmt: skip
    _check(model, output, data, split, sheet, features)
    multi_scale, output = MultiScale(scales, mirror, Sizing(size, max_side), precision), Path(output).expanduser()
    network = open_network(model, device)
    found = listed(photos, data, split, network.classes, output)
    found.reading.show(quiet)
    work = _Work(network, multi_scale, Batches(batch, read_ahead), found, quiet)
    return _reviewed(work, output, sheet, Path(features or output / "features").expanduser() if labels else None)


def _reviewed(work: _Work, output: Path, sheet: int, features: Path | None) -> Review:
    """Measure, rank and write; ``features``: their folder, ``None``: no labels are made.

    Raises:
        TagsegError: unreadable photos, after the others were written.
        KeyboardInterrupt: stopped by the user; what was measured until then was written.
    """
    total = len(work.found.samples)
    try:
        work.measure_all()
        if features is not None:
            work.tell_tags(features)
    except KeyboardInterrupt as stop:
        if not work.measured:
            raise
        _finish(work, output, sheet)
        count = f"{len(work.measured)} of {total} photos"
        raise told(stop, f"stopped after {count}: {output / TABLE} has the queue of these") from stop
    result = _finish(work, output, sheet)
    if work.failed:
        logger.info("%s", result.summary())  # it would be lost with the result
        raise work.failure()
    return result


@dataclass
class _Work:
    """A review under way: what was measured so far, and what failed."""

    network: Network
    multi_scale: MultiScale
    batches: Batches
    found: Listed
    quiet: bool
    measured: dict[int, Measured] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)

    def measure_all(self) -> None:
        """All signals of each photo but the one that needs the labels.

        Raises:
            TagsegError: no photo could be read.
        """
        images = [sample.image for sample in self.found.samples]
        sizes = partial(self.multi_scale.sizes, patch=self.network.patch_size)
        process = partial(photo_views, self.network, multi_scale=self.multi_scale)
        device = next(self.network.parameters()).device
        with progress(len(images), "review", quiet=self.quiet) as bar:
            for index, views in self.batches.each(images, sizes, process, device):
                if isinstance(views, str):
                    self.failed[index] = views
                else:
                    self.measured[index] = measure(views, self.found.tags(index, len(self.network.classes)))
                bar.update()
        if not self.measured:
            raise self.failure()

    def failure(self) -> TagsegError:
        """The error that names the photos that could not be read."""
        samples = self.found.samples
        names = {str(samples[index].image): message for index, message in self.failed.items()}
        return some_failed(names, len(samples), "photos")

    def tell_tags(self, folder: Path) -> None:
        """Hold each prediction of a tagged photo against the labels that are told its tags."""
        tagged = [index for index in self.found.tagged() if index in self.measured]
        if not any(self.found.samples[index].tags for index in tagged):
            return
        if len(tagged) < FEWEST:
            logger.info("%d photos have tags, too few to make labels of them (%d): the signal is left out",
                        len(tagged), FEWEST)  # fmt: skip
            return
        labels = labels_told_tags(self.network, [self.found.samples[index] for index in tagged], folder)
        for index, label in zip(tagged, labels, strict=True):
            self.measured[index] = self.measured[index].told(label)


def _finish(work: _Work, output: Path, sheet: int) -> Review:
    """Rank what was measured, and write it."""
    samples = dict(enumerate(work.found.samples))
    order, result = queue_of(samples, work.measured, fitted(), work.network.classes)
    save_table(output / TABLE, result.photos)
    remarks = [note for text, names in sorted(work.batches.remarks.items()) for note in Note.of(text, names)]
    for remark in remarks:
        logger.info("%s", remark)
    work.found.reading.noting(remarks).save(output)
    if not sheet:
        return result
    path = save_sheet(output / SHEET, result.photos[:sheet], order[:sheet], work.measured, work.network)
    return dataclasses.replace(result, sheet=path)


def _check(
    model: str | Path | Network, output: object, data: object, split: object, sheet: int, features: object
) -> None:
    """Raise ``TagsegError`` for arguments of a wrong kind."""
    check_path("output", output)
    if features is not None:
        check_path("features", features, "a folder (str or Path), or None")
    if data is not None and not isinstance(data, DataConfig):
        raise refuse("data", data, "a DataConfig, e.g. the data of a Config, or None where no tags are known")
    if split is not None and not isinstance(split, str):
        raise refuse("split", split, "the name of a split, or None for all")
    if not 0 <= sheet <= MOST:
        raise TagsegError(f"sheet is {sheet}, expected 0 to {MOST} photos")
    if not isinstance(model, Network):
        check_path("model", model, "a run folder or .safetensors file (str or Path), or a network")
        if "segmentation" not in trained_maps(model):
            raise TagsegError(
                f"{model}: its decoder was not trained, as its method trains a classifier alone: train with "
                "--method frozen or fsr"
            )
