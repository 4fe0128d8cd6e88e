"""The records of a folder of outputs: which photos are whole, from this run and earlier ones."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from tagseg.errors import TagsegError
from tagseg.files import TEMPORARY
from tagseg.formats.spool import writable
from tagseg.progress import progress
from tagseg.scale.catalogue import Catalogue
from tagseg.scale.journal import appending, read_records, write_records
from tagseg.scale.listing import STATE
from tagseg.scale.worker import Task

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger("tagseg")

MADE = "made.jsonl"
"""The records of all runs that have ended."""
_PAGE = 10_000


@contextmanager
def alone(output: Path) -> Iterator[None]:
    """Only one run at a time writes to a folder; the lock goes with the process that has it.

    Raises:
        TagsegError: another run has it, or the folder cannot be written.
    """
    path = output / STATE / "lock"
    with writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    with file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TagsegError(
                f"another tagseg writes to {output}, expected one at a time: wait for it, or choose another --output"
            ) from None
        except OSError:  # a file system without locks
            pass
        yield


def recall(catalogue: Catalogue, task: Task, quiet: bool = False) -> None:
    """Take the records of earlier runs whose photos and outputs are as they tell, and keep these alone."""
    folder = task.output / STATE
    journals = [path for path in folder.glob("*.jsonl") if path.name != MADE]
    for path in (folder / MADE, *sorted(journals, key=lambda path: path.stat().st_mtime)):
        catalogue.note(each for each in read_records(path) if each.get("origin") == task.origin and "files" in each)
    catalogue.forget_others()
    there = catalogue.count()
    if there:
        with progress(there, "looking at what is there", "image", quiet) as bar:
            done = catalogue.done()
            while page := list(islice(done, _PAGE)):
                catalogue.forget(photo.name for photo, record in page if not task.is_whole(photo, record))
                bar.update(len(page))
        kept = catalogue.count()
        logger.info("%d of %d masks are there already", kept, len(catalogue))
    if journals:  # the run was killed
        tidy(task.output)
        write_records(folder / MADE, catalogue.lines())
        _delete(journals)


def collect(catalogue: Catalogue, task: Task) -> bool:
    """Take what the workers of this run have written so far; their journals are added to those of earlier runs.

    Returns:
        Whether a worker has died.
    """
    folder = task.output / STATE
    journals = list(folder.glob(f"{task.session}-*.jsonl"))
    if not journals:
        return False
    died = False
    with appending(folder / MADE) as add:
        for path in journals:
            every = list(read_records(path))
            died = died or sum("begun" in each for each in every) > 1
            records = [each for each in every if "name" in each]
            catalogue.note(records)
            for record in records:
                if "files" in record:
                    add(record)
    _delete(journals)
    return died


def tidy(output: Path) -> None:
    """Delete the temporary files of workers that were killed; no other may be at work."""
    for folder in (output / name for name in ("masks", "overlays", "scores", "yolo", "images", "VOCdevkit")):
        for place, _, names in os.walk(folder):
            for name in filter(TEMPORARY.fullmatch, names):
                with suppress(OSError):
                    os.unlink(os.path.join(place, name))


def _delete(journals: list[Path]) -> None:
    for path in journals:
        with suppress(OSError):
            path.unlink()
