"""Whether two runs are equal, bit for bit, and whether a damaged checkpoint is noticed: for ``kills.py``."""

from __future__ import annotations

import logging
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from tagseg.errors import TagsegError
from tagseg.reporting.logs import read_logs
from tagseg.training.checkpoint_file import load_checkpoint
from tagseg.training.progress_file import read_progress
from tagseg.training.run_folder import CHECKPOINT, PREVIOUS, checkpoint_of

MEASURED = ("speed/", "memory/")
"""What depends on the machine, of what is logged."""


def differences(run: Path, whole: Path) -> list[str]:
    """What of a run is not as in another one: weights, optimiser, schedules, scores, networks, logs."""
    found = []
    for name in (CHECKPOINT, "best.ckpt"):
        if (whole / name).is_file():
            found += _differ(_state(run / name), _state(whole / name), name)
    for path in sorted(whole.glob("*.safetensors")):
        found += _differ(_network(run / path.name), _network(path), path.name)
    found += _differ(_logged(run), _logged(whole), "logs")
    found += _progress_differs(run)
    found += [f"{path.name} is left" for path in run.rglob("*") if path.suffix in (".tmp", ".part")]
    return found


def _state(path: Path) -> dict[str, Any]:
    """A checkpoint without the paths of its run."""
    state = load_checkpoint(path)
    for values in state["callbacks"].values():
        for name in ("dirpath", "best_model_path", "kth_best_model_path", "last_model_path"):
            values.pop(name, None)
        if "best_k_models" in values:
            values["best_k_models"] = list(values["best_k_models"].values())
    return state


def _network(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        return {"": file.metadata(), **{name: file.get_tensor(name) for name in file.keys()}}  # noqa: SIM118


def _logged(run: Path) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if not name.startswith(MEASURED)} for row in read_logs(run)]


def _progress_differs(run: Path) -> list[str]:
    """What is wrong with ``progress.jsonl``: steps that go back, losses that are not those of the logs, no end."""
    records = read_progress(run)
    losses = {int(row["step"]) + 1: row["train/loss"] for row in read_logs(run) if "train/loss" in row}
    steps = [record["step"] for record in records if record["stage"] == "training"]
    wrong = [] if steps == sorted(steps) else ["progress.jsonl: steps go back"]
    for record in records:
        if record["stage"] == "training" and "loss" in record["losses"]:
            loss = losses[record["step"]]
            if abs(record["losses"]["loss"] - loss) > 1e-5 * abs(loss):
                wrong.append(f"progress.jsonl: the loss of step {record['step']}")
    return wrong if records[-1]["state"] == "done" else [*wrong, "progress.jsonl: no end"]


def _differ(one: Any, other: Any, place: str) -> list[str]:
    """Where two values differ, at most some places; tensors are equal bit by bit."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        same = one.dtype == other.dtype and one.shape == other.shape and _bits(one).equal(_bits(other))
        return [] if same else [place]
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if one.keys() != other.keys():
            return [f"{place}: {sorted(map(str, one.keys() ^ other.keys()))[:3]}"]
        return [where for key in one for where in _differ(one[key], other[key], f"{place}/{key}")][:5]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [where for index, (a, b) in pairs for where in _differ(a, b, f"{place}/{index}")][:5]
    return [] if type(one) is type(other) and one == other else [place]


def _bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)


class _Told(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def damage(run: Path, folder: Path, rng: random.Random, how: str, times: int) -> tuple[int, int]:
    """Damage ``last.ckpt`` of a copy of a run many times.

    Args:
        run: a finished run; not changed.
        folder: for the copy.
        rng: chooses places.
        how: ``flipped``: bits of one to eight bytes change; ``cut off``: the file ends anywhere before its end.
        times: how often.

    Returns:
        How often it was named in one line and the previous one taken, and how often that and the previous one were
        damaged, and one line said so.
    """
    folder.mkdir()
    whole = (run / CHECKPOINT).read_bytes()
    shutil.copy(run / PREVIOUS, folder / PREVIOUS)
    logger, told = logging.getLogger("tagseg"), _Told()
    logger.addHandler(told)
    named = refused = 0
    for _ in range(times):
        (folder / CHECKPOINT).write_bytes(_damaged(whole, rng, how))
        told.lines.clear()
        chosen = checkpoint_of(folder)
        named += chosen == folder / PREVIOUS and len(told.lines) == 1 and f"{folder / CHECKPOINT}: " in told.lines[0]
    previous = (run / PREVIOUS).read_bytes()
    for _ in range(times):
        (folder / CHECKPOINT).write_bytes(_damaged(whole, rng, how))
        (folder / PREVIOUS).write_bytes(_damaged(previous, rng, how))
        try:
            checkpoint_of(folder)
        except TagsegError as error:
            refused += "\n" not in str(error) and CHECKPOINT in str(error)
    logger.removeHandler(told)
    return named, refused


def _damaged(content: bytes, rng: random.Random, how: str) -> bytes:
    if how == "cut off":
        return content[: rng.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(changed) if changed != content else _damaged(content, rng, how)
