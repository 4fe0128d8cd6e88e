"""Trainings of ``kills.py``: begun in forked processes through the command line, watched, and killed.

A process that imports PyTorch takes five seconds to start, a fork of one that has imported it none. The fork runs
``tagseg train`` with all that belongs to it; it only writes down, in shared memory, what it is about to do.
"""

from __future__ import annotations

import functools
import mmap
import os
import signal
import struct
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared import stop
from tagseg import presets
from tagseg.beyond import offline_labels
from tagseg.cli import main
from tagseg.config import Config, replace
from tagseg.config_file import save_config
from tagseg.frozen.cache import ShardWriter
from tagseg.training import callbacks, checkpoint_io, frozen
from tagseg.training.frozen_log import FrozenLog
from tagseg.training.module import TrainingModule
from tagseg.training.run_folder import CHECKPOINT

PHASES: dict[str, tuple[Any, str]] = {
    "in a step": (TrainingModule, "training_step"),
    "in the optimiser's step": (TrainingModule, "optimizer_step"),
    "while scoring": (TrainingModule, "validation_step"),
    "while a checkpoint is written": (checkpoint_io, "save_checkpoint"),
    "while a network is written": (callbacks, "save_network"),
    "while labels are made": (offline_labels, "save_mask"),
    "while features are written": (ShardWriter, "add"),
    "in the decoder's training": (FrozenLog, "decoder_step"),
    "while the network is written": (frozen, "save_network"),
}
"""What is watched: the function that does it, where it is looked up."""
TINY: dict[str, Any] = {
    "encoder": "vit_tiny_patch16_224", "weights": "none",
    "encoder_options": {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 4, "num_heads": 3},
    "decoder_width": 16, "projector_width": 32, "projector_bottleneck": 16, "prototypes": 32,
}  # fmt: skip
"""The network: a transformer of four small blocks."""
IMPORTED_LATER = (
    "tagseg.training.trainer", "tagseg.training.csv_log", "tagseg.verbs.train", "jsonargparse",
    "torch.utils.tensorboard",
)  # fmt: skip
"""What a training imports when it needs it; imported before all forks, none takes seconds for it."""
STEPS, BATCH, PHOTOS = 8, 4, 12
PATIENCE = 300
"""Seconds that a training of two seconds may take on a busy machine."""


class Board:
    """What a training is doing now, and how often and how long it has done it, in memory that a fork shares."""

    _NOW, _PHASE = struct.Struct("<qq"), struct.Struct("<qd")

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, self._NOW.size + len(PHASES) * self._PHASE.size)

    def now(self) -> tuple[int, int]:
        """Number of the phase, from 1; 0: none of them; and how often it was begun."""
        phase, count = self._NOW.unpack_from(self.memory)
        return phase, count

    def seconds(self, phase: str) -> float:
        """Mean time that a phase took."""
        count, seconds = self._PHASE.unpack_from(self.memory, self._place(phase))
        return seconds / max(1, count)

    def count(self, phase: str) -> int:
        """How often a phase was ended."""
        return int(self._PHASE.unpack_from(self.memory, self._place(phase))[0])

    def watch(self) -> None:
        """From now on, in this process, phases are written down. Nothing else of them is changed."""
        for number, (phase, (owner, name)) in enumerate(PHASES.items(), 1):
            setattr(owner, name, self._watched(number, phase, getattr(owner, name)))

    def _watched(self, number: int, phase: str, real: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(real)
        def watched(*arguments: Any, **options: Any) -> Any:
            before, count = self.now(), self.count(phase)
            self._NOW.pack_into(self.memory, 0, number, count + 1)
            began = time.perf_counter()
            try:
                return real(*arguments, **options)
            finally:
                spent = self.seconds(phase) * count + time.perf_counter() - began
                self._PHASE.pack_into(self.memory, self._place(phase), count + 1, spent)
                self._NOW.pack_into(self.memory, 0, *before)

        return watched

    def _place(self, phase: str) -> int:
        return self._NOW.size + list(PHASES).index(phase) * self._PHASE.size


@dataclass(frozen=True)
class Kind:
    """A kind of training.

    Attributes:
        name: in the table.
        frozen: the method ``frozen``, else FSR by steps.
        workers: of the loaders.
        accumulate: parts of a step.
    """

    name: str
    frozen: bool = False
    workers: int = 0
    accumulate: int = 1

    def config(self, folder: Path) -> Config:
        """The settings of a training in a folder, on drawn scenes that are shared."""
        run: dict[str, Any] = {
            "output": str(folder / "run"), "workers": self.workers, "accelerator": "cpu", "log_every": 1, "pictures": 0,
        }  # fmt: skip
        data = {"source": "scenes", "root": str(folder.parent), "scenes": PHOTOS}
        network = TINY
        if self.frozen:
            network = network | {"decoder": "conv", "decoder_width": 8, "drop_path": 0.0}
            run |= {"steps": 200, "batch": BATCH, "val_batch": 2, "validate_every": 1.0}
            features = {"size": 32, "folder": str(folder / "features")}
            return replace(presets.frozen(), data=data, network=network, features=features, run=run)
        run |= {"steps": STEPS, "batch": BATCH, "accumulate": self.accumulate, "validate_every": 2, "devices": 1}
        return replace(
            presets.folder(), data=data, network=network, views={"size": 32}, mask={"block": 8},
            beyond={"boundary_size": 48}, run=run,
        )  # fmt: skip


@dataclass
class Training:
    """A training in a folder, begun, killed and resumed by processes of its own.

    Attributes:
        kind: of the training.
        folder: its run is ``run`` in it.
        board: of its processes.
    """

    kind: Kind
    folder: Path
    board: Board = field(default_factory=Board)

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self.folder / "run"

    def start(self) -> int:
        """Begin or, where it has begun, resume; returns the process."""
        if (self.run / "config.yaml").is_file():
            arguments = ["train", "--resume", str(self.run)]
        else:
            save_config(self.kind.config(self.folder), self.folder)
            arguments = ["train", "--config", str(self.folder / "config.yaml")]
        process = os.fork()
        if process == 0:
            self._train(arguments)
        return process

    def _train(self, arguments: list[str]) -> None:
        """In the forked process."""
        code = 1
        try:
            log = os.open(self.folder / "output.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            for number in (1, 2):
                os.dup2(log, number)
            self.board.watch()
            code = main(arguments)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def finish(self) -> None:
        """Begin or resume, and let it end; leaves the benchmark where it fails."""
        process = self.start()
        deadline = time.monotonic() + PATIENCE
        while not (ended := os.waitpid(process, os.WNOHANG))[0]:
            if time.monotonic() > deadline:
                os.kill(process, signal.SIGKILL)
            time.sleep(0.01)
        if ended[1]:
            last = (self.folder / "output.txt").read_text(errors="replace").strip().splitlines()[-1:]
            stop(f"a training has failed, {self.folder / 'output.txt'}: {' '.join(last)}")

    def kill(self, phase: str, times: int, seconds: float) -> str | None:
        """Begin or resume, and kill; returns what it was doing then, ``None`` where it had ended.

        Args:
            phase: of ``PHASES``.
            times: how often it must have begun.
            seconds: to wait then.
        """
        number, process = list(PHASES).index(phase) + 1, self.start()
        deadline = time.monotonic() + PATIENCE
        while os.waitpid(process, os.WNOHANG) == (0, 0):
            now, count = self.board.now()
            if (now == number and count >= times) or time.monotonic() > deadline:
                time.sleep(seconds)
                os.kill(process, signal.SIGKILL)
                if os.waitpid(process, 0)[1] != signal.SIGKILL:
                    return None
                self._let_time_pass()
                return ("between two of these", *PHASES)[self.board.now()[0]]
            time.sleep(0.0003)
        return None

    def _let_time_pass(self) -> None:
        """Make what was left two minutes old: temporary files of the last minute may be another process's."""
        then = time.time() - 120
        for path in self.run.rglob(".*.tmp"):
            os.utime(path, (then, then))


def checkpoint_step(run: Path) -> str:
    """What a killed training will go on from."""
    from tagseg.training.checkpoint_file import load_checkpoint

    path = run / CHECKPOINT
    return f"step {load_checkpoint(path)['global_step']}" if path.is_file() else "the beginning"
