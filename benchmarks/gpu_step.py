"""Part of ``gpu.sh``: the training step with all losses on a GPU, one way after the other.

    python benchmarks/gpu_step.py                                     ViT-B/16, 448 px, batch 8, five ways
    python benchmarks/gpu_step.py --size tiny small --pixels 224 --ways fast-bf16

Seconds of a step (median), peak memory, kernels, share of the time the GPU is busy and how often the host waits for it.
A way is a form and a precision of its matrix products: the published form also in TF32, so that no ratio hides behind
a precision. Every way starts with the same weights, so the first losses of all are compared with the published ones.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from gpu_measure import Record, going_on, gpu_arguments, print_longest, rounded, usage, waits
from shared import PHOTOS, machine
from step_measure import Parts, peak_memory, synchronise
from step_ways import ENCODERS, Way, batches, configuration, make_way, to_device
from tagseg.data.batch import Batch

WAYS = ("fast-bf16", "fast-tf32", "fast-32", "published-32", "published-tf32")
WARM = {"fast": 3, "plain": 1, "published": 1}
"""Further steps to warm up: a fast form may record what it repeats, at the third time."""
SECONDS = 2.0
"""Of the steps of a way that are measured, if they are no more than five times as many as asked for."""
NO_PARTS = Parts(torch.device("cpu"))
"""Nothing in a step is timed."""


def first_losses(way: Way, batch: Batch) -> dict[str, float]:
    """The losses with the weights at the start."""
    terms = way.forward(batch, NO_PARTS).terms
    return {name: float(value.detach()) for name, value in terms.items()}


def measure(
    name: str, way: Way, some: list[Batch], steps: int, device: torch.device
) -> tuple[dict[str, Any], list[float]]:
    """The figures of a way and the seconds of each of its steps."""
    started = time.perf_counter()
    way.step(some[0], NO_PARTS)  # compiles kernels, allocates the optimiser's state
    synchronise(device)
    figures: dict[str, Any] = {"first_step_s": rounded(time.perf_counter() - started, 2)}
    for index in range(WARM[way.form] if steps > 1 else 0):
        way.step(some[index % len(some)], NO_PARTS)
    seconds: list[float] = []
    while len(seconds) < steps or (len(seconds) < 5 * steps and sum(seconds) < SECONDS):
        synchronise(device)
        begin = time.perf_counter()
        way.step(some[len(seconds) % len(some)], NO_PARTS)
        synchronise(device)
        seconds.append(time.perf_counter() - begin)
    median = statistics.median(seconds)
    if way.form == "fast":  # as in a training, where the host need not wait for a step's end
        figures["seconds_in_a_row"] = rounded(in_a_row(way, some, len(seconds), device))
        print(f"{name:16} {1e3 * figures['seconds_in_a_row']:9.1f} ms a step of {len(seconds)} in a row", flush=True)
    with peak_memory(device) as peak:
        way.step(some[0], NO_PARTS)
    if device.type == "cuda":  # with weights and recorded passes, whose memory is not counted as allocated
        figures["reserved_gb"] = rounded(torch.cuda.max_memory_reserved(device) / 1e9, 3)
    figures |= {
        "seconds": rounded(median),
        "steps_a_second": rounded(1 / median, 3),
        "memory_gb": rounded(peak[0] / 1e9, 3),
    }
    line = f"{name:16} {1e3 * median:9.1f} ms a step ({1e3 * min(seconds):.1f} to {1e3 * max(seconds):.1f}), "
    print(line + f"{1 / median:.2f} steps/s, {peak[0] / 1e9:.2f} GB above the weights", flush=True)
    return figures, seconds


def in_a_row(way: Way, some: list[Batch], steps: int, device: torch.device) -> float:
    """Seconds a step of several, waited for at their end."""
    synchronise(device)
    begin = time.perf_counter()
    for index in range(steps):
        way.step(some[index % len(some)], NO_PARTS)
    synchronise(device)
    return (time.perf_counter() - begin) / steps


def on_the_gpu(way: Way, batch: Batch, seconds: float, device: torch.device) -> dict[str, Any]:
    """Kernels of a step, the share of a step's time in which one runs, and waits of the host; empty without a GPU."""
    figures: dict[str, Any] = {}
    found = usage(lambda: way.step(batch, NO_PARTS), device)
    if found is not None:
        busy = min(1.0, found.busy / seconds)
        figures |= {"kernels": found.kernels, "copies": found.copies, "busy": rounded(busy, 3)}
        print(
            f"    {found.kernels} kernels, {found.copies} copies, busy {1e3 * found.busy:.1f} ms = {busy:.0%} of a step"
        )
        print_longest(found)
    waited = waits(lambda: way.step(batch, NO_PARTS), device)
    if waited is not None:
        figures["waits"] = waited[0]
        print(
            f"    the host waits {waited[0]} times: {', '.join(f'{place} {n} x' for place, n in waited[1])}", flush=True
        )
    return figures


def one_way(
    name: str, way: Way, some: list[Batch], ways: dict[str, Any], losses: dict[str, dict[str, float]], steps: int,
    keep: Callable[[], None],
) -> None:  # fmt: skip
    """Measure a way; its figures and first losses are put under its name and kept as they come."""
    device = some[0].view1.device
    losses[name] = first_losses(way, some[0])
    ways[name], seconds = measure(name, way, some, steps, device)
    keep()
    ways[name] |= on_the_gpu(way, some[0], statistics.median(seconds), device)


def one_size(size: str, arguments: argparse.Namespace, device: torch.device, record: Record) -> None:
    """Every way at one size; figures are kept as they come."""
    config = configuration(size, arguments.pixels, arguments.batch, workers=0)
    stream = batches(config)
    some = [to_device(next(stream), device) for _ in range(2)]
    data = "photos" if PHOTOS.exists() else "noise"
    print(f"\n{ENCODERS[size]}, {arguments.pixels} px, batch {arguments.batch}, {data}, {machine(device)}", flush=True)
    ways: dict[str, Any] = {}
    failed: dict[str, Any] = {}
    losses: dict[str, dict[str, float]] = {}

    def keep() -> None:
        record.add(**{size: ways | compared(ways, losses) | failed})

    for name in arguments.ways:
        if time.perf_counter() > arguments.deadline:
            print(f"{name}: not measured, the time is over")
            continue
        with going_on(name, failed):
            one_way(name, make_way(name, config, arguments, device), some, ways, losses, arguments.steps, keep)
        keep()
        gc.collect()  # before the next is made: a form's memory is measured alone
        if device.type == "cuda":
            torch.cuda.empty_cache()
    figures = compared(ways, losses)
    for key, value in figures.items():
        print(f"{key:44} {value}", flush=True)


def compared(ways: dict[str, Any], losses: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Ratios of steps a second, and the largest difference of a first loss to the published form in float32."""
    figures: dict[str, Any] = {}
    for slow in (name for name in ways if name.startswith("published")):
        for fast in (name for name in ways if name.startswith("fast")):
            figures[f"{fast} over {slow}"] = rounded(ways[slow]["seconds"] / ways[fast]["seconds"], 3)
    reference = losses.get("published-32")
    if reference is not None:
        for name, terms in losses.items():
            apart = max((abs(terms[term] - value) for term, value in reference.items()), default=float("nan"))
            figures[f"largest loss difference, {name}"] = rounded(apart, 6)
    return figures


def main() -> None:
    """Measure, print."""
    started = time.perf_counter()
    parser = gpu_arguments(__doc__)
    parser.add_argument("--size", nargs="+", choices=ENCODERS, default=["base"])
    parser.add_argument("--pixels", type=int, default=448, help="side of a view; a multiple of 16 and of 7")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--ways", nargs="+", default=list(WAYS))
    parser.add_argument("--steps", type=int, default=3, help="of each way at least, after some to warm up")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no further way is begun after so many")
    parser.set_defaults(precision="32", compile=False, checkpoint=False)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.size, arguments.pixels, arguments.batch, arguments.steps = ["tiny"], 112, 2, 1
    arguments.deadline = started + arguments.seconds
    device = torch.device(arguments.device)
    record = Record(arguments.json)
    record.add(machine=machine(device), pixels=arguments.pixels, batch=arguments.batch)
    for size in arguments.size:
        one_size(size, arguments, device, record)
    record.close()


if __name__ == "__main__":
    main()
