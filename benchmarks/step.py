"""One training step, part by part, against the step as published (``tests/reference/published_step.py``), in one run.

    python benchmarks/step.py                                   DeiT-Ti, 224 px, batch 4
    python benchmarks/step.py --size base --pixels 448 --batch 8 --precision bf16 --compile     on a GPU
    python benchmarks/step.py --table                           several sizes
    python benchmarks/step.py --run 300 --size base --pixels 448 --batch 8 --precision bf16

Photos and tags are those of ``../shared/data/voc20mix``, or noise if they are absent (the time is the same). ``--run``
does a number of steps of the fast form alone, with the loader running. A late step is measured: all losses on, masks by
the CAM. The three forms take turns, step by step, on a CPU each in a process of its own; a ratio is the median of the
turns' ratios. Ends with one line of JSON; ``--quick`` takes under a minute on 2 cores.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from shared import arguments_of, machine, print_json
from step_measure import Parts, peak_rate, products, synchronise
from step_turns import Measured, measure
from step_ways import ENCODERS, PRECISIONS, STEPS, Way, batches, configuration, make_way, to_device
from tagseg.config import Config
from tagseg.data.batch import Batch

CPU_TABLE = [("tiny", 224, 1), ("tiny", 224, 4), ("tiny", 448, 1), ("small", 224, 2), ("base", 224, 1)]
GPU_TABLE = [("tiny", 224, 32), ("small", 448, 8), ("base", 448, 1), ("base", 448, 8), ("base", 448, 32)]


def largest_difference(
    config: Config, arguments: argparse.Namespace, device: torch.device, some: list[Batch]
) -> tuple[float, float]:
    """Largest difference of a loss, and of a gradient relative to the largest norm, of the fast to the published form.

    Both have the same weights: those at the start and, for each further batch, those after an optimiser step of the
    fast form.
    """
    if not {"fast", "published"} <= set(arguments.ways):
        return float("nan"), float("nan")
    fast, slow = chosen = [make_way(name, config, arguments, device) for name in ("fast", "published")]
    terms_apart, gradients_apart = 0.0, 0.0
    for index, batch in enumerate(some):
        if index:
            fast.step(some[index - 1], Parts(torch.device("cpu")))
            slow.fsr.load_state_dict(fast.fsr.state_dict())
        (ours, our_gradients), (theirs, their_gradients) = (losses_and_gradients(way, batch) for way in chosen)
        terms_apart = max(terms_apart, *(abs(ours[name] - theirs[name]) for name in theirs))
        largest = max(float(gradient.norm()) for gradient in their_gradients.values())
        # Relative to the largest norm, as the gradient of a key's bias is rounding alone.
        apart = (float((our_gradients[name] - their_gradients[name]).norm()) for name in their_gradients)
        gradients_apart = max(gradients_apart, max(apart) / largest)
    return terms_apart, gradients_apart


def losses_and_gradients(way: Way, batch: Batch) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Losses and gradients of the student; centres and gradients of the form are restored."""
    centres = copy.deepcopy(way.fsr.centres.state_dict())
    losses = way.forward(batch, Parts(torch.device("cpu")))
    with products(way.precision):
        losses.total.backward()
    gradients = {name: p.grad.clone() for name, p in way.fsr.student.named_parameters() if p.grad is not None}
    way.fsr.centres.load_state_dict(centres)
    way.optimiser.zero_grad()
    return {name: float(value.detach()) for name, value in losses.terms.items()}, gradients


def report(measured: dict[str, Measured], arguments: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Print the tables; return the figures of the JSON line."""
    rate, origin = (1.0, "") if arguments.quick else peak_rate(device, arguments.precision)
    figures: dict[str, Any] = {}
    print(f"\n{'':28}" + "".join(f"{name:>14}" for name in measured))
    names = list(dict.fromkeys(name for m in measured.values() for name in m.parts))
    for name in names:
        cells = (f"{1e3 * m.parts[name]:11.1f} ms" if name in m.parts else "-" for m in measured.values())
        print(f"{name:28}" + "".join(f"{cell:>14}" for cell in cells))
    rows: list[tuple[str, Callable[[Measured], str]]] = [
        ("one step, median", lambda m: f"{1e3 * statistics.median(m.seconds):.0f} ms"),
        ("arithmetic, TFLOP", lambda m: f"{m.flops / 1e12:.3f}"),
        (f"share of {rate / 1e12:.2f} TFLOP/s", lambda m: f"{m.flops / statistics.median(m.seconds) / rate:.0%}"),
        ("peak memory of a step, MB", lambda m: f"{m.memory / 1e6:.0f}"),
    ]
    for title, cell in rows[: 1 if arguments.quick else None]:
        print(f"{title:28}" + "".join(f"{cell(m):>14}" for m in measured.values()))
    if not arguments.quick:
        print(f"(rate of products: {origin}, {arguments.precision})")
    fast = measured.get("fast")
    for name, other in measured.items():
        figures[f"seconds_{name}"] = round(statistics.median(other.seconds), 4)
        if not arguments.quick:
            figures[f"tflop_{name}"] = round(other.flops / 1e12, 4)
            figures[f"memory_mb_{name}"] = round(other.memory / 1e6)
            figures[f"share_of_peak_{name}"] = round(other.flops / statistics.median(other.seconds) / rate, 3)
    if fast:
        keys = {"published": "speedup", "plain": "speedup_over_plain", "published-tf32": "speedup_over_tf32"}
        for name, key in keys.items():
            if name in measured:
                ratios = [b / a for a, b in zip(fast.seconds, measured[name].seconds, strict=True)]
                figures[key] = round(statistics.median(ratios), 2)
                spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
                print(f"steps a second, fast over {name}: {figures[key]:.2f} (median of {len(ratios)}; {spread})")
    return figures


def one(size: str, pixels: int, batch: int, arguments: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Measure and print one size."""
    config = configuration(size, pixels, batch, workers=0)
    stream = batches(config)
    next(stream)  # the first also opens the data
    begin = time.perf_counter()
    some = [to_device(next(stream), device) for _ in range(min(4, arguments.steps))]
    data = (time.perf_counter() - begin) / len(some)
    print(f"\n{ENCODERS[size]}, {pixels} px, batch {batch}, {arguments.precision}, {machine(device)}")
    losses, gradients = largest_difference(config, arguments, device, some[:2])
    print(f"largest difference of a loss {losses:.1e}, of a gradient {gradients:.1e} of the largest one's norm")
    figures = report(measure(config, arguments, device), arguments, device)
    seconds = figures.get("seconds_fast", float("nan"))
    print(f"data, in the training's own process: {1e3 * data:.0f} ms a batch, {data / seconds:.1%} of a fast step")
    return {
        "encoder": ENCODERS[size], "pixels": pixels, "batch": batch, "precision": arguments.precision,
        "max_loss_difference": losses, "max_gradient_difference": gradients, **figures,
        "data_share": round(data / seconds, 4),
    }  # fmt: skip


def long_run(arguments: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """The fast form alone with the loader running, and the time of the whole schedule computed from it."""
    config = configuration(arguments.size, arguments.pixels, arguments.batch, arguments.workers)
    way = make_way("fast", config, arguments, device)
    stream = batches(config)
    parts = Parts(torch.device("cpu"))
    waited, begin = 0.0, time.perf_counter()
    warm = min(20, arguments.run // 4)
    for index in range(arguments.run + warm):
        if index == warm:
            synchronise(device)
            waited, begin = 0.0, time.perf_counter()
        before = time.perf_counter()
        batch = to_device(next(stream), device)
        waited += time.perf_counter() - before
        way.step(batch, parts)
    synchronise(device)
    step = (time.perf_counter() - begin) / arguments.run
    hours, share = step * STEPS / 3600, waited / arguments.run / step
    print(f"{ENCODERS[arguments.size]}, {arguments.pixels} px, batch {arguments.batch}, {arguments.precision}")
    print(f"{machine(device)}: {step * 1e3:.1f} ms a step over {arguments.run} steps")
    print(f"{share:.1%} of it waiting for the loader ({arguments.workers} workers)")
    print(f"{STEPS:,} such steps: {hours:.2f} hours")
    return {"seconds_a_step": round(step, 4), "waiting": round(share, 4), "hours": round(hours, 3)}


def main() -> None:
    """Measure, print."""
    parser = arguments_of(__doc__, "fast and published form, three steps, no parts")
    parser.add_argument("--size", choices=ENCODERS, default="tiny")
    parser.add_argument("--pixels", type=int, default=224, help="side of a view; a multiple of 16 and of 7")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--precision", choices=PRECISIONS, default="32", help="of the fast form")
    parser.add_argument("--compile", action="store_true", help="compile the blocks of the fast form")
    parser.add_argument("--checkpoint", action="store_true", help="recompute the blocks of the fast form")
    parser.add_argument(
        "--ways", nargs="+", default=["fast", "plain", "published"],
        help="fast, plain, published; one with a precision of its own: published-tf32 (default of those two: 32)",
    )  # fmt: skip
    parser.add_argument("--steps", type=int, default=7, help="of each form")
    parser.add_argument("--table", action="store_true", help="several sizes and batches")
    parser.add_argument("--run", type=int, default=0, help="number of steps of the fast form with the loader running")
    parser.add_argument("--workers", type=int, default=8, help="worker processes of --run")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if arguments.quick:
        arguments.steps, arguments.ways = 3, ["fast", "published"]
    figures: dict[str, Any] = {"machine": machine(device)}
    if arguments.run:
        figures |= long_run(arguments, device)
    elif arguments.table:
        sizes = GPU_TABLE if device.type == "cuda" else CPU_TABLE
        figures["sizes"] = [one(*size, arguments, device) for size in sizes]
    else:
        figures |= one(arguments.size, arguments.pixels, arguments.batch, arguments, device)
    if device.type != "cuda":
        print("not measured on a GPU")
    print_json(figures)


if __name__ == "__main__":
    main()
