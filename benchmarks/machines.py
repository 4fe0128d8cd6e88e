"""Train on two machines that ``torchrun`` joins, compare with one process, and lose one of them.

    python benchmarks/machines.py [--quick]

The machines are two network namespaces with a cable (a veth pair) between them, each with a run folder of its own. That
needs Linux, ``ip`` and root; elsewhere they are two launches of ``torchrun`` on this machine, which is said. A small
network is trained on drawn scenes with every loss on (no data needed), over gloo. Then a longer training loses its
second machine, three ways: all of its processes are killed in a step; the same while it prepares, before they have
joined; and its cable is pulled (with namespaces alone), so that not even an end of a connection is heard of.
``--quick`` trains 4 steps instead of 20.

Prints a table and, last, one line of JSON: ``equal``, ``largest_difference``, ``seconds_to_end``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from recorded import Record, apart, configuration
from running import descendants
from shared import arguments_of, machine, print_json, table
from tagseg.config import replace
from tagseg.config_file import read_config, save_config
from tagseg.data import sources
from tagseg.errors import TagsegError
from tagseg.training.launch import is_first
from tagseg.training.train import train

PORT = 29_541
MOST = 120
"""Seconds after which a machine left alone is said to hang."""
ENOUGH = 1e-4
"""Largest relative difference of a loss that is called equal."""
WAYS = ("killed in a step", "killed before the first step", "cable pulled")


@dataclass(frozen=True)
class Machine:
    """Where a launch runs.

    Attributes:
        prefix: of its commands.
        interface: of its network.
        address: of the first machine.
        pull: the command that pulls the cable; empty where there is none.
    """

    prefix: tuple[str, ...]
    interface: str
    address: str
    pull: tuple[str, ...] = ()


@contextmanager
def machines() -> Iterator[list[Machine]]:
    """Two network namespaces that see each other, or twice this machine."""
    names = [f"tagseg{os.getpid()}{letter}" for letter in "ab"]
    addresses = ["10.231.77.1", "10.231.77.2"]
    if os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid() or shutil.which("ip") is None:
        yield [Machine((), "lo", "127.0.0.1")] * 2
        return
    try:
        for name in names:
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run(
            "ip",
            "link",
            "add",
            "cable0",
            "netns",
            names[0],
            "type",
            "veth",
            "peer",
            "name",
            "cable1",
            "netns",
            names[1],
        )
        for index, name in enumerate(names):
            run("ip", "-n", name, "address", "add", f"{addresses[index]}/24", "dev", f"cable{index}")
            run("ip", "-n", name, "link", "set", f"cable{index}", "up")
        pull = ("ip", "-n", names[1], "link", "set", "cable1", "down")
        yield [
            Machine(("ip", "netns", "exec", name), f"cable{index}", addresses[0], pull)
            for index, name in enumerate(names)
        ]
    except subprocess.CalledProcessError as error:
        print(f"no network namespaces here ({error.stderr.strip()}): two launches on this machine instead")
        yield [Machine((), "lo", "127.0.0.1")] * 2
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL, check=False)


def run(*command: str) -> None:
    """Run a command to its end."""
    subprocess.run(command, check=True, capture_output=True, text=True)


def launch(where: Machine, rank: int, config: Path, error: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start ``torchrun`` on a machine; its errors go to a file."""
    command = [
        *where.prefix, sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", str(rank),
        "--nproc-per-node", "1", "--master-addr", where.address, "--master-port", str(PORT), __file__,
        "--worker", str(config), *options,
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": where.interface}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=error.open("wb"))


def settings(folder: Path, name: str, steps: int, rank: int) -> Path:
    """The configuration of a machine, whose run folder is its own."""
    config = replace(
        configuration(folder / "scenes", steps),
        run={"output": str(folder / name / str(rank)), "validate_every": min(steps, 1000)},
    )
    config = replace(config, run={"devices": "auto"})
    save_config(config, folder / name / f"settings{rank}")
    return folder / name / f"settings{rank}" / "config.yaml"


def trained(both: list[Machine], folder: Path, steps: int) -> Path:
    """The run folder of the first machine after a training on both."""
    started = [
        launch(one, rank, settings(folder, "both", steps, rank), folder / f"error{rank}")
        for rank, one in enumerate(both)
    ]
    for rank, one in enumerate(started):
        if one.wait():
            raise SystemExit((folder / f"error{rank}").read_text()[-2000:])
    return folder / "both" / "0"


class Mark(Callback):
    """Says that a training has come to its third step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """At the third step."""
        if trainer.global_step == 2:
            (self.folder / "there").touch()


def seconds_to_end(both: list[Machine], folder: Path, way: str) -> tuple[float, str]:
    """Seconds from the loss of the second machine to the end of the first one, and that one's last line of error."""
    name = way.replace(" ", "_")
    options = ("--waits",) if way == WAYS[1] else ()
    started = [
        launch(one, rank, settings(folder, name, 100_000, rank), folder / f"{name}{rank}", *options)
        for rank, one in enumerate(both)
    ]
    there = folder / name / "1" / "there"
    try:
        while not there.exists():
            if any(one.poll() is not None for one in started):
                raise SystemExit((folder / f"{name}0").read_text()[-2000:])
            time.sleep(0.1)
        if way == WAYS[2]:
            run(*both[1].pull)
        else:
            kill(started[1])
        lost = time.monotonic()
        with suppress(subprocess.TimeoutExpired):
            started[0].wait(MOST)
        seconds = time.monotonic() - lost
    finally:
        for one in started:
            if one.poll() is None:
                kill(one)
            one.wait()
    lines = [line for line in (folder / f"{name}0").read_text().splitlines() if line.startswith("tagseg: error")]
    return seconds, lines[-1] if lines else ""


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that was started here, with all that it has started."""
    for one in (process.pid, *(each.pid for each in descendants(process.pid))):
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def main() -> None:
    """Train, lose a machine and print."""
    torch.set_num_threads(1)
    parser = arguments_of(__doc__, "4 steps instead of 20")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--waits", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        config = read_config(Path(arguments.worker))
        output = Path(config.run.output)
        if arguments.waits and not is_first():

            def prepare(*_: Any, **__: Any) -> Any:
                output.mkdir(parents=True)
                (output / "there").touch()
                time.sleep(10 * MOST)

            sources.load = prepare
        try:
            train(config, callbacks=[Record(output), Mark(output)])
        except TagsegError as error:
            print(f"tagseg: error: {error}", file=sys.stderr)
            raise SystemExit(2) from error
        return
    steps = 4 if arguments.quick else 20
    with tempfile.TemporaryDirectory() as scratch, machines() as both:
        folder = Path(scratch)
        where = "two network namespaces" if both[0].prefix else "two launches on this machine, no namespaces"
        alone = replace(configuration(folder / "scenes", steps), run={"output": str(folder / "alone")})
        for split in ("train", "val"):
            sources.load(alone.data, split)  # drawn once
        train(alone, callbacks=[Record(folder / "alone")])
        found = apart(trained(both, folder, steps), folder / "alone")
        ways = [way for way in WAYS if both[0].pull or way != WAYS[2]]
        ends = {way: seconds_to_end(both, folder, way) for way in ways}
    rows: list[tuple[str, str]] = [
        (f"largest difference: {name}", f"{value:.1e}") for name, value in asdict(found).items()
    ]
    rows += [
        (f"seconds to the end, second machine {way}", f"{seconds:.1f}: {line}") for way, (seconds, line) in ends.items()
    ]
    table(f"Two machines ({where}), {steps} steps, against one process", ("", ""), rows)
    print_json(
        {
            "machine": machine(),
            "machines": where,
            "steps": steps,
            "equal": found.losses < ENOUGH,
            "largest_difference": found.losses,
            "seconds_to_end": {way: round(seconds, 1) for way, (seconds, _) in ends.items()},
            "told": all(line for _, line in ends.values()),
        }
    )


if __name__ == "__main__":
    main()
