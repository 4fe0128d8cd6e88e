"""Forms of a step that take turns, each in a process of its own on a CPU.

In a training a step runs in a process whose memory the previous step has shaped; separate processes keep the forms from
influencing each other in that. On a GPU all share one process, whose memory several processes would not fit.
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
from step_ways import Way, batches, make_way, to_device
from tagseg.config import Config
from tagseg.data.batch import Batch


@dataclass
class Measured:
    """Measurements of one form: seconds of each step, seconds of each part, peak bytes and FLOP of a step."""

    seconds: list[float]
    parts: dict[str, float]
    memory: float
    flops: float


Details = tuple[dict[str, float], float, float]
"""Seconds of each part (median), peak bytes and FLOP of a step."""


class Runner:
    """One form in this process."""

    def __init__(self, name: str, config: Config, arguments: argparse.Namespace, device: torch.device) -> None:
        stream = batches(config)
        self.device = device
        self.some = [to_device(next(stream), device) for _ in range(min(4, arguments.steps))]
        self.way = make_way(name, config, arguments, device)
        self.step(0)  # the first step also compiles and starts threads

    def step(self, index: int) -> float:
        """Seconds of a step."""
        synchronise(self.device)
        begin = time.perf_counter()
        self.way.step(self.some[index % len(self.some)], Parts(torch.device("cpu")))
        synchronise(self.device)
        return time.perf_counter() - begin

    def details(self) -> Details:
        """Seconds of each part (median), peak bytes and FLOP of a step."""
        return details_of(self.way, self.some, self.device)

    def close(self) -> None:
        """Nothing to do."""


class RunnerElsewhere:
    """One form in a process of its own."""

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

    def details(self) -> Details:
        """Seconds of each part (median), peak bytes and FLOP of a step."""
        self.connection.send("details")
        details: Details = self._answer()
        return details

    def close(self) -> None:
        """End the process."""
        self.connection.send(None)
        self.process.join()

    def _answer(self) -> Any:
        try:
            return self.connection.recv()
        except EOFError:
            raise SystemExit("a process ended: its error is above") from None


def _serve(
    connection: Connection, name: str, config: Config, arguments: argparse.Namespace, device: torch.device, threads: int
) -> None:
    """Answer requests until ``None``."""
    torch.set_num_threads(threads)
    runner = Runner(name, config, arguments, device)
    connection.send("ready")
    while (asked := connection.recv()) is not None:
        connection.send(runner.details() if asked == "details" else runner.step(asked))


def measure(config: Config, arguments: argparse.Namespace, device: torch.device) -> dict[str, Measured]:
    """Steps of all forms in turns; then, unless ``--quick``, the details of each."""
    kind: Callable[..., Runner | RunnerElsewhere] = RunnerElsewhere if device.type == "cpu" else Runner
    runners = {name: kind(name, config, arguments, device) for name in arguments.ways}
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for index in range(arguments.steps):
        for name, runner in runners.items():
            seconds[name].append(runner.step(index))
    nothing: Details = ({}, float("nan"), float("nan"))
    measured = {}
    for name, runner in runners.items():
        measured[name] = Measured(seconds[name], *(nothing if arguments.quick else runner.details()))
        runner.close()
    return measured


def details_of(way: Way, some: list[Batch], device: torch.device) -> Details:
    """Seconds of each part (median), peak bytes and FLOP of a step."""
    parts = Parts(device)
    rest = []
    with way.watching(parts):
        for batch in some[:3]:
            parts.start()
            begin = time.perf_counter()
            way.step(batch, parts)
            synchronise(device)
            rest.append(time.perf_counter() - begin - sum(values[-1] for values in parts.seconds.values()))
    medians = {name: statistics.median(values) for name, values in parts.seconds.items()}
    medians["the rest"] = statistics.median(rest)
    with peak_memory(device) as peak:
        way.step(some[0], Parts(device))
    return medians, peak[0], count_flops(lambda: way.step(some[0], Parts(torch.device("cpu"))))
