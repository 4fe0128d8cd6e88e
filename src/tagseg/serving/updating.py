"""One update from corrections to what is shown, and what it leaves in the run's folder: all of it or nothing."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tagseg.errors import TagsegError
from tagseg.frozen.features import FrozenFeatures
from tagseg.frozen.labels import FINER, nearest
from tagseg.inference.segment import pick_device
from tagseg.model.checkpoint import read_about, save_network
from tagseg.model.network import Network
from tagseg.serving.catalogue import Catalogue
from tagseg.serving.heads import heads_as_bytes
from tagseg.serving.mask_png import from_png
from tagseg.serving.opened_run import OpenedRun
from tagseg.serving.retrain import Corrections, Report, retrained
from tagseg.serving.saved_update import SavedUpdate, Snapshot
from tagseg.serving.worst_first import Standing, standings

NETWORK = "corrected.safetensors"
"""The network of the last update, in the run's folder, beside the run's own."""
logger = logging.getLogger("tagseg")


def run_update(
    run: OpenedRun,
    catalogue: Catalogue,
    features: FrozenFeatures,
    saved: SavedUpdate,
    snapshot: Snapshot,
    accepted: Iterable[tuple[int, bytes]],
    report: Report,
) -> tuple[Network, dict[str, Standing]]:
    """The network that learnt the corrections, and where each photo stands by it; saved.

    Args:
        run: whose network the training begins with.
        catalogue: the photos.
        features: of the same photos.
        saved: the last update, which this one replaces.
        snapshot: the corrections.
        accepted: the index of each photo whose mask was accepted, and that mask as a PNG; read one at a time.
        report: is told the stage and the share of the work that is done.

    Raises:
        TagsegError: a loss that is not finite, or a full disk; the last update is kept.
    """
    images, told = catalogue.told(features, snapshot.edits)
    rejected = [catalogue.index[id] for id, edit in snapshot.edits.items()
                if edit.state == "rejected" and id in catalogue.index]  # fmt: skip
    size = (FINER * told.grid[0], FINER * told.grid[1])
    masks = {index: nearest(from_png(png), size) for index, png in accepted}
    corrections = Corrections(images, told, masks, rejected, snapshot.share)
    device = pick_device("cpu" if run.config.run.accelerator == "cpu" else "auto")
    network, labels = retrained(run.network, run.config, corrections, run.proposals, report, device)
    found = standings(network, told, labels, lambda done: report("masks", 0.8 + 0.19 * done))
    queue = dict(zip(catalogue.samples, found, strict=True))
    report("saving", 0.99)
    number = saved.number + 1
    waiting = run.folder / f"{NETWORK}.next"
    try:
        save_network(network, waiting, _about(number, snapshot))  # a full disk is noticed before anything changes
        saved.save(number, heads_as_bytes(network), snapshot, queue)
        _put_in_place(waiting)
    finally:
        with suppress(OSError):
            waiting.unlink()
    return network, queue


def _put_in_place(waiting: Path) -> None:
    """Give the network its name. The update is saved by then, so that a failure is no reason to lose it."""
    try:
        os.replace(waiting, waiting.with_suffix(""))
    except OSError as error:
        logger.warning("%s: the file could not be replaced (%s), though the masks are updated: it is written when the "
                       "run is opened again", waiting.with_suffix(""), error.strerror or error)  # fmt: skip


def keep_network(saved: SavedUpdate, network: Network, snapshot: Snapshot, folder: Path) -> None:
    """Write the network of the last update where an interrupt came before that.

    Args:
        saved: the last update.
        network: the one it left.
        snapshot: what it was trained on.
        folder: of the run.

    Raises:
        TagsegError: it cannot be written.
    """
    with suppress(OSError):
        (folder / f"{NETWORK}.next").unlink()
    if saved.number and _number(folder / NETWORK) != saved.number:
        save_network(network, folder / NETWORK, _about(saved.number, snapshot))


def first_queue(
    saved: SavedUpdate, network: Network, features: FrozenFeatures, catalogue: Catalogue
) -> dict[str, Standing]:
    """Where each photo stands by a network before the first update, or after photos were added; saved."""
    queue = dict(zip(catalogue.samples, standings(network, features, None), strict=True))
    saved.save_queue(queue)
    return queue


def _about(number: int, snapshot: Snapshot) -> dict[str, object]:
    states = [edit.state for edit in snapshot.edits.values()]
    return {
        "network": "frozen",
        "update": number,
        "corrected": sum(edit.tags is not None for edit in snapshot.edits.values()),
        "accepted": states.count("accepted"),
        "rejected": states.count("rejected"),
    }


def _number(path: Path) -> int | None:
    """The number of the update that left a network; ``None`` where there is none, or a damaged file."""
    try:
        return int(read_about(path).get("update", 0))
    except TagsegError:
        return None
