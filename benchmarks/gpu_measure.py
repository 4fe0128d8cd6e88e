"""What the parts of ``gpu.sh`` measure on a GPU: kernels, the share of time it is busy, waits of the host, memory.

Everything also runs without a GPU, where these figures are absent, so that the script can be tried on a CPU.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import threading
import time
import traceback
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from shared import ROOT, arguments_of, print_json
from step_measure import synchronise

_COPIES = ("Memcpy", "Memset")
_ANNOTATIONS = ("ProfilerStep", "Optimizer.")
Figures = dict[str, Any]


@dataclass(frozen=True)
class Usage:
    """What a GPU did in some work.

    Attributes:
        kernels: number of kernels.
        copies: number of copies and fills of memory.
        busy: seconds in which at least one of them ran.
        wall: seconds of the work, with the profiler.
        longest: names of the kernels that took most of the time, seconds and number of each.
    """

    kernels: int
    copies: int
    busy: float
    wall: float
    longest: list[tuple[str, float, int]]


def gpu_arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with ``--quick`` (tiny, to try the code on a CPU), ``--device`` and ``--json``."""
    parser = arguments_of(description, "tiny sizes: tries the code in seconds, measures nothing")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, help="file of the figures, written after each measurement")
    return parser


@contextmanager
def going_on(name: str, failed: Figures) -> Iterator[None]:
    """An error inside is printed and kept under a name, and the next measurement is tried: minutes of a GPU are few."""
    try:
        yield
    except Exception as error:
        traceback.print_exc()
        print(f"{name}: failed", flush=True)
        failed[name] = f"failed: {type(error).__name__}: {str(error)[:200]}"


class Record:
    """Figures of a part, written to a file as they come, so that those of a part that is stopped are kept."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.figures: Figures = {}

    def add(self, **figures: Any) -> None:
        """Keep some more."""
        self.figures |= figures
        if self.path is not None:
            temporary = self.path.with_name(self.path.name + ".new")
            temporary.write_text(json.dumps(self.figures))
            temporary.replace(self.path)

    def close(self) -> None:
        """Print all of them, as every benchmark does."""
        print_json(self.figures)


def usage(work: Callable[[], object], device: torch.device) -> Usage | None:
    """What the GPU does in the work, by PyTorch's profiler; ``None`` without a GPU."""
    if device.type != "cuda":
        work()
        return None
    synchronise(device)
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        begin = time.perf_counter()
        work()
        synchronise(device)
        wall = time.perf_counter() - begin
    spans: list[tuple[float, float]] = []
    seconds: dict[str, float] = defaultdict(float)
    count: Counter[str] = Counter()
    copies = 0
    for event in profiler.events() or []:
        annotation = getattr(event, "is_user_annotation", False) or event.name.startswith(_ANNOTATIONS)
        if event.device_type != DeviceType.CUDA or annotation:
            continue
        span = event.time_range.start, event.time_range.end
        spans.append(span)
        copies += event.name.startswith(_COPIES)
        seconds[event.name] += 1e-6 * (span[1] - span[0])
        count[event.name] += 1
    most = sorted(seconds, key=lambda name: -seconds[name])[:10]
    longest = [(name, seconds[name], count[name]) for name in most]
    return Usage(len(spans) - copies, copies, 1e-6 * covered(spans), wall, longest)


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Length of the union of intervals."""
    total, end = 0.0, float("-inf")
    for first, last in sorted(spans):
        total += max(0.0, last - max(first, end))
        end = max(end, last)
    return total


def print_longest(found: Usage) -> None:
    """The kernels that take most of the time, each with its share of the busy time."""
    for name, seconds, count in found.longest:
        share = seconds / found.busy if found.busy else 0.0
        print(f"    {1e3 * seconds:8.2f} ms {share:6.1%} {count:6} x  {name[:90]}", flush=True)


def waits(work: Callable[[], object], device: torch.device) -> tuple[int, list[tuple[str, int]]] | None:
    """How often the host waits for the GPU in the work, and the lines of code that do most often.

    Counts what PyTorch reports (``set_sync_debug_mode``), thus no ``torch.cuda.synchronize``; ``None`` without a GPU.
    """
    if device.type != "cuda":
        work()
        return None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            work()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    found = [one for one in caught if "called a synchronizing CUDA operation" in str(one.message)]
    places = Counter(f"{_short(one.filename)}:{one.lineno}" for one in found)
    return len(found), places.most_common(8)


def _short(name: str) -> str:
    with suppress(ValueError):
        return str(Path(name).relative_to(ROOT))
    return "/".join(Path(name).parts[-3:])


class Utilisation:
    """A context that samples, every 50 ms, the share of time in which the GPU runs kernels, as its driver reports it.

    By NVML's Python package if it is installed, else by ``nvidia-smi``; ``share`` stays ``None`` where neither works.
    """

    def __init__(self, device: torch.device) -> None:
        self.share: float | None = None
        self._samples: list[float] = []
        self._stop = threading.Event()
        self._device = device
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Utilisation:
        if self._device.type != "cuda":
            return self
        read = _nvml(self._device.index or 0)
        if read is not None:
            self._thread = threading.Thread(target=self._sample, args=(read,), daemon=True)
        elif shutil.which("nvidia-smi"):
            index = str(self._device.index or 0)
            command = ["nvidia-smi", "-i", index, "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
            self._process = subprocess.Popen(
                [*command, "-lms", "50"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            self._thread = threading.Thread(target=self._lines, daemon=True)
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(5)
        if self._thread is not None:
            self._thread.join(5)
        if self._samples:
            self.share = statistics.mean(self._samples) / 100

    def _sample(self, read: Callable[[], float]) -> None:
        while not self._stop.wait(0.05):
            self._samples.append(read())

    def _lines(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with suppress(ValueError):
                self._samples.append(float(line))


def _nvml(index: int) -> Callable[[], float] | None:
    try:
        pynvml = import_module("pynvml")
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        pynvml.nvmlDeviceGetUtilizationRates(handle)
    except Exception:  # not installed, no driver, or not permitted: the figure is then absent
        return None
    return lambda: float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)


def rounded(value: float | None, digits: int = 4) -> float | None:
    """For the JSON line, which knows no nan."""
    return None if value is None or value != value else round(value, digits)
