"""What the benchmarks share: the development data, the setting on its photos, timing, tables and the JSON line."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tagseg import presets
from tagseg.config import Config, replace

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
"""Folder of the development data."""
PHOTOS = SHARED / "data" / "voc20mix"
ANIMALS = SHARED / "data" / "voc12_animals"
WEIGHTS = SHARED / "weights" / "deit_tiny_patch16_224.safetensors"
GOLDEN = ROOT / "tests" / "golden"
"""Values of the published implementation."""

sys.path.insert(0, str(ROOT))  # for tests.reference, the published step


def arguments_of(description: str | None, quick: str) -> argparse.ArgumentParser:
    """A parser with ``--quick``; ``quick`` says what it leaves out."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=quick)
    return parser


def require(*paths: Path) -> None:
    """Leave with status 2 and one line if development data are absent."""
    for path in paths:
        if not path.exists():
            stop(f"{path} is absent: this benchmark needs the development data")


def stop(line: str) -> None:
    """Leave with status 2 and a line on standard error."""
    print(line, file=sys.stderr)
    raise SystemExit(2)


def machine(device: torch.device | None = None) -> str:
    """Processor or GPU, threads and version of torch."""
    if device is not None and device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
    return f"{name}, torch {torch.__version__}"


def print_json(figures: Mapping[str, Any]) -> None:
    """The last line of every benchmark."""
    print(json.dumps(figures), flush=True)


def voc20mix(**changes: dict[str, Any]) -> Config:
    """The published recipe on the photos of voc20mix: DeiT-Ti, 224 px, batch 4, 800 steps."""
    config = replace(
        presets.paper(),
        data={"source": "folder", "root": str(PHOTOS)},
        network={"encoder": "deit_tiny_patch16_224", "weights": str(WEIGHTS)},
        views={"size": 224},
        cam={"scales": (1.0, 0.5), "background_threshold": 0.5},
        mask={"choice": "uncertain", "block": 32, "random_until": 0.2},
        labels={"high": 0.7, "low": 0.25},
        losses={"segmentation_from": 0.1},
        distillation={"teacher_momentum": (0.99, 1.0), "temperature_warmup": 0.125},
        optimiser={"rate": 1e-4, "warmup": 0.075},
        run={"steps": 800, "batch": 4, "workers": 1, "validate_every": 0, "logger": "csv"},
    )
    return replace(config, **changes)


def timed(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way in each round, the ways taking turns, after one call of each to warm up."""
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def median_times(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Medians of ``timed``; with more rounds for ways that take milliseconds."""
    seconds = timed(ways, rounds)
    slowest = max(max(values) for values in seconds.values())
    more = min(20, int(0.2 / slowest)) - rounds
    if more > 0:
        seconds = {name: seconds[name] + values for name, values in timed(ways, more).items()}
    return {name: statistics.median(values) for name, values in seconds.items()}


def processor_seconds(work: Callable[[], object], times: int = 1) -> float:
    """Median processor time of this process, all threads together."""
    measured = []
    for _ in range(times):
        started = time.process_time()
        work()
        measured.append(time.process_time() - started)
    return statistics.median(measured)


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]], note: str = "") -> None:
    """Print a Markdown table under a title, with a note below."""
    print(f"\n### {title}\n")
    print(markdown([header, *rows]))
    if note:
        print(f"\n{note}")
    print(end="", flush=True)


def markdown(rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; the first row is its header."""
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (rows[0], ["---"] * len(rows[0]), *rows[1:]))
