"""Verbs on a disk that fills up: one line, no traceback, and no file that a later run could take for whole."""

from __future__ import annotations

import csv
import json
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import safe_open

from stops_verb import Verb
from stops_world import World
from tagseg.model.weights import read_weights
from tagseg.training.checkpoint_hash import damage_of

SHARES = (0.0, 0.35, 0.7, 0.95)
"""Of the room that a verb needs, what it finds."""
ROOM = 64 << 20
"""Bytes of the disk, which a file fills up to what is left."""
LOGS = ("progress.jsonl", "logs/", "tensorboard/")
"""What a training may end without."""
FORMATS = "png,coco,coco-polygons,yolo,labelstudio,cvat,npz"

Undisturbed = dict[str, Path]
"""The folder of each verb's outputs on a disk with room, found once."""


def disk_trials() -> Iterator[tuple[str, Callable[[World], list[str]]]]:
    """Each verb with each amount of room."""
    kept: Undisturbed = {}
    for name in VERBS:
        for share in SHARES:
            quick = " (quick)" if (name, share) in (("train by steps", 0.7), ("predict", 0.7)) else ""
            yield f"{name}, room for {100 * share:.0f} %{quick}", _trial(name, share, kept)


def _steps(world: World, output: Path) -> list[str]:
    return world.steps(output / "run", steps=6, logger="tensorboard", pictures=2, val_limit=4)


def _frozen(world: World, output: Path) -> list[str]:
    return world.frozen(output / "run", steps=4, logger="tensorboard", pictures=2)


def _predict(world: World, output: Path) -> list[str]:
    return ["predict", str(world.network), str(world.photos / "images"), "--output", str(output / "out"),
            "--format", FORMATS, "--scales", "[1.0]"]  # fmt: skip


def _label(world: World, output: Path) -> list[str]:
    return ["label", str(world.photos), str(world.network), "--output", str(output / "out"),
            "--images", "copy", "--format", "coco"]  # fmt: skip


def _evaluate(world: World, output: Path) -> list[str]:
    return ["evaluate", str(world.network), "--data.source", "folder", "--data.root", str(world.photos),
            "--output", str(output / "out"), "--scales", "[1.0]"]  # fmt: skip


def _export(world: World, output: Path) -> list[str]:
    return ["export", str(world.network), "--output", str(output / "out"), "--format", "torch", "--size", "32"]


def _report(world: World, output: Path) -> list[str]:
    return ["report", str(world.network), "--data.source", "folder", "--data.root", str(world.photos),
            "--output", str(output / "report.html")]  # fmt: skip


def _review(world: World, output: Path) -> list[str]:
    return ["review", str(world.network), str(world.photos / "images"), "--output", str(output / "out")]


def _check(world: World, output: Path) -> list[str]:
    return ["check", str(world.photos), "--json"]


VERBS: dict[str, Callable[[World, Path], list[str]]] = {
    "train by steps": _steps, "train frozen": _frozen, "predict": _predict, "label": _label, "evaluate": _evaluate,
    "export": _export, "report": _report, "review": _review, "check --json > file": _check,
}  # fmt: skip


def _trial(name: str, share: float, kept: Undisturbed) -> Callable[[World], list[str]]:
    def run(world: World) -> list[str]:
        if name not in kept:
            kept[name] = world.place("undisturbed")
            verb = Verb(VERBS[name](world, kept[name]), _printed(name, kept[name]))
            if verb.ended() not in (0, 1 if name.startswith("check") else 0):
                raise SystemExit(f"{name} failed with room:\n{verb.printed()}")
        place = world.place("disk")
        with small_disk(place / "disk", int(share * size_of(kept[name]))) as (disk, limit, more_room):
            printed = _printed(name, disk) if name.startswith("check") else place / "printed.txt"
            errors = place / "errors.txt"
            verb = Verb(VERBS[name](world, disk), printed, before=limit, errors=errors)
            wrong = _wrong_end(verb, errors, disk, kept[name]) + [
                f"{path.relative_to(disk)}: {reason}" for path in files_of(disk) if (reason := damage(path, printed))
            ]
            more_room()
            return wrong + _afterwards(name, verb, disk, kept[name], place)

    return run


def _printed(name: str, place: Path) -> Path:
    return place / ("check.json" if name.startswith("check") else "../printed.txt")


def _wrong_end(verb: Verb, errors: Path, disk: Path, undisturbed: Path) -> list[str]:
    code, wrong = verb.ended(), []
    told = errors.read_text(errors="replace")
    last = next((line for line in reversed(told.splitlines()) if line.strip()), "nothing told")
    if "Traceback" in told:
        wrong.append(f"a traceback: {last}")
    if code == 0:
        missing = {name for name in names_in(undisturbed) - names_in(disk) if not _is_log(name)}
        if missing:
            wrong.append(f"exit code 0 without {', '.join(sorted(missing)[:3])}")
    elif code != 2 or "tagseg: error: " not in last:
        wrong.append(f"exit code {code}: {last}")
    if left := verb.left():
        wrong.append(f"{left} processes left")
    return wrong


def _afterwards(name: str, verb: Verb, disk: Path, undisturbed: Path, place: Path) -> list[str]:
    """With room again, a training goes on and ends as one that was not disturbed."""
    if not name.startswith("train") or verb.status == 0:
        return []
    run = disk / "run"
    if not (run / "config.yaml").is_file():
        return []  # it had no room to begin at all
    again = Verb(["train", "--resume", str(run), "--run.logger", "none"], place / "again.txt")
    if again.ended() != 0:
        return [f"does not go on with room: {again.printed()[-300:]}"]
    ours, theirs = (read_weights(folder / "run" / "last.safetensors") for folder in (disk, undisturbed))
    same = all((value == theirs[key]).all() for key, value in ours.items())
    return [] if same else ["went on to other weights"]


@contextmanager
def small_disk(place: Path, room: int) -> Iterator[tuple[Path, Callable[[], object] | None, Callable[[], object]]]:
    """A folder with so many bytes of room, what the verb's process calls first, and what makes room again.

    A disk of its own where this user may mount one; else no file may grow beyond the room.
    """
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        yield place, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY)), lambda: None
        return
    filler = place / "filler"
    try:
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(place).free - max(room, 4096))
        yield place, None, filler.unlink
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


def size_of(folder: Path) -> int:
    """Bytes of all files, in blocks."""
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in folder.rglob("*") if path.is_file())


def files_of(folder: Path) -> list[Path]:
    """All files but the one that fills the disk."""
    return [path for path in folder.rglob("*") if path.is_file() and path.name != "filler"]


def names_in(folder: Path) -> set[str]:
    """Their paths, without the run's or output's folder and without what differs from run to run."""
    names = {path.relative_to(folder).as_posix() for path in files_of(folder)}
    return {name for name in names if "settings" not in name and "/features/" not in name}


def _is_log(name: str) -> bool:
    return any(part in name for part in LOGS)


def damage(path: Path, printed: Path) -> str:
    """What is wrong with a file; empty where it is whole, or one that only ever grows."""
    if path == printed or _is_log(path.as_posix()) or "/features/" in path.as_posix():
        return ""
    try:
        return READERS.get(path.suffix, _unknown)(path) or ""
    except Exception as error:
        return f"half written ({type(error).__name__}: {error})"


def _unknown(path: Path) -> str | None:
    return "left behind" if path.suffix in (".tmp", ".part") or path.name.startswith(".") else None


def _picture(path: Path) -> None:
    with Image.open(path) as picture:
        picture.load()


def _arrays(path: Path) -> None:
    with np.load(path) as arrays:
        for name in arrays:
            arrays[name]


def _network(path: Path) -> None:
    with safe_open(path, framework="np") as file:
        for name in file.keys():  # noqa: SIM118 (not a dict)
            file.get_slice(name)[...]


def _table(path: Path) -> None:
    with path.open(newline="") as file:
        assert len({len(row) for row in csv.reader(file)}) == 1


READERS: dict[str, Callable[[Path], str | None]] = {
    ".png": _picture, ".jpg": _picture, ".npz": _arrays, ".safetensors": _network, ".ckpt": damage_of, ".csv": _table,
    ".json": lambda path: json.loads(path.read_text()) and None, ".tmp": _unknown, ".part": _unknown,
    ".html": lambda path: None if path.read_text().rstrip().endswith("</html>") else "half written",
}  # fmt: skip
