"""Peak memory of this process and of its GPU."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")


def peak_memory(device: torch.device) -> dict[str, int]:
    """Peaks in bytes since the start: ``process`` where the system tells it, ``gpu`` where it is one.

    Of this process alone: loader workers and other processes of the training have their own.
    """
    peaks: dict[str, int] = {}
    process = peak_of_process()
    if process:
        peaks["process"] = process
    if device.type == "cuda":
        peaks["gpu"] = torch.cuda.max_memory_allocated(device)
    return peaks


def peak_of_process() -> int:
    """Most bytes of memory this process has held at a time; 0 where the system does not tell."""
    if STATUS.exists():  # not ``ru_maxrss``: there a process starts with its parent's
        lines = [line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:")]
        return 1024 * int(lines[0].split()[1]) if lines else 0
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
