"""Whether it can be seen how a batch is shared: by processes, by parts (gradient accumulation), and by both.

    python benchmarks/distribution.py [--quick] [--precision 64-true]

Trains a small network on drawn scenes (no data needed) with every loss on: one process on batches of 8, and the same
batches shared by two and by four processes over gloo, in parts, and both; with the fast operations and, in float64,
with the plain ones. Losses of all steps, centres, weights and scores (of 7 scenes, which do not divide evenly) are
compared with those of one process. In float32 rounding grows from step to step; in float64 only a mistake can be seen.
``--quick`` trains 8 steps instead of 50, and in float64 starts no further processes.

Prints a table for each precision and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from recorded import Apart, Record, apart, configuration
from shared import arguments_of, machine, print_json, table
from tagseg.config import replace
from tagseg.config_file import read_config, save_config
from tagseg.data import sources
from tagseg.training.train import train

LAYOUTS = {
    "2 processes × 4": (2, 1),
    "4 processes × 2": (4, 1),
    "1 process, 2 parts of 4": (1, 2),
    "1 process, 4 parts of 2": (1, 4),
    "2 processes, 2 parts of 2 each": (2, 2),
}
"""Processes, and parts of each share."""
WHOLE = "1 process × 8"
PRECISIONS = {"32": "fast", "64-true": "plain"}
"""Precision and the table of operations that is trained with."""


def trained(folder: Path, steps: int, precision: str, processes: int, parts: int) -> Path:
    """The folder of a training; several processes are started by one of their own. One thread each."""
    output = folder / f"{precision}_{processes}_{parts}"
    run = {"output": str(output), "precision": precision, "devices": processes, "accumulate": parts}
    config = replace(configuration(folder, steps), run=run, speed={"step": PRECISIONS[precision]})
    if processes == 1:
        train(config, callbacks=[Record(output)])
        return output
    save_config(config, folder / "settings" / output.name)
    command = [sys.executable, __file__, "--worker", str(folder / "settings" / output.name / "config.yaml")]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return output


def main() -> None:
    """Train, compare and print."""
    torch.set_num_threads(1)
    parser = arguments_of(__doc__, "8 steps instead of 50, and float64 in one process alone")
    parser.add_argument("--precision", choices=list(PRECISIONS), help="of one precision alone")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        config = read_config(Path(arguments.worker))
        train(config, callbacks=[Record(Path(config.run.output))])
        return
    steps = 8 if arguments.quick else 50
    found: dict[str, dict[str, Apart]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for split in ("train", "val"):
            sources.load(configuration(folder, steps).data, split)  # drawn once, before any process starts
        for precision in [arguments.precision] if arguments.precision else PRECISIONS:
            whole = trained(folder, steps, precision, 1, 1)
            layouts = LAYOUTS
            if arguments.quick and precision != "32":
                layouts = {name: layout for name, layout in LAYOUTS.items() if layout[0] == 1}
            found[precision] = {
                name: apart(trained(folder, steps, precision, *layout), whole) for name, layout in layouts.items()
            }
            show(precision, steps, found[precision])
    everything = [one for by_layout in found.values() for one in by_layout.values()]
    print_json(
        {
            "machine": machine(),
            "steps": steps,
            "layouts": {p: {n: dataclasses.asdict(one) for n, one in each.items()} for p, each in found.items()},
            "largest_difference": max(one.losses for one in everything),
            "largest_difference_by_precision": {p: max(o.losses for o in each.values()) for p, each in found.items()},
        }
    )


def show(precision: str, steps: int, found: dict[str, Apart]) -> None:
    """Print the differences of one precision."""
    header = ("layout", "losses, first step", f"losses, {steps} steps", "centres", "weights", "scores")
    rows = [
        (name, *(f"{value:.1e}" for value in (one.first, one.losses, one.centres, one.weights, one.scores)))
        for name, one in found.items()
    ]
    title = f"Largest differences from {WHOLE}, precision {precision}, {PRECISIONS[precision]} operations"
    table(title, header, rows, "Losses relative, all else absolute; scores are 0 to 1.")


if __name__ == "__main__":
    main()
