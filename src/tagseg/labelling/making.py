"""Photos and masks of the dataset, written as they are made; what is there from an earlier call is kept."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jaxtyping import UInt8
from numpy import ndarray

from tagseg.beyond.made_from import Origin
from tagseg.data.dataset import TaggedImages
from tagseg.data.masks import save_mask
from tagseg.data.palette import Colour
from tagseg.inference.background import Background
from tagseg.labelling.image_files import Transfer, transfer
from tagseg.labelling.layout import Job
from tagseg.labelling.masks import masks_of
from tagseg.labelling.source import LabelSource
from tagseg.pairwise.config import CrfConfig
from tagseg.progress import progress

logger = logging.getLogger("tagseg")


@dataclass(frozen=True)
class Making:
    """How photos and masks are made.

    Attributes:
        source: of the masks.
        crf: settings of the CRF; ``None``: none.
        max_side: longest side in pixels that the CRF sees; 0: no limit.
        how: photos come into the dataset.
        writers: threads that write files; 0: none.
        quiet: no progress bars.
    """

    source: LabelSource
    crf: CrfConfig | None
    max_side: int
    how: Transfer
    writers: int
    quiet: bool

    def run(self, folder: Path, images: TaggedImages, jobs: Sequence[Job]) -> dict[str, str]:
        """Write the photos and masks that are missing, or were made from something else.

        Args:
            folder: of the dataset.
            images: the photos, each named after its mask, which no other has.
            jobs: of the same photos, in the same order.

        Returns:
            Error messages by the name of the mask.
        """
        prepared = self.source.prepared(images)
        crf = None if self.crf is None else {**dataclasses.asdict(self.crf), "max_side": self.max_side}
        colours = self.source.colours or images.colours
        settings = {**prepared.settings, "crf": crf, "colours": [list(colour) for colour in colours]}
        origin = Origin.of(images, prepared.weights, settings)
        outdated = origin.outdated(folder, lambda name: (folder / name).is_file())
        outdated.tell()
        there = {job.mask for job in jobs if (folder / job.mask).is_file() and (folder / job.image).is_file()}
        wanted = [index for index, job in enumerate(jobs) if job.mask in outdated.names or job.mask not in there]
        if len(wanted) < len(jobs):
            logger.info("%d of %d masks are there already", len(jobs) - len(wanted), len(jobs))
        missing = {jobs[index].mask for index in wanted}
        origin.write(folder, missing)
        failed: dict[str, str] = {}
        writing: Background[str] = Background(self.writers)
        try:
            with writing, progress(len(wanted), "masks", quiet=self.quiet) as bar:
                for index, mask in masks_of(images.samples, wanted, prepared.scorer, self.crf, self.max_side):
                    bar.update()
                    if isinstance(mask, str):
                        failed[jobs[index].mask] = mask
                    else:
                        writing.add(partial(self._write, folder, jobs[index], mask, colours))
        finally:  # also after an interrupt: what is there need not be made again
            origin.write(folder, missing - set(writing.done()))
        return failed

    def _write(self, folder: Path, job: Job, mask: UInt8[ndarray, "H W"], colours: Sequence[Colour]) -> str:
        """Write a photo and its mask, the mask last. Uses no torch, as it may run in a thread."""
        transfer(job.sample.image, folder / job.image, job.file, self.how)
        save_mask(folder / job.mask, mask, colours)
        return job.mask
