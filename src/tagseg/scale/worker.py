"""What a worker of Ray does: it labels the photos of a block, writes their outputs and notes each in a journal."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from tagseg.data.images import READING
from tagseg.errors import TagsegError
from tagseg.inference.background import Background
from tagseg.inference.jobs import target
from tagseg.inference.outputs import Chosen, Outputs
from tagseg.inference.predictor import Predictor
from tagseg.inference.result import Result
from tagseg.model.fingerprint import network_fingerprint
from tagseg.scale.catalogue import Photo
from tagseg.scale.journal import Journal, Record
from tagseg.scale.listing import STATE

NETWORK = "network.safetensors"
"""The network in the folder of the records, from where all workers load it."""
MOST_STARTS = 3
"""A photo at which so many workers died, one after the other, is given up."""
_FILES = {"png": "masks/{}.png", "npz": "scores/{}.npz", "yolo": "yolo/labels/{}.txt"}
"""Formats with a file for each photo, and that file."""


@dataclass(frozen=True)
class Task:
    """What is the same for all photos.

    Attributes:
        output: folder of the outputs, which all workers see.
        chosen: the formats.
        overlays: whether pictures of the masks over the photos are written.
        settings: of ``Predictor``.
        writers: threads of each worker that write files; 0: none.
        session: name of the journals of this run.
        origin: short name of all that the outputs of a photo depend on, beside its file.
    """

    output: Path
    chosen: Chosen
    overlays: bool
    settings: dict[str, Any]
    writers: int
    session: str
    origin: str

    def files(self, name: str) -> list[str]:
        """The outputs of a photo, relative to the folder."""
        overlay = [target(Path(), "overlays", name).as_posix()] if self.overlays else []
        return [*overlay, *(_FILES[each].format(name) for each in self.chosen.names)]

    def is_whole(self, photo: Photo, record: Record) -> bool:
        """Whether the outputs that a record tells of are there, made in this way from the file as it is now."""
        if record.get("origin") != self.origin or record.get("image") != stamp(photo.path):
            return False
        files = record.get("files")
        return isinstance(files, dict) and list(files) == self.files(photo.name) and files == self.sizes(photo.name)

    def sizes(self, name: str) -> dict[str, int]:
        """The outputs of a photo with their sizes in bytes; those that are absent have -1."""
        return {file: _size(self.output / file) for file in self.files(name)}


class Worker:
    """Labels blocks of photos; Ray makes one in each of its processes, and another when that dies.

    Args:
        task: what is the same for all photos.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._predictor: Predictor | None = None

    def __call__(self, block: dict[str, Any]) -> dict[str, Any]:
        """Label what an earlier worker has not; returns a row with the number of photos, and an error that ends all.

        Args:
            block: columns ``position``, ``path`` and ``name``, the latter as bytes of file names.
        """
        columns = zip(block["position"], block["path"], block["name"], strict=True)
        photos = [Photo(int(number), Path(os.fsdecode(path)), os.fsdecode(name)) for number, path, name in columns]
        try:
            self._label_all(photos)
            error = ""
        except TagsegError as failure:
            error = str(failure)
        return {"photos": [len(photos)], "error": [error], "process": [os.getpid()]}

    def _label_all(self, photos: list[Photo]) -> None:
        journal = journal_of(self._task, photos[0].position)
        state = list(journal.read())
        done = {record["name"] for record in state if "name" in record}
        left = [photo for photo in photos if photo.name not in done]
        tries = sum("begun" in record for record in state)
        journal.add({"begun": os.getpid()})
        if not tries:
            self._label(left, journal)
            return
        for photo in left:  # one of them may be what the earlier worker died of
            starts = sum(record.get("start") == photo.name for record in state)
            if starts >= MOST_STARTS:
                line = f"{photo.path} ended {starts} workers, one after the other: is there enough memory for it?"
                journal.add({"name": photo.name, "origin": self._task.origin, "error": line})
                continue
            journal.add({"start": photo.name})
            self._label([photo], journal)

    def _label(self, photos: Sequence[Photo], journal: Journal) -> None:
        task = self._task
        if not photos:
            return
        predictor = self._predictor = self._predictor or opened(task)
        outputs = Outputs(task.output, task.chosen, predictor, (), task.overlays)
        stamps = {photo.path: stamp(photo.path) for photo in photos}
        try:
            with Background[None](task.writers) as writing:
                for index, result in predictor.label_files([photo.path for photo in photos]):
                    photo, fixed = photos[index], {"name": photos[index].name, "origin": task.origin}
                    if isinstance(result, str):
                        journal.add({**fixed, "error": result})
                    else:
                        remarks = _remarks(predictor, photo.path)
                        known = {**fixed, "image": stamps[photo.path], "remarks": remarks}
                        writing.add(partial(self._write, outputs, photo, result, journal, known))
        finally:
            predictor.batches.remarks.clear()
            outputs.close([])

    def _write(self, outputs: Outputs, photo: Photo, result: Result, journal: Journal, known: Record) -> None:
        """Write the outputs of a photo, then its record. Uses no torch, as it may run in a thread."""
        task = self._task
        for file in task.files(photo.name):
            place = task.output / file
            if place.exists() and os.path.samefile(place, photo.path):
                raise TagsegError(f"{photo.path} is an input and would be overwritten: choose another output folder")
        _, made = outputs.write(0, photo.path, photo.name, result)
        journal.add({**known, "files": task.sizes(photo.name), "shares": made.shares})


def journal_of(task: Task, position: int) -> Journal:
    """The journal of a block of photos, by the place of its first photo."""
    return Journal(task.output / STATE / f"{task.session}-{position}.jsonl")


def opened(task: Task) -> Predictor:
    """The network of a task.

    Raises:
        TagsegError: its file is not seen from here, or cannot be read.
    """
    path = task.output / STATE / NETWORK
    if not path.is_file():
        raise TagsegError(
            f"{path} is not seen by a worker on {platform.node()}, expected an output folder on a disk that all "
            "machines of the cluster share, given by its full path: choose another --output"
        )
    return Predictor(path, **task.settings)


def origin_of(predictor: Predictor, chosen: Chosen) -> str:
    """A short name for all that the outputs of a photo depend on, beside its file and which of them are written."""
    network = predictor.network
    config = {name: value for name, value in asdict(network.config).items() if name not in ("weights", "start")}
    facts = {
        "weights": network_fingerprint(network), "config": config, "classes": network.classes,
        "colours": network.colours, "view": asdict(predictor.multi_scale), "wanted": asdict(predictor.wanted),
        "formats": asdict(chosen.settings), "reading": READING,
    }  # fmt: skip
    return blake2b(json.dumps(facts, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()


def stamp(path: Path) -> list[int]:
    """Size in bytes and time of the last change in nanoseconds of a photo's file; empty where there is none."""
    try:
        facts = path.stat()
    except OSError:
        return []
    return [facts.st_size, facts.st_mtime_ns]


def per_photo(names: Sequence[str]) -> Iterator[str]:
    """Those of the formats that have a file for each photo."""
    return (name for name in names if name in _FILES)


def _remarks(predictor: Predictor, path: Path) -> list[str]:
    """How a photo was read, where that is not literally as 8-bit RGB."""
    return [text for text, names in predictor.batches.remarks.items() if str(path) in names]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
