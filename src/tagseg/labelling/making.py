"""Photos and masks of the dataset, written as they are made; what is there from an earlier call is kept."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tagseg.beyond.made_from import Origin
from tagseg.data.dataset import TaggedImages
from tagseg.data.palette import Colour
from tagseg.inference.background import Background
from tagseg.labelling.image_files import Transfer
from tagseg.labelling.layout import Job
from tagseg.labelling.masks import masks_of
from tagseg.labelling.noting import Noting
from tagseg.labelling.on_ray import RayWorkers, Task, made_on_ray, network_file
from tagseg.labelling.source import LabelSource, TrainedNetwork
from tagseg.labelling.writing import write_photo_and_mask
from tagseg.pairwise.config import CrfConfig
from tagseg.progress import Bar, progress

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
        ray: makes them; ``None``: this process.
    """

    source: LabelSource
    crf: CrfConfig | None
    max_side: int
    how: Transfer
    writers: int
    quiet: bool
    ray: RayWorkers | None = None

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
        noting = Noting(origin, folder, (jobs[index].mask for index in wanted))
        with progress(len(wanted), "masks", quiet=self.quiet) as bar:
            if self.ray is not None:
                return self._by_workers(folder, [jobs[index] for index in wanted], colours, noting, bar)
            failed: dict[str, str] = {}
            writing: Background[str] = Background(self.writers)
            try:
                with writing:
                    for index, mask in masks_of(images.samples, wanted, prepared.scorer, self.crf, self.max_side):
                        bar.update()
                        if isinstance(mask, str):
                            failed[jobs[index].mask] = mask
                        else:
                            writing.add(partial(write_photo_and_mask, folder, jobs[index], mask, colours, self.how))
                        noting.now_and_then(writing.done)
            finally:  # also after an interrupt: what is there need not be made again
                noting.write(writing.done())
            return failed

    def _by_workers(
        self, folder: Path, jobs: Sequence[Job], colours: tuple[Colour, ...], noting: Noting, bar: Bar
    ) -> dict[str, str]:
        """Have photos and masks written; error messages by the name of the mask."""
        source, ray = self.source, self.ray
        assert isinstance(source, TrainedNetwork)  # ``label``
        assert ray is not None
        task = Task(
            folder.absolute(), network_file(folder), ray.device, source.multi_scale, source.batches.batch, self.crf,
            self.max_side, colours, self.how,
        )  # fmt: skip
        failed: dict[str, str] = {}
        done: list[str] = []
        try:
            for name, error in made_on_ray(task, source, ray, jobs):
                bar.update()
                if error:
                    failed[name] = error
                else:
                    done.append(name)
                noting.now_and_then(lambda: done)
        finally:
            noting.write(done)
        return failed
