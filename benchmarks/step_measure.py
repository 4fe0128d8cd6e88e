"""What ``step.py`` measures: time of the parts of a step, arithmetic, memory, and the device's peak rate."""

from __future__ import annotations

import ctypes
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch.utils.flop_counter import FlopCounterMode

DATASHEET = {
    "H100": {"bf16": 989e12, "tf32": 495e12, "32": 67e12},
    "H200": {"bf16": 989e12, "tf32": 495e12, "32": 67e12},
}
"""Peak dense FLOP per second of the SXM boards."""


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def products(precision: str) -> Iterator[None]:
    """Inside, matrix products of float32 are exact, or TF32 where the precision allows that."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest" if precision == "32" else "high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class Parts:
    """Seconds spent in named parts of a step."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.inside = False

    def start(self) -> None:
        """Begin a step."""
        for values in self.seconds.values():
            values.append(0.0)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """The time inside belongs to a part; a nested part belongs to the outer one."""
        if self.inside:
            yield
            return
        self.inside = True
        synchronise(self.device)
        begin = time.perf_counter()
        yield
        synchronise(self.device)
        self.inside = False
        values = self.seconds[name]
        if not values:
            values.append(0.0)
        values[-1] += time.perf_counter() - begin

    def timed(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """The function, with its time counted."""

        def run(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return function(*args, **kwargs)

        return run

    @contextmanager
    def watching(self, places: list[tuple[Any, str, str]]) -> Iterator[None]:
        """Inside, the time of functions is counted: owner, attribute and name of the part of each."""
        with ExitStack() as stack:
            for owner, attribute, name in places:
                stack.enter_context(patch.object(owner, attribute, self.timed(getattr(owner, attribute), name)))
            yield


def count_flops(work: Callable[[], Any]) -> float:
    """FLOP of matrix products, convolutions and attention.

    Counted in this thread alone and without oneDNN's fused products, as PyTorch's counter misses both.
    """
    counter = FlopCounterMode(display=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # setting any flag of oneDNN warns of Intel GPUs
            with torch.backends.mkldnn.flags(enabled=False), counter:
                work()
    finally:
        torch.set_num_threads(threads)
    return float(counter.get_total_flops())


def products_a_second(device: torch.device, precision: str, side: int = 0) -> float:
    """Measured FLOP per second of products of square matrices, the best of several."""
    side = side or (8192 if device.type == "cuda" else 2048)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(8):
        synchronise(device)
        begin = time.perf_counter()
        with products(precision):
            a @ b
        synchronise(device)
        best = min(best, time.perf_counter() - begin)
    return 2 * side**3 / best


def peak_rate(device: torch.device, precision: str) -> tuple[float, str]:
    """Peak FLOP per second of the device, and the origin of the figure."""
    if device.type == "cuda":
        for name, rates in DATASHEET.items():
            if name in torch.cuda.get_device_name(device):
                return rates[precision], "datasheet"
    return products_a_second(device, precision), "measured"


@contextmanager
def peak_memory(device: torch.device) -> Iterator[list[float]]:
    """Peak memory inside, in bytes above the memory before; appended to the list at the end."""
    peak: list[float] = []
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield peak
        synchronise(device)
        peak.append(float(torch.cuda.max_memory_allocated(device) - before))
        return
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # glibc: freed memory is returned to the system first
    Path("/proc/self/clear_refs").write_text("5")  # Linux: resets the peak of the process
    resident = _status("VmRSS")
    yield peak
    peak.append(max(0.0, _status("VmHWM") - resident))


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith(field))
