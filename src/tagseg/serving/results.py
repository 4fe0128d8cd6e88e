"""Results of this session: the photo and its mask on the disk, logits in memory; the oldest leave."""

from __future__ import annotations

import shutil
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from numpy import ndarray

from tagseg.serving.refusals import no_result


@dataclass(frozen=True)
class FoundClass:
    """A foreground class in a mask.

    Attributes:
        label: 1 to K.
        name: of the class.
        share: of the photo, 0 to 1.
        confidence: mean probability over its pixels, 0 to 1.
    """

    label: int
    name: str
    share: float
    confidence: float


@dataclass(frozen=True)
class StoredResult:
    """A photo that was segmented.

    Attributes:
        id: what the page calls it.
        name: of the file as the client called it, made safe.
        folder: its own, with photo and mask.
        photo: the file as it was sent.
        size: H and W of the photo in pixels, as displayed.
        crf: whether a CRF was asked for.
        classes: found, largest first.
        grids: logits of each scale, float32 (C, h, w).
    """

    id: str
    name: str
    folder: Path
    photo: Path
    size: tuple[int, int]
    crf: bool
    classes: tuple[FoundClass, ...]
    grids: tuple[ndarray, ...]

    @property
    def mask(self) -> Path:
        """The palette PNG of labels."""
        return self.folder / "mask.png"

    @property
    def partition(self) -> Path:
        """The palette PNG of regions, written when it is first asked for."""
        return self.folder / "partition.png"

    def bytes(self) -> int:
        """In memory and on the disk; folders for temporary files may be memory as well."""
        files = sum(path.stat().st_size for path in self.folder.iterdir())
        return files + sum(grid.nbytes for grid in self.grids)


class Results:
    """Bounded by bytes; for several threads.

    Args:
        most: bytes of all results together; one that alone is larger is kept until the next one comes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, tuple[StoredResult, int]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, result: StoredResult) -> None:
        """Keep a result; the oldest leave, their files are deleted."""
        with self._lock:
            self._kept[result.id] = (result, result.bytes())
            leaving = self._surplus()
        for oldest in leaving:
            shutil.rmtree(oldest.folder, ignore_errors=True)

    def recount(self, result: StoredResult) -> None:
        """After a file was added to a result, if it is still kept."""
        with self._lock:
            if result.id in self._kept:
                self._kept[result.id] = (result, result.bytes())

    def _surplus(self) -> list[StoredResult]:
        total = sum(size for _, size in self._kept.values())
        leaving = []
        while total > self._most and len(self._kept) > 1:
            _, (oldest, freed) = self._kept.popitem(last=False)
            leaving.append(oldest)
            total -= freed
        return leaving

    def get(self, id: str) -> StoredResult:
        """A result by its id.

        Raises:
            Refused: there is none, or no longer.
        """
        with self._lock:
            if id not in self._kept:
                raise no_result(id)
            return self._kept[id][0]
