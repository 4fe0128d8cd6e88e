"""``tagseg predict --engine ray``: the outputs of ``predict``, made by the workers of a Ray."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from tagseg.arguments import check_kinds, check_path
from tagseg.data.notes import EXAMPLES, Note
from tagseg.data.reading import Reading, reading_of_photos
from tagseg.errors import TagsegError, some_failed
from tagseg.formats.settings import DEFAULT_SETTINGS, FormatSettings
from tagseg.inference.jobs import target
from tagseg.inference.outputs import Chosen, Prediction, chosen_formats, save_tables
from tagseg.inference.precision import Precision
from tagseg.inference.predict import places_of
from tagseg.inference.predictor import Predictor
from tagseg.inference.segment import MAX_SIDE, SCALES
from tagseg.model.checkpoint import save_network
from tagseg.model.network import Network
from tagseg.pairwise.config import PUBLISHED_CRF, CrfConfig
from tagseg.progress import Bar, progress
from tagseg.scale.catalogue import Catalogue, Photo
from tagseg.scale.engine import AT_A_TIME, Engine, check_engine, started
from tagseg.scale.listing import STATE, list_into
from tagseg.scale.records import alone, collect, recall, tidy
from tagseg.scale.worker import NETWORK, Task, Worker, origin_of, per_photo
from tagseg.stopping import told

logger = logging.getLogger("tagseg")
_OF_PREDICTOR = (
    "scales", "mirror", "size", "max_side", "crf", "crf_settings", "precision", "batch", "read_ahead", "device",
)  # fmt: skip
"""Settings that ``Predictor`` takes as they are."""


def predict_on_ray(
    model: str | Path | Network,
    images: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    workers: int = 0,
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
) -> int:
    """Label every pixel of photos with a trained network in several processes or machines; returns their number.

    The files are those of ``tagseg.predict``, and each photo's are written once, whichever worker dies. A second call
    labels only photos whose outputs are not whole, or were made from something else. A Ray is started on this machine
    and stopped at the end, unless the environment's ``RAY_ADDRESS`` names a cluster (docs/scale.md).

    Args:
        model: as for ``predict``, like all that is not named here.
        images: an image file, a folder, or several of them.
        output: folder of the outputs; in a cluster on a disk that all machines share. Records of what is done are
            kept in ``.ray`` below it.
        workers: processes; 0: one for each GPU, without any one for each CPU core.
        format: ``png``, and ``yolo`` or ``npz`` beside it: those with a file for each photo.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        TagsegError: bad settings, no image, Ray is not installed or stopped; at the end, unreadable images.
    """
    given = dict(locals())
    check_path("output", output)
    check_kinds(given, overlays="switch", writers="whole", quiet="switch", workers="whole")
    check_engine(workers, device)
    chosen = _per_photo_formats(chosen_formats(format, format_settings, scores))
    output = Path(output).expanduser().absolute()
    settings = {name: given[name] for name in _OF_PREDICTOR} | {"scores": chosen.probs}
    predictor = Predictor(model, **{**settings, "device": "cpu"})
    predictor.label_files([])  # refuses a network that does not segment
    task = Task(output, chosen, overlays, settings, writers, uuid4().hex, origin_of(predictor, chosen))
    return _predicted(task, predictor, images, workers, quiet)


def _predicted(
    task: Task, predictor: Predictor, images: str | Path | Sequence[str | Path], workers: int, quiet: bool
) -> int:
    """List the photos, label those that are not done, and say how many there are."""
    output = task.output
    with closing(Catalogue()) as catalogue:
        notes = list_into(catalogue, images, output)
        reading = reading_of_photos(len(catalogue), places_of(images), predictor.classes, notes)
        reading.show(quiet)
        with alone(output):
            recall(catalogue, task, quiet)
            if catalogue.count() < len(catalogue):
                save_network(predictor.network, output / STATE / NETWORK)
                _label(catalogue, task, workers, quiet, reading, predictor)
            else:
                _save(catalogue, task, reading, predictor)
        return _number(catalogue)


def _label(catalogue: Catalogue, task: Task, workers: int, quiet: bool, reading: Reading, predictor: Predictor) -> None:
    """Label what is left; whatever ends this, the tables list the masks that exist."""
    untidy = True
    try:
        with started(workers, task.settings["device"]) as engine:
            left = len(catalogue) - catalogue.count()
            block = engine.block(left)
            logger.info("%d worker%s of Ray", engine.workers, "" if engine.workers == 1 else "s")
            with progress(left, "predict", "image", quiet) as bar:
                died = []
                for photos in catalogue.waiting(AT_A_TIME * block):
                    _run(engine, photos, block, task, bar)
                    died.append(collect(catalogue, task))
        untidy = any(died)
    except KeyboardInterrupt as stop:
        raise told(stop, f"stopped: what is done is kept in {task.output}, the same command does the rest") from stop
    finally:
        collect(catalogue, task)
        if untidy:
            tidy(task.output)
        (task.output / STATE / NETWORK).unlink(missing_ok=True)
        _save(catalogue, task, reading, predictor)


def _run(engine: Engine, photos: list[Photo], block: int, task: Task, bar: Bar) -> None:
    """Have some photos labelled.

    Raises:
        TagsegError: what ends all, such as a full disk.
    """
    rows = [
        {"position": photo.position, "path": os.fsencode(photo.path.absolute()), "name": os.fsencode(photo.name)}
        for photo in photos
    ]
    for row in engine.map(rows, block, Worker, (task,)):
        if row["error"]:
            raise TagsegError(row["error"])
        bar.update(row["photos"])


def _save(catalogue: Catalogue, task: Task, reading: Reading, predictor: Predictor) -> None:
    """Write the tables, how photos were read, and the records."""
    if not catalogue.count():
        return
    colours = predictor.colours
    save_tables(task.output, predictor.classes, colours, _predictions(catalogue, task.output))
    notes = _remarks(catalogue)
    for note in notes:
        logger.info("%s", note)
    reading.noting(notes).save(task.output)


def _predictions(catalogue: Catalogue, output: Path) -> Iterator[Prediction]:
    for photo, record in catalogue.done():
        yield Prediction(photo.path, photo.name, target(output, "masks", photo.name), record["shares"])


def _remarks(catalogue: Catalogue) -> list[Note]:
    found: dict[str, tuple[int, list[str]]] = {}
    for photo, record in catalogue.done():
        for text in record["remarks"]:
            count, examples = found.get(text, (0, []))
            found[text] = count + 1, examples if len(examples) == EXAMPLES else [*examples, str(photo.path)]
    return [Note(text, count, tuple(examples)) for text, (count, examples) in sorted(found.items())]


def _number(catalogue: Catalogue) -> int:
    """The number of photos that were labelled.

    Raises:
        TagsegError: some failed; they are named as ``predict`` names them.
    """
    failed = {
        str(photo.path): record["error"].replace(str(photo.path.absolute()), str(photo.path))
        for photo, record in catalogue.done(failed=True)
    }
    if failed:
        raise some_failed(failed, len(catalogue), "images")
    if catalogue.count() < len(catalogue):
        raise TagsegError(
            f"{len(catalogue) - catalogue.count()} of {len(catalogue)} photos were not labelled, though no worker "
            "failed: start the same command again"
        )
    return len(catalogue)


def _per_photo_formats(chosen: Chosen) -> Chosen:
    """Refuse formats that are one file for all photos, and outputs without masks."""
    known = set(per_photo(chosen.names))
    other = next((name for name in chosen.names if name not in known), None)
    if other:
        raise TagsegError(
            f"format is {other!r}, one file for all photos, expected png, npz or yolo with the engine ray, which have "
            "a file for each: choose one of these, or leave out --engine ray"
        )
    if "png" not in chosen.names:
        raise TagsegError(
            f"format is {','.join(chosen.names)!r}, expected png among them with the engine ray: add it, as in "
            f"--format png,{','.join(chosen.names)}"
        )
    return chosen
