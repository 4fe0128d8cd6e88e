"""One measurement of ``index.py`` in a process of its own, so that its memory is that of nothing else.

    python benchmarks/index_once.py WAY SMALL LARGE STARTED

Does the way on a small collection of the layout first, which imports all that is needed, then on the large one, and
prints JSON: ``imports`` (s from ``STARTED``, the process's start), ``seconds`` and those of the processor, ``base_mb``
and ``peak_mb`` of resident memory after each. Imports nothing but what the way does.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
from pathlib import Path

_VAL_SHARE = ("--data.val_share", "0.1")


class Reached(BaseException):
    """The training would begin now."""


class StopBeforeTraining(logging.Handler):
    """Stops at the line that says what is trained on."""

    def emit(self, record: logging.LogRecord) -> None:
        """Raise ``Reached`` at that line."""
        if record.getMessage().startswith("training on "):
            raise Reached


def train(root: Path, *arguments: str) -> None:
    """``tagseg train`` until training would begin."""
    from tagseg.cli import main

    handler = StopBeforeTraining()
    logging.getLogger("tagseg").addHandler(handler)
    try:
        code = main(["train", str(root), "--run.output", str(root / ".run"), "--network.weights", "none", *arguments])
    except Reached:
        return
    finally:
        logging.getLogger("tagseg").removeHandler(handler)
    raise SystemExit(f"tagseg train {root} ended with {code} before it trained")


def check(root: Path) -> None:
    """What ``tagseg check`` does before it opens photos."""
    from tagseg.check.loading import load_all
    from tagseg.data.config import DataConfig

    if not load_all(DataConfig(root=str(root))).splits:
        raise SystemExit(f"{root} was not read")


def predict(root: Path) -> None:
    """What ``tagseg predict`` does before it opens photos."""
    from tagseg.inference.jobs import jobs_of

    jobs_of(root / "images", root / "out")


def peak_mb() -> float:
    """Most resident memory of this process so far; where the system does not tell, also of the one that began it."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    own = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
    return (own or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024


def run(way: str, root: Path) -> None:
    """The way of that name on a collection."""
    if way in ("check", "predict"):
        {"check": check, "predict": predict}[way](root)
    else:
        train(root, *(_VAL_SHARE if way == "csv_val_share" else ()))


def main() -> None:
    """Measure and print."""
    way, small, large, started = sys.argv[1:]
    run(way, Path(small))
    imports, base = time.time() - float(started), peak_mb()
    begun, of_processor = time.perf_counter(), time.process_time()
    run(way, Path(large))
    figures = {"seconds": time.perf_counter() - begun, "processor": time.process_time() - of_processor}
    print(json.dumps({**figures, "imports": imports, "base_mb": base, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
