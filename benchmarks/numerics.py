"""The properties of tests/numerics on many more random examples than the tests draw.

    .venv/bin/python benchmarks/numerics.py [--quick] [--times 300]

Each run draws other examples. The last line is JSON: how many ``properties``, how many ``examples`` of them all were
drawn, and the names of the properties that failed (``failures``). Exit status 1 if any did; pytest's own report, above,
then has the smallest example that fails.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from shared import ROOT, arguments_of, machine, print_json, table

QUICK, USUAL = 3, 100
"""Times as many examples as the tests draw: about a minute, and half an hour, on two cores."""


class Counting:
    """A plugin of pytest that counts the examples of each property.

    Attributes:
        examples: of each property.
        seconds: each took.
        failures: names of the properties that failed.
    """

    def __init__(self) -> None:
        self.examples: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        self.failures: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Count calls of what Hypothesis calls, which is the same function for all parameters of a test."""
        name = _short(item.nodeid)
        self.examples[name] = 0
        handle = getattr(getattr(item, "obj", None), "hypothesis", None)
        if handle is None:
            self.examples[name] = 1
            return
        inner: Callable[..., object] = getattr(handle.inner_test, "counted", handle.inner_test)

        def counted(*args: Any, **kwargs: Any) -> object:
            self.examples[name] += 1
            return inner(*args, **kwargs)

        counted.counted = inner  # type: ignore[attr-defined] # what is wrapped, for the next parameter
        handle.inner_test = counted

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how it ended."""
        if report.when == "call":
            self.seconds[_short(report.nodeid)] = report.duration
        if report.failed:
            self.failures.append(_short(report.nodeid))


def _short(nodeid: str) -> str:
    return nodeid.rpartition("/")[2].replace(".py", "")


def run(times: int, more: Sequence[str] = ()) -> Counting:
    """Run the properties in this process; ``more`` are arguments of pytest."""
    os.environ["TAGSEG_EXAMPLES"] = str(times)
    counting = Counting()
    folder = str(ROOT / "tests" / "numerics")
    # As users call it: without the checks of shapes at run time, which want to be there before any import.
    plain = ["-q", "-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider", "-p", "no:xdist"]
    pytest.main([folder, "--rootdir", str(ROOT), *plain, *more], [counting])
    return counting


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = arguments_of(__doc__, f"{QUICK} times the examples of the tests instead of {USUAL} times")
    parser.add_argument("--times", type=int, default=0, help="as many times the examples of the tests")
    arguments = parser.parse_args(argv)
    started = time.monotonic()
    counting = run(arguments.times or (QUICK if arguments.quick else USUAL))
    rows = [
        (name, f"{count:,}", f"{counting.seconds.get(name, 0):.1f} s", "failed" if name in counting.failures else "")
        for name, count in counting.examples.items()
    ]
    table("Properties", ("property", "examples", "time", ""), rows, f"{machine()}, {time.monotonic() - started:.0f} s")
    print_json(
        {
            "properties": len(counting.examples),
            "examples": sum(counting.examples.values()),
            "failures": sorted(set(counting.failures)),
        }
    )
    return bool(counting.failures) or not counting.examples


if __name__ == "__main__":
    raise SystemExit(main())
