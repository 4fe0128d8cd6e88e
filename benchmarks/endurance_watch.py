"""What a process holds: memory, file handles, threads and the processes it has started."""

from __future__ import annotations

import gc
import os
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from running import descendants

PAGE = os.sysconf("SC_PAGE_SIZE")
LIMITS = {
    "rss_growth_mb": 48.0,
    "workers_growth_mb": 48.0,
    "handles_growth": 2,
    "threads_growth": 2,
    "processes_growth": 0,
}
"""Growth from the first to the last third of the samples that is still called flat; allocators keep some pages."""


@dataclass(frozen=True)
class Sample:
    """One look; memory in MB, that of the processes it has started in sum."""

    rss: float
    workers: float
    handles: int
    threads: int
    processes: int


def look() -> Sample:
    """What this process holds now."""
    below = [one.pid for one in descendants(os.getpid())]
    return Sample(
        _megabytes(os.getpid()), sum(map(_megabytes, below)), len(os.listdir("/proc/self/fd")) - 1,
        len(os.listdir("/proc/self/task")), len(below),
    )  # fmt: skip


def _megabytes(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1e6
    except OSError:
        return 0.0


@dataclass
class Watch:
    """Samples of one kind of work, the first of which are left out as warming up."""

    warm: int
    samples: list[Sample] = field(default_factory=list)

    def take(self) -> None:
        """Look once."""
        gc.collect()
        self.samples.append(look())

    def thirds(self, name: str) -> list[float]:
        """Medians of the first, second and last third after warming up."""
        values = [getattr(sample, name) for sample in self.samples[self.warm :]]
        third = max(1, len(values) // 3)
        middle = max(0, (len(values) - third) // 2)
        return [statistics.median(part) for part in (values[:third], values[middle : middle + third], values[-third:])]

    def growth(self) -> dict[str, float]:
        """From the first third to the last."""
        names = {"rss_growth_mb": "rss", "workers_growth_mb": "workers", "handles_growth": "handles",
                 "threads_growth": "threads", "processes_growth": "processes"}  # fmt: skip
        return {key: self.thirds(name)[2] - self.thirds(name)[0] for key, name in names.items()}
