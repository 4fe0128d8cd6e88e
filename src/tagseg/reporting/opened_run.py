"""What a run's folder says about it: its network, its settings, and what was read when it was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagseg.config import Config
from tagseg.config_file import NAME, read_config
from tagseg.data.json_text import parse_json
from tagseg.data.reading import FILE
from tagseg.errors import TagsegError
from tagseg.inference.predictor import open_network
from tagseg.model.checkpoint import find_network, read_about
from tagseg.model.network import Network
from tagseg.reporting.logs import read_logs


@dataclass(frozen=True)
class OpenedRun:
    """A run to report on.

    Attributes:
        name: short, different from those of the other runs.
        folder: of the run.
        file: its network.
        network: in evaluation mode on the device.
        about: what is kept beside the network: ``step``, ``scores``, ``maps``.
        config: its settings; ``None`` of a network without a run.
        settings: their text.
        data: what was read for the training (``data.json``); empty where it is not kept.
        logs: one record for each logged step; empty where none were logged.
    """

    name: str
    folder: Path
    file: Path
    network: Network
    about: dict[str, Any]
    config: Config | None
    settings: str
    data: dict[str, Any]
    logs: tuple[dict[str, float], ...]

    @property
    def segments(self) -> bool:
        """Whether its decoder was trained; a plain classifier has CAMs alone."""
        return "segmentation" in self.about.get("maps", ["segmentation"])


def open_runs(runs: Sequence[str | Path], device: str) -> list[OpenedRun]:
    """Open all runs.

    Raises:
        TagsegError: no such run, a damaged one, one that is given twice, or runs with different classes.
    """
    files = [find_network(run) for run in runs]
    names = _names([file.parent for file in files], files)
    opened = [_open(name, file, device) for name, file in zip(names, files, strict=True)]
    first = opened[0]
    for other in opened[1:]:
        if other.file.resolve() == first.file.resolve():
            raise TagsegError(f"{other.file} is given twice, expected different runs to compare: leave one out")
        if other.network.classes != first.network.classes:
            raise TagsegError(_difference(first, other))
    return opened


def _open(name: str, file: Path, device: str) -> OpenedRun:
    folder = file.parent
    network, about = open_network(file, device), read_about(file)
    path = folder / NAME
    config = read_config(path) if path.is_file() else None
    text = path.read_text(encoding="utf-8") if config is not None else ""
    return OpenedRun(name, folder, file, network, about, config, text, _data_of(folder), _logs_of(folder))


def _names(folders: list[Path], files: list[Path]) -> list[str]:
    """The folders' names; where two are the same, as much of the path as tells them apart."""
    resolved = [folder.resolve() for folder in folders]
    names = [folder.name or str(folder) for folder in resolved]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    return names if len(set(names)) == len(names) else [str(file) for file in files]


def _data_of(folder: Path) -> dict[str, Any]:
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        content = parse_json(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except (OSError, ValueError) as error:
        raise TagsegError(
            f"{path}: cannot be read as JSON ({str(error).splitlines()[0]}), expected what the training wrote: delete "
            "it to report without it"
        ) from error
    if not isinstance(content, dict):
        raise TagsegError(f"{path}: expected an object as the training wrote it: delete it to report without it")
    return content


def _logs_of(folder: Path) -> tuple[dict[str, float], ...]:
    if not any(folder.glob("logs/part_*/metrics.csv")):
        return ()
    return tuple(read_logs(folder))


def _difference(first: OpenedRun, other: OpenedRun) -> str:
    ours, theirs = first.network.classes, other.network.classes
    only = [name for name in theirs if name not in ours] or [name for name in ours if name not in theirs]
    what = f"{only[0]!r} is in one of them alone" if only else "they are in another order"
    return (
        f"{first.file.parent} has {len(ours)} classes and {other.file.parent} has {len(theirs)}, expected the same to "
        f"compare them ({what}): report on each alone"
    )
