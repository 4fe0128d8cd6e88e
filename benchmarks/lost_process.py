"""Lose a process of a training, at different moments and in different ways, and time until the others have ended.

    python benchmarks/lost_process.py [--quick]

Two processes train a small network on drawn scenes (no data needed) over gloo, started by ``tagseg train`` itself
(Lightning) or by ``torchrun``. The second or the first one dies: killed (SIGKILL, as the system does to one that takes
too much memory), by an exception, by ``SystemExit``, or by a ``MemoryError``; while it prepares, in a step, while
photos are scored, and while the first process writes a checkpoint. No process may be left, the exit code must not be
0, and a line must say why: ours, the error of the process itself, or that of ``torchrun``. ``--quick`` tries six of
the 64 combinations.

Prints a table and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from lightning.pytorch import Callback, Trainer

from recorded import configuration
from shared import arguments_of, machine, print_json, table
from tagseg.config import replace
from tagseg.config_file import read_config, save_config
from tagseg.data import sources
from tagseg.errors import TagsegError
from tagseg.training.launch import is_first
from tagseg.training.train import train

LAUNCHERS = ("tagseg train", "torchrun")
MOMENTS = ("preparation", "step", "scoring", "checkpoint")
WAYS = ("killed", "exception", "SystemExit", "MemoryError")
WHO = ("second", "first")
QUICK = [
    ("tagseg train", "step", "killed", "second"),
    ("tagseg train", "preparation", "killed", "second"),
    ("tagseg train", "checkpoint", "exception", "second"),
    ("tagseg train", "scoring", "killed", "first"),
    ("torchrun", "preparation", "SystemExit", "first"),
    ("torchrun", "step", "MemoryError", "second"),
]
TOLD_BY_SHELL = [("tagseg train", moment, "killed", "first") for moment in MOMENTS]
"""The command itself is killed, which only who started it can tell; the processes it has started end with it."""
MOST = 120
"""Seconds after which the others are said to hang."""


@dataclass(frozen=True)
class End:
    """How a trial ended.

    Attributes:
        seconds: from the death of one process to the end of all.
        code: the exit code; not 0.
        left: processes that are still there.
        line: that says why (``told``).
    """

    seconds: float
    code: int
    left: int
    line: str


class Dies(Callback):
    """Ends this process at a moment of the training, in a way."""

    def __init__(self, folder: Path, moment: str, way: str, dying: bool) -> None:
        self.folder, self.moment, self.way, self.dying = folder, moment, way, dying

    def die(self) -> NoReturn:
        """Note the time and end."""
        (self.folder / "died").write_text(str(time.time()))
        if self.way == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise {
            "exception": RuntimeError("a trial"),
            "SystemExit": SystemExit(3),
            "MemoryError": MemoryError("a trial"),
        }[self.way]

    def on_before_optimizer_step(self, trainer: Trainer, *_: Any) -> None:
        """In the third step."""
        if self.dying and self.moment == "step" and trainer.global_step == 2:
            self.die()

    def on_validation_batch_start(self, *_: Any) -> None:
        """While photos are scored."""
        if self.dying and self.moment == "scoring":
            self.die()

    def on_save_checkpoint(self, *_: Any) -> None:
        """Another process dies while the first one writes, which takes its time."""
        if self.moment == "checkpoint":
            if self.dying:
                self.die()
            time.sleep(3)


def work(config_file: Path, moment: str, way: str, who: str) -> None:
    """One process of a trial."""
    config = read_config(config_file)
    dies = Dies(Path(config.run.output), moment, way, dying=is_first() == (who == "first"))
    if dies.dying and moment == "preparation":
        sources.load = lambda *_, **__: dies.die()
    try:
        train(config, callbacks=[dies])
    except TagsegError as error:
        print(f"tagseg: error: {error}", file=sys.stderr)
        raise SystemExit(2) from error


def trial(folder: Path, launcher: str, moment: str, way: str, who: str) -> End:
    """Start a training, have a process die, and wait for the others."""
    name = "_".join((launcher, moment, way, who)).replace(" ", "_")
    output = folder / name
    output.mkdir()
    config = replace(
        configuration(folder / "scenes", 1000, batch=4), run={"output": str(output), "devices": 2, "validate_every": 4}
    )
    save_config(config, folder / "settings" / name)
    start = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29567"]
    worker = [__file__, "--worker", str(folder / "settings" / name / "config.yaml"), moment, way, who]
    command = [sys.executable, *(start if launcher == "torchrun" else []), *worker]
    error = folder / f"{name}.txt"
    with error.open("wb") as file:
        process = subprocess.Popen(
            command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            code = process.wait(5 * MOST)
        except subprocess.TimeoutExpired:
            code = 0
        ended = time.time()
    left = still_there(name)
    while left and time.time() - ended < MOST:
        time.sleep(0.2)
        left = still_there(name)
        ended = ended if not left else time.time()
    for number in left:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    line = told(error.read_text(errors="replace"))
    died = output / "died"
    if not died.exists():
        raise SystemExit(f"{name}: nothing died: {error.read_text()[-1500:]}")
    return End(ended - float(died.read_text()), code, len(left), line)


def told(output: str) -> str:
    """What says why it ended: our line, perhaps behind a progress bar; else the planted error's, or ``torchrun``'s."""
    for pattern in (
        r"tagseg: error: .*",
        r"(?:RuntimeError|MemoryError): a trial",
        r"Signal 9 \(SIGKILL\).*",
        r"exitcode *: 3.*",
    ):
        if found := re.search(pattern, output):
            return found[0].strip()
    return ""


def still_there(name: str) -> list[int]:
    """The processes of a trial, by what their command names."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if name.encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
    return found


def main() -> None:
    """Try and print."""
    parser = arguments_of(__doc__, "six trials instead of all 64")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(Path(arguments.worker[0]), *arguments.worker[1:])
        return
    trials = QUICK if arguments.quick else list(itertools.product(LAUNCHERS, MOMENTS, WAYS, WHO))
    found: dict[tuple[str, str, str, str], End] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for split in ("train", "val"):
            sources.load(configuration(Path(scratch) / "scenes", 1).data, split)  # drawn once
        for one in trials:
            found[one] = trial(Path(scratch), *one)
            print(*one, f"{found[one].seconds:.1f} s, exit {found[one].code}", found[one].line, sep=", ", flush=True)
    rows = [(*one, f"{end.seconds:.1f}", end.code, end.left, end.line) for one, end in found.items()]
    table("A process dies", ("started by", "in", "way", "which", "seconds to the end", "exit", "left", "error"), rows)
    print_json(
        {
            "machine": machine(),
            "trials": len(found),
            "seconds_to_end": max(end.seconds for end in found.values()),
            "hung": sum(end.seconds > 30 or end.left > 0 for end in found.values()),
            "exit_0": sum(end.code == 0 for end in found.values()),
            "without_a_line": sum(not end.line for one, end in found.items() if one not in TOLD_BY_SHELL),
        }
    )


if __name__ == "__main__":
    main()
