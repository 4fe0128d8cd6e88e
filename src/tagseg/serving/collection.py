"""The photos of a run with their masks, corrected by a person and trained again: what the page's wall stands on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from jaxtyping import UInt8
from numpy import ndarray

from tagseg.data.palette import Colour, label_names
from tagseg.errors import TagsegError
from tagseg.inference.result import Result
from tagseg.model.fingerprint import network_fingerprint
from tagseg.serving.catalogue import Catalogue
from tagseg.serving.database import FILE, Database
from tagseg.serving.drawing import Drawing
from tagseg.serving.edits import STATES, UNCHANGED, Edits, Entry, PhotoEdit, State
from tagseg.serving.heads import load_heads, with_own_heads
from tagseg.serving.mask_png import as_png, from_png
from tagseg.serving.opened_run import OpenedRun
from tagseg.serving.photo_row import OutOfDate, PhotoRow
from tagseg.serving.retrain import Report
from tagseg.serving.saved_update import SavedUpdate, Snapshot
from tagseg.serving.updating import NETWORK, first_queue, keep_network, run_update

_DONE: dict[State, str] = {"open": "opened again", "accepted": "accepted", "rejected": "rejected"}


class Collection:
    """Open it with ``Collection.open``. Safe in threads; nothing but the run's folder and its features is written.

    Attributes:
        classes: names of the K classes; label k+1 is ``classes[k]``.
        colours: RGB of labels 0 to K.
    """

    def __init__(self, run: OpenedRun, database: Database) -> None:
        self._run, self._database, self._edits = run, database, Edits(database)
        self._photos = Catalogue(run.images)
        self._saved = SavedUpdate(database, network_fingerprint(run.network))
        self._editing, self._updating = threading.RLock(), threading.Lock()
        self.classes = run.network.classes
        self.colours: tuple[Colour, ...] = run.network.colours
        self._features = run.features()
        shown, heads = with_own_heads(run.network), self._saved.heads
        if heads is not None:
            load_heads(shown, heads)
        keep_network(self._saved, shown, self._trained_on(), run.folder)
        self._drawing, self._queue = Drawing(shown, self._features), self._saved.queue()
        if self._queue.keys() != self._photos.samples.keys():
            _, told = self._photos.told(self._features, self._edits.photos())
            self._queue = first_queue(self._saved, shown, told, self._photos)

    @classmethod
    def open(cls, run: Path) -> Collection:
        """Open the photos of a finished run of the method ``frozen``; features that are missing are computed.

        Raises:
            TagsegError: no such run, its photos are gone, or it is open in another process.
        """
        opened = OpenedRun.of(run)
        database = Database(opened.folder / FILE)
        try:
            return cls(opened, database)
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Let another process open the run. Everything is saved already."""
        self._database.close()

    def __enter__(self) -> Collection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Number of photos."""
        return len(self._photos.samples)

    @property
    def network(self) -> Path:
        """The file of the network that draws the masks, for ``predict``: of the last update, or the run's own."""
        return self._run.folder / NETWORK if self._saved.number else self._run.network_file

    def photos(
        self, order: str = "worst", label: int | None = None, state: str | None = None, offset: int = 0, limit: int = 60
    ) -> tuple[int, tuple[PhotoRow, ...]]:
        """Some photos, and how many there are of these.

        Args:
            order: ``worst`` first, as of the last update, so that a photo stays where it is while it is corrected, or
                by ``name``.
            label: only photos with this tag, 1 to K; 0: only those without any.
            state: only photos in this state.
            offset: number of photos before the first one that is wanted.
            limit: most photos to return.

        Raises:
            TagsegError: another order, label or state.
        """
        if order not in ("worst", "name"):
            raise TagsegError(f"order is {order!r}, expected worst or name")
        if state is not None:
            _checked(state)
        if label is not None and not 0 <= label <= len(self.classes):
            raise TagsegError(f"label is {label}, expected 0 (no tag) to {len(self.classes)}")
        if offset < 0 or limit < 0:
            raise TagsegError(f"offset and limit are {offset} and {limit}, expected 0 or more")
        edits, queue, samples = self._edits.photos(), self._queue, self._photos.samples
        ids = self._photos.chosen(edits, label, state)
        ids.sort(key=(lambda id: samples[id].name) if order == "name" else (lambda id: -queue[id].score))
        revisions, updated = self._edits.revisions(), self._saved.revision
        return len(ids), tuple(
            self._photos.row(id, edits.get(id, UNCHANGED), queue[id], max(updated, revisions.get(id, 0)))
            for id in ids[offset : offset + limit]
        )

    def photo(self, id: str) -> PhotoRow:
        """One photo.

        Raises:
            UnknownPhoto: none of that id.
        """
        self._photos.known(id)
        version = max(self._saved.revision, self._edits.revisions().get(id, 0))
        return self._photos.row(id, self._edits.photo(id), self._queue[id], version)

    def image_path(self, id: str) -> Path:
        """The file of a photo.

        Raises:
            UnknownPhoto: none of that id.
        """
        return self._photos.known(id).image

    def mask(self, id: str) -> UInt8[ndarray, "H W"]:
        """The mask of a photo at its size: the accepted one, or what the network draws when it is told the tags.

        Raises:
            UnknownPhoto: none of that id.
            TagsegError: the photo's file is gone.
        """
        sample, edit = self._photos.known(id), self._edits.photo(id)
        if edit.mask is not None:
            return from_png(self._edits.mask(edit.mask))
        labels = (0, *self._photos.labels(id, edit))
        return self._drawing.mask(self._photos.index[id], labels, self._photos.size(sample.image))

    def set_tags(self, id: str, labels: Sequence[int]) -> PhotoRow:
        """Correct the tags of a photo; its mask follows at once. An accepted mask is open again, as it had other tags.

        Args:
            id: of the photo.
            labels: 1 to K, in any order; none: it shows no class.

        Raises:
            UnknownPhoto: none of that id.
            TagsegError: no such label.
        """
        sample, wanted = self._photos.known(id), self._photos.checked(labels)
        own = self._photos.labels(id, UNCHANGED)
        tags = None if wanted == own else self._photos.names(wanted)

        def changed(edit: PhotoEdit, keep: object) -> PhotoEdit:
            if edit.tags == tags:
                return edit
            return PhotoEdit(tags, "rejected" if edit.state == "rejected" else "open")

        with self._editing:
            before = self._photos.names(self._photos.labels(id, self._edits.photo(id)))
            text = f"{sample.name}: {_listed(before)} → {_listed(self._photos.names(wanted))}"
            self._edits.change(id, text, changed)
        return self.photo(id)

    def set_state(self, id: str, state: str, version: int | None = None) -> PhotoRow:
        """Accept the mask of a photo as it is now, reject it, or open it again.

        An accepted mask is kept, whatever updates come, and is what the network learns of the photo. From a rejected
        one it learns nothing; the photo's tags count nevertheless.

        Args:
            id: of the photo.
            state: ``open``, ``accepted`` or ``rejected``.
            version: of the mask that was judged; ``None``: the current one.

        Raises:
            UnknownPhoto: none of that id.
            OutOfDate: the mask is another one by now.
            TagsegError: another state, or the photo's file is gone.
        """
        sample, wanted = self._photos.known(id), _checked(state)
        with self._editing:
            if version is not None and version != self.photo(id).version:
                raise OutOfDate(f"{sample.name}: its mask has changed in the meantime: look at it again")
            mask = self.mask(id) if wanted == "accepted" else None

            def changed(edit: PhotoEdit, keep: Callable[[bytes], int]) -> PhotoEdit:
                if edit.state == wanted:
                    return edit
                return PhotoEdit(edit.tags, wanted, None if mask is None else keep(as_png(mask)))

            self._edits.change(id, f"{sample.name}: mask {_DONE[wanted]}", changed)
        return self.photo(id)

    @property
    def share(self) -> float | None:
        """Share of foreground in tagged photos, 0 to 1, for the next update; ``None``: estimated."""
        return self._edits.share(self._run.share)

    def set_share(self, value: float | None) -> None:
        """Set the share of foreground, between 0 and 1; ``None``: estimated.

        Raises:
            TagsegError: another value.
        """
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1):
            raise TagsegError(f"share is {value!r}, expected a number between 0 and 1, or null to estimate it")
        text = "foreground share: " + ("estimated" if value is None else f"{100 * value:.3g} %")
        with self._editing:
            self._edits.set_share(None if value is None else float(value), self._run.share, text)

    def undo(self) -> str | None:
        """Undo the last action; what it was, or ``None`` if there is none."""
        with self._editing:
            return self._edits.undo()

    def redo(self) -> str | None:
        """Do again what was undone last; what it is, or ``None`` if there is nothing."""
        with self._editing:
            return self._edits.redo()

    def history(self) -> tuple[Entry, ...]:
        """All actions, the first one first."""
        return self._edits.history()

    @property
    def pending(self) -> int:
        """Number of photos, plus one for the share, that differ from what the shown network was trained on."""
        return self._snapshot().differing(self._trained_on())

    @property
    def version(self) -> int:
        """Another number after each update."""
        return self._saved.revision

    def update(self, note: Report = lambda stage, fraction: None) -> None:
        """Train on the corrections and draw all masks anew; a second call waits for the first.

        Interrupted at any moment, it leaves masks, network and corrections as they were.

        Args:
            note: is told the stage and the share of the work that is done, 0 to 1.

        Raises:
            TagsegError: a loss that is not finite, or a disk that is full.
        """
        with self._updating:
            snapshot, index = self._snapshot(), self._photos.index
            numbers = {index[id]: edit.mask for id, edit in snapshot.edits.items() if id in index}
            accepted = ((place, self._edits.mask(n)) for place, n in numbers.items() if n is not None)
            network, queue = run_update(
                self._run, self._photos, self._features, self._saved, snapshot, accepted, note
            )  # fmt: skip
            self._drawing, self._queue = Drawing(network, self._features), queue

    def results(self) -> Iterator[Result]:
        """The accepted masks, in the order of ``photos("name", state="accepted")``, one at a time."""
        names = dict(enumerate(label_names(self.classes)))
        edits, samples = self._edits.photos(), self._photos.samples
        for id in sorted(self._photos.chosen(edits, None, "accepted"), key=lambda id: samples[id].name):
            number = edits[id].mask
            assert number is not None  # of each accepted photo
            yield Result(from_png(self._edits.mask(number)), names, self.colours, samples[id].image)

    def _snapshot(self) -> Snapshot:
        return Snapshot(self._edits.photos(), self.share)

    def _trained_on(self) -> Snapshot:
        return self._saved.trained_on(Snapshot({}, self._run.share))


def _checked(state: str) -> State:
    """A state that came from outside."""
    for known in STATES:
        if state == known:
            return known
    raise TagsegError(f"state is {state!r}, expected {', '.join(STATES)}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "no tag"
