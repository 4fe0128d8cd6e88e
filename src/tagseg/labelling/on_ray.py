"""Masks of tagged photos by the workers of a Ray: each has the network, and writes photos and masks itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagseg.data.dataset import Sample
from tagseg.data.palette import Colour
from tagseg.errors import TagsegError
from tagseg.inference.batches import Batches
from tagseg.inference.multi_scale import MultiScale
from tagseg.inference.predictor import open_network
from tagseg.labelling.image_files import ImageFile, Transfer
from tagseg.labelling.layout import Job
from tagseg.labelling.masks import masks_of
from tagseg.labelling.scores import FromNetwork
from tagseg.labelling.source import TrainedNetwork
from tagseg.labelling.writing import write_photo_and_mask
from tagseg.model.checkpoint import save_network
from tagseg.pairwise.config import CrfConfig
from tagseg.scale.engine import AT_A_TIME, started
from tagseg.scale.listing import STATE
from tagseg.scale.records import tidy

_TRIES = 3
"""How often photos are given out again whose worker died."""


@dataclass(frozen=True)
class RayWorkers:
    """Who makes the masks.

    Attributes:
        workers: processes; 0: one for each GPU, without any one for each CPU core.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    workers: int
    device: str


@dataclass(frozen=True)
class Task:
    """What is the same for all photos.

    Attributes:
        folder: of the dataset, which all workers see.
        network: its file.
        device: it computes on.
        multi_scale: how it sees a photo.
        batch: photos that it sees at a time.
        crf: settings of the CRF; ``None``: none.
        max_side: longest side in pixels that the CRF sees; 0: no limit.
        colours: RGB of the labels.
        how: photos come into the dataset.
    """

    folder: Path
    network: Path
    device: str
    multi_scale: MultiScale
    batch: int
    crf: CrfConfig | None
    max_side: int
    colours: tuple[Colour, ...]
    how: Transfer


class Worker:
    """Labels blocks of photos; Ray makes one in each of its processes, and another when that dies.

    Args:
        task: what is the same for all photos.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._scorer: FromNetwork | None = None

    def __call__(self, block: dict[str, Any]) -> dict[str, Any]:
        """A row for each photo: the name of its mask and what is wrong with it; ``stop`` is what ends all.

        Args:
            block: a column ``job`` of texts that ``_text_of`` made.
        """
        jobs = list(map(_job_of, block["job"]))
        try:
            names, errors = zip(*self._label(jobs), strict=True)
        except TagsegError as error:
            return {"mask": [""], "error": [""], "stop": [str(error)]}
        return {"mask": list(names), "error": list(errors), "stop": [""] * len(names)}

    def _label(self, jobs: list[Job]) -> Iterator[tuple[str, str]]:
        task = self._task
        if self._scorer is None:
            self._scorer = FromNetwork(open_network(task.network, task.device), task.multi_scale, Batches(task.batch))
        samples = [job.sample for job in jobs]
        for index, mask in masks_of(samples, range(len(jobs)), self._scorer, task.crf, task.max_side):
            if isinstance(mask, str):
                yield jobs[index].mask, mask
            else:
                yield write_photo_and_mask(task.folder, jobs[index], mask, task.colours, task.how), ""


def made_on_ray(task: Task, source: TrainedNetwork, ray: RayWorkers, jobs: Sequence[Job]) -> Iterator[tuple[str, str]]:
    """The name of the mask of each photo and what is wrong with it, nothing if it is written; in no order.

    Args:
        task: what is the same for all photos.
        source: has the network.
        ray: who makes them.
        jobs: the photos.

    Raises:
        TagsegError: Ray does not start or stops, or the disk is full.
    """
    if not jobs:
        return
    save_network(source.network, task.network)
    try:
        with started(ray.workers, ray.device) as engine:
            block = engine.block(len(jobs))
            for start in range(0, len(jobs), block * AT_A_TIME):
                some = {job.mask: job.sample.image for job in jobs[start : start + block * AT_A_TIME]}
                rows = [{"job": _text_of(job)} for job in jobs[start : start + block * AT_A_TIME]]
                for row in engine.map(rows, block, Worker, (task,), tries=_TRIES):
                    if row["stop"]:
                        raise TagsegError(row["stop"])
                    image = some[row["mask"]]
                    yield row["mask"], row["error"].replace(os.path.abspath(image), str(image))
    finally:
        with suppress(OSError):
            task.network.unlink()
            task.network.parent.rmdir()
        tidy(task.folder)


def network_file(folder: Path) -> Path:
    """Where the workers find the network."""
    return folder.absolute() / STATE / "network.safetensors"


def _text_of(job: Job) -> str:
    """A photo with what labelling it takes, as JSON."""
    sample = job.sample
    return json.dumps(
        [sample.name, os.path.abspath(sample.image), sample.tags, job.file, job.name, job.image, job.mask]
    )


def _job_of(text: str) -> Job:
    sample_name, path, tags, file, name, image, mask = json.loads(text)
    return Job(Sample(sample_name, Path(path), tuple(tags)), ImageFile(*file), name, image, mask)
