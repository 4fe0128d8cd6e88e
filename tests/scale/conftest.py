"""Photos, a network in a file, and workers that run in this process instead of Ray's."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tagseg.model.checkpoint import save_network
from tagseg.scale import predict as predict_file
from tagseg.scale.engine import Engine

from ..conftest import tiny_network


@dataclasses.dataclass(frozen=True)
class Here(Engine):
    """An engine that has each block done at once, in this process."""

    ray: Any = None
    workers: int = 2
    cpus: int = 1
    gpus: int = 0
    dies: tuple[int, ...] = ()
    """Blocks in which the first worker dies after a photo."""
    interrupted_after: list[int] = dataclasses.field(default_factory=list)
    """Number of blocks after which there is a Ctrl-C."""
    blocks: list[int] = dataclasses.field(default_factory=list)

    def block(self, photos: int) -> int:
        return 2

    def map(
        self, rows: list[dict[str, Any]], block: int, worker: type, arguments: tuple[Any, ...], tries: int = -1
    ) -> Iterator[dict[str, Any]]:
        mine = worker(*arguments)
        for start in range(0, len(rows), block):
            some = rows[start : start + block]
            columns = {name: [row[name] for row in some] for name in some[0]}
            self.blocks.append(len(some))
            if len(self.blocks) - 1 in self.dies:
                half = {name: column[:1] for name, column in columns.items()}
                mine(half)  # its last photos are given out again
                mine = worker(*arguments)
            if self.interrupted_after and len(self.blocks) > self.interrupted_after[0]:
                raise KeyboardInterrupt
            found = mine(columns)
            for index in range(len(next(iter(found.values())))):
                yield {name: column[index] for name, column in found.items()}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Here]:
    """Replaces Ray by an engine of this process."""

    def replace(**options: Any) -> Here:
        engine = Here(**options)

        @contextmanager
        def started(workers: int, device: str) -> Iterator[Here]:
            yield engine

        monkeypatch.setattr(predict_file, "started", started)
        monkeypatch.setattr(predict_file, "check_engine", lambda workers, device: None)
        return engine

    return replace


@pytest.fixture
def run(tmp_path: Path) -> Path:
    save_network(tiny_network(), tmp_path / "run" / "best.safetensors")
    return tmp_path / "run"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Seven photos, two of which differ in their ending alone, one grey, and a file that is none."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("a.jpg", "a.png", "b.jpg", "c.PNG", "sub/d.jpg", "sub/é 図.jpg"):
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).save(folder / name)
    Image.fromarray(rng.integers(0, 256, (30, 40), np.uint8)).save(folder / "grey.png")
    (folder / "notes.txt").write_text("letters")
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    """Content of all files by name, without the records."""
    paths = [path for path in folder.rglob("*") if path.is_file() and ".ray" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
