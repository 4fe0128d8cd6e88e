"""Measure how the cost of each verb grows with photos, pixels, classes and steps.

    python benchmarks/cost.py [--quick] [--only VERB,...]

Draws photos, and runs each verb on them with a small network of random weights (4 blocks of width 48, patches of 16
pixels, one thread), whose cost has the shape of a large one's. One variable is varied, the others stay: 8 photos of
160 × 160 pixels, 20 classes, 4 steps. Takes about fifteen minutes on a quiet machine; ``--quick``: fewer values, each
measured once, about a minute.

Seconds are processor seconds, which other programs on the machine change little; medians of three. Memory is the most
resident memory during the call above that before it. The growth is the exponent p of cost ~ variable^p between the
largest two values; for a cost that is proportional it is 1. Prints a table and, last, one line of JSON: ``cost``,
{verb: {variable: {value: {seconds, mb}}}}, ``growth``, {verb: {variable: p}}, and ``superlinear``: those above 1.25
whose largest value takes over 0.2 s.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import math
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from cost_work import WORK, Point, draw
from shared import arguments_of, machine, print_json, table

SIZES = ((160, 160), (320, 320), (500, 375), (1000, 750))
VALUES: Mapping[str, Sequence[int]] = {
    "photos": (8, 16, 32, 64),
    "pixels": tuple(width * height for width, height in SIZES),
    "classes": (2, 20, 80, 254),
    "steps": (4, 8, 16),
}
"""254 classes are the most: a label is a byte."""
QUICK: Mapping[str, Sequence[int]] = {
    "photos": (8, 32),
    "pixels": (25_600, 102_400, 187_500),
    "classes": (20, 254),
    "steps": (4, 12),
}
TRAINED = ("train, steps", "train, frozen")
"""What has steps; by steps, the largest photos would take minutes."""
STEEP, SMALL = 1.25, 0.2
"""Growth that is shown as more than proportional, of calls that take so many seconds."""

Cost = dict[str, float]


def main() -> None:
    """Measure and print."""
    parser = arguments_of(__doc__, "fewer values, each once, about a minute")
    parser.add_argument("--only", default="", help="verbs, with semicolons")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("tagseg").setLevel(logging.ERROR)
    chosen = [verb for verb in WORK if not arguments.only or verb in arguments.only.split(";")]
    values, repeats = (QUICK, 1) if arguments.quick else (VALUES, 3)
    cost = {verb: measured(verb, values, repeats) for verb in chosen}
    growth = {verb: {name: exponent(of) for name, of in own.items()} for verb, own in cost.items()}
    show(cost, growth, repeats)
    steep = [
        f"{verb}: {name}, exponent {growth[verb][name]:.2f}"
        for verb, own in cost.items()
        for name, of in own.items()
        if growth[verb][name] > STEEP and of[max(of)]["seconds"] > SMALL
    ]
    print_json({"cost": cost, "growth": growth, "superlinear": steep})


def measured(verb: str, values: Mapping[str, Sequence[int]], repeats: int) -> dict[str, dict[int, Cost]]:
    """The cost of a verb at each value of each variable."""
    at(verb, Point(), 1)  # imports, and what is compiled
    found: dict[str, dict[int, Cost]] = {}
    for name, several in values.items():
        if name == "steps" and verb not in TRAINED:
            continue
        most = (110_000 if repeats == 1 else 200_000) if (name, verb) == ("pixels", TRAINED[0]) else math.inf
        found[name] = {value: at(verb, point_at(name, value), repeats) for value in several if value <= most}
        print(f"{verb}, {name}: {found[name]}", file=sys.stderr, flush=True)
    return found


def point_at(name: str, value: int) -> Point:
    """The usual point with one variable changed; training takes batches of 4, so that a step has the same photos."""
    if name == "pixels":
        return Point(size=next(size for size in SIZES if size[0] * size[1] == value))
    named: dict[str, Any] = {name: value}
    return replace(Point(), **named)


def at(verb: str, point: Point, repeats: int) -> Cost:
    """Median seconds and most memory of some calls."""
    root = Path(tempfile.mkdtemp(prefix="tagseg-cost-"))
    try:
        draw(root / "data", point)
        several = [once(lambda: WORK[verb](root / "data", point)) for _ in range(repeats)]
    finally:
        shutil.rmtree(root)
    return {
        "seconds": round(statistics.median(each["seconds"] for each in several), 3),
        "mb": round(max(each["mb"] for each in several), 1),
    }


def once(work: Callable[[], object]) -> Cost:
    """Processor seconds of a call, and MB of resident memory at most above what there was before."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # what was freed is given back, so that it is seen when it is used
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, started = memory("VmRSS"), time.process_time()
    work()
    return {"seconds": time.process_time() - started, "mb": max(0.0, memory("VmHWM") - before)}


def memory(name: str) -> float:
    """A figure of this process in MB; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), 0.0)


def exponent(of: Mapping[int, Cost]) -> float:
    """p of cost ~ value^p, between the two largest values."""
    low, high = sorted(of)[-2:]
    ratio = max(of[high]["seconds"], 1e-3) / max(of[low]["seconds"], 1e-3)
    return round(math.log(ratio) / math.log(high / low), 2)


def show(
    cost: Mapping[str, Mapping[str, Mapping[int, Cost]]], growth: Mapping[str, Mapping[str, float]], repeats: int
) -> None:
    """A table for each variable: seconds and MB at each value, and the growth."""
    note = f"Processor seconds, median of {repeats}; MB of memory above those before the call. {machine()}."
    for name in VALUES:
        verbs = [verb for verb in cost if name in cost[verb]]
        values = sorted({value for verb in verbs for value in cost[verb][name]})
        rows = [
            [verb, *(_shown(cost[verb][name].get(value)) for value in values), f"{growth[verb][name]:.2f}"]
            for verb in verbs
        ]
        if rows:
            table(f"By {name}", ["verb", *(f"{value:,} {name}" for value in values), "growth"], rows, note)


def _shown(cost: Cost | None) -> str:
    return "" if cost is None else f"{cost['seconds']:.2f} s, {cost['mb']:.0f} MB"


if __name__ == "__main__":
    main()
