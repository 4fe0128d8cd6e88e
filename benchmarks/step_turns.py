"""Ways to do a step that take turns, each in a process of its own on a CPU.

A way meets the memory that its own last step left behind, as it does in a training, not what another way made of it;
and what the fast way asks of the process (docs/speed.md) does not help the others. A GPU's memory is PyTorch's own, and
two trainings do not fit it: there all share one process.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch

from step_measure import Parts, count_flops, peak_memory, synchronise
from step_ways import Way, batches, make_way, to_device, watched
from tagseg.config import Config
from tagseg.data.loaders import Batch


@dataclass
class Measured:
    """What was found of one way: seconds of each step, seconds of each part, peak bytes, arithmetic of a step."""

    seconds: list[float]
    parts: dict[str, float]
    memory: float
    flops: float


Look = tuple[dict[str, float], float, float]


class Runner:
    """One way in this process."""

    def __init__(self, name: str, config: Config, arguments: argparse.Namespace, device: torch.device) -> None:
        stream = batches(config)
        self.device = device
        self.some = [to_device(next(stream), device) for _ in range(min(4, arguments.steps))]
        self.way = make_way(name, config, arguments, device)
        self.step(0)  # the first one also compiles and starts threads

    def step(self, index: int) -> float:
        """Seconds of a step."""
        synchronise(self.device)
        begin = time.perf_counter()
        self.way.step(self.some[index % len(self.some)], Parts(torch.device("cpu")))
        synchronise(self.device)
        return time.perf_counter() - begin

    def look_closer(self) -> Look:
        """Seconds of each part (median), peak bytes and arithmetic of a step."""
        return look_closer(self.way, self.some, self.device)

    def close(self) -> None:
        """Nothing to do."""


class RunnerElsewhere:
    """One way in a process of its own."""

    def __init__(self, name: str, config: Config, arguments: argparse.Namespace, device: torch.device) -> None:
        context = torch.multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        given = (theirs, name, config, arguments, device, torch.get_num_threads())
        self.process = context.Process(target=_serve, args=given, daemon=True)
        self.process.start()
        theirs.close()
        self._answer()

    def step(self, index: int) -> float:
        """Seconds of a step."""
        self.connection.send(index)
        seconds: float = self._answer()
        return seconds

    def look_closer(self) -> Look:
        """Seconds of each part (median), peak bytes and arithmetic of a step."""
        self.connection.send("look")
        found: Look = self._answer()
        return found

    def close(self) -> None:
        """End the process."""
        self.connection.send(None)
        self.process.join()

    def _answer(self) -> Any:
        try:
            return self.connection.recv()
        except EOFError:
            raise SystemExit("a way's process ended: its error is above") from None


def _serve(
    connection: Connection, name: str, config: Config, arguments: argparse.Namespace, device: torch.device, threads: int
) -> None:
    """Do what the other end asks for."""
    torch.set_num_threads(threads)
    runner = Runner(name, config, arguments, device)
    connection.send("ready")
    while (asked := connection.recv()) is not None:
        connection.send(runner.look_closer() if asked == "look" else runner.step(asked))


def measure(config: Config, arguments: argparse.Namespace, device: torch.device) -> dict[str, Measured]:
    """Steps of all ways by turns; then, unless it has to be quick, the parts, memory and arithmetic of each."""
    kind: Callable[..., Runner | RunnerElsewhere] = RunnerElsewhere if device.type == "cpu" else Runner
    runners = {name: kind(name, config, arguments, device) for name in arguments.ways}
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for index in range(arguments.steps):
        for name, runner in runners.items():
            seconds[name].append(runner.step(index))
    nothing: Look = ({}, float("nan"), float("nan"))
    found = {}
    for name, runner in runners.items():
        found[name] = Measured(seconds[name], *(nothing if arguments.quick else runner.look_closer()))
        runner.close()
    return found


def look_closer(way: Way, some: list[Batch], device: torch.device) -> tuple[dict[str, float], float, float]:
    """Seconds of each part (median), peak bytes and arithmetic of a step."""
    parts = Parts(device)
    rest = []
    with parts.watching(watched(way)) if way.name != "plain" else parts.watching([]):
        for batch in some[:3]:
            parts.start()
            begin = time.perf_counter()
            way.step(batch, parts)
            synchronise(device)
            rest.append(time.perf_counter() - begin - sum(values[-1] for values in parts.seconds.values()))
    found = {name: statistics.median(values) for name, values in parts.seconds.items()}
    found["the rest"] = statistics.median(rest)
    with peak_memory(device) as bytes_:
        way.step(some[0], Parts(device))
    return found, bytes_[0], count_flops(lambda: way.step(some[0], Parts(torch.device("cpu"))))
