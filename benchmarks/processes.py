"""Measure what two processes that share a batch exchange, what it costs, and whether they train as one does.

    python benchmarks/processes.py [--quick]

Trains DeiT-Ti at 224 px on photos of voc20mix with every loss on (development data needed), three times: one process on
the whole batch; two that share it; and two independent ones at the same time, each on half a batch, which is the shared
step without communication. Each process has one thread, so two of them are fair on two cores. ``--quick`` trains the
demo's encoder on drawn scenes and needs no data. Over gloo on the CPU and, with two GPUs, over NCCL.

Prints a table and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch import Callback, Trainer
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel

from shared import PHOTOS, WEIGHTS, arguments_of, machine, print_json, require, table, voc20mix
from tagseg import presets
from tagseg.config import Config, replace
from tagseg.config_file import read_config, save_config
from tagseg.reporting.logs import read_logs
from tagseg.training.train import train

UNTIMED = 2
"""First steps that are not timed: memory is allocated, files are read for the first time."""


class Exchange(Callback):
    """Counts what this process sums over all processes in each step, and takes the time of steps.

    The sums of gradients of DDP are made by ``torch.distributed.all_reduce`` (PyTorch's default hook), where all sums
    are counted. DDP's list of used parameters is added by its size.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds: list[float] = []
        self.steps: list[dict[str, int]] = []
        self.last = 0.0

    def on_train_start(self, trainer: Trainer, *_: Any) -> None:
        """Start counting."""
        ddp = trainer.strategy.model
        if isinstance(ddp, DistributedDataParallel):
            ddp.register_comm_hook(None, allreduce_hook)
            self.used = sum(p.requires_grad for p in ddp.parameters()) if ddp.find_unused_parameters else 0
            self.all_reduce, dist.all_reduce = dist.all_reduce, self.counted

    def on_train_batch_start(self, *_: Any) -> None:
        """A new step."""
        self.steps.append({"gradient_sums": 0, "gradient_bytes": 0, "other_sums": 0, "other_bytes": 0})

    def counted(self, tensor: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        """``all_reduce``; only sums of gradients are asynchronous."""
        kind = "gradient" if options.get("async_op") else "other"
        self.steps[-1][f"{kind}_sums"] += 1
        self.steps[-1][f"{kind}_bytes"] += tensor.numel() * tensor.element_size()
        return self.all_reduce(tensor, *arguments, **options)

    def on_train_batch_end(self, *_: Any) -> None:
        """Take the time from the end of the step before."""
        now = time.perf_counter()
        if len(self.steps) > UNTIMED:
            self.seconds.append(now - self.last)
        self.last = now

    def on_train_end(self, trainer: Trainer, *_: Any) -> None:
        """Save the counts of the median step, in the first process."""
        figures: dict[str, Any] = {
            name: statistics.median_low([step[name] for step in self.steps]) for name in self.steps[0]
        }
        if isinstance(trainer.strategy.model, DistributedDataParallel):
            dist.all_reduce = self.all_reduce
            figures["other_sums"] += bool(self.used)
            figures["other_bytes"] += 4 * self.used  # int32
            figures["seconds_sum"] = seconds_of_sum(figures["gradient_bytes"], trainer.strategy.root_device)
        if trainer.is_global_zero:
            figures |= {"seconds": statistics.median(self.seconds), "fastest": min(self.seconds)}
            (self.folder / "figures.json").write_text(json.dumps(figures))


def seconds_of_sum(size: int, device: torch.device) -> float:
    """Median time to sum this many bytes over all processes while nothing else is computed."""
    values, seconds = torch.ones(size // 4, device=device), []
    for _ in range(9):
        dist.barrier()
        started = time.perf_counter()
        dist.all_reduce(values)
        values[0].item()  # waits for a GPU
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def configuration(quick: bool, folder: Path, accelerator: str) -> Config:
    """Every loss on from the first step, masks by the CAM."""
    config = replace(presets.demo(), data={"root": str(folder), "scenes": 8}) if quick else voc20mix()
    if quick:
        config = replace(
            config, beyond={"labels": "cam", "fit_classifiers": False}, losses={"affinity": 0.2, "energy": 0.05}
        )
    return replace(
        config,
        data={"val_split": ""},
        mask={"random_until": 0},
        losses={"segmentation_from": 0},
        optimiser={"rate": 1e-4, "warmup": 0},
        run={"steps": 8, "workers": 0, "log_every": 1, "validate_every": 0, "accelerator": accelerator, "devices": 1},
    )


def start(config: Config, output: Path, **run: Any) -> subprocess.Popen[bytes]:
    """Start a training in a process of its own with one thread; its errors go to ``error.txt``."""
    settings = output.parent / f"{output.name}_settings"
    save_config(replace(config, run={"output": str(output), **run}), settings)
    command = [sys.executable, __file__, "--worker", str(settings / "config.yaml")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stderr=(settings / "error.txt").open("wb"))


def finish(*processes: subprocess.Popen[bytes]) -> None:
    """Wait for trainings; leave with the last error of one that failed."""
    for process in processes:
        if process.wait():
            settings = Path(process.args[-1]).parent  # type: ignore[index,arg-type]
            raise SystemExit((settings / "error.txt").read_text()[-1000:])


def figures_of(output: Path) -> dict[str, Any]:
    """The counts of a training's first process, and its losses by step."""
    losses = [{name: record[name] for name in record if name.startswith("train/")} for record in read_logs(output)]
    return json.loads((output / "figures.json").read_text()) | {"losses": losses}


def measure(config: Config, folder: Path) -> dict[str, Any]:
    """Train in the three ways; the figures of the JSON line."""
    half = config.run.batch // 2
    finish(start(config, folder / "one"))
    finish(start(config, folder / "two", devices=2))
    finish(*(start(config, folder / name, batch=half, seed=seed) for seed, name in enumerate(("left", "right"))))
    one, two, left = (figures_of(folder / name) for name in ("one", "two", "left"))
    pairs = [(ours[k], alone[k]) for ours, alone in zip(two["losses"], one["losses"], strict=True) for k in alone]
    figures = {name: value for name, value in two.items() if name.endswith(("_sums", "_bytes"))}
    for name, run in (("one", one), ("two", two), ("two_apart", left)):
        figures |= {f"{kind}_{name}": round(run[kind], 4) for kind in ("seconds", "fastest")}
    figures["seconds_sum"] = round(two["seconds_sum"], 5)
    return figures | {"largest_relative_loss_difference": max(abs(a - b) / abs(b) for a, b in pairs)}


def show(backend: str, figures: dict[str, Any]) -> None:
    """Print the measurements of one backend."""
    rows: list[tuple[str, str]] = [
        ("sums of gradients a step", f"{figures['gradient_sums']}, {figures['gradient_bytes'] / 1e6:.3f} MB"),
        ("sum of as many bytes alone, ms", f"{1000 * figures['seconds_sum']:.1f}"),
        ("other sums a step", f"{figures['other_sums']}, {figures['other_bytes'] / 1e3:.1f} kB"),
    ]
    names = {"one": "one process, whole batch", "two": "two processes, half each", "two_apart": "two independent ones"}
    for name, what in names.items():
        median, fastest = (1000 * figures[f"{kind}_{name}"] for kind in ("seconds", "fastest"))
        rows.append((f"step of {what}, ms", f"{median:.0f} (fastest {fastest:.0f})"))
    difference = figures["largest_relative_loss_difference"]
    rows.append(("largest relative difference of a loss from one process", f"{difference:.1e}"))
    table(f"Two processes over {backend}", ("", backend), rows)


def main() -> None:
    """Measure and print."""
    parser = arguments_of(__doc__, "a small network on drawn scenes, in under a minute")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        config = read_config(Path(arguments.worker))
        train(config, callbacks=[Exchange(Path(config.run.output))])
        return
    if not arguments.quick:
        require(PHOTOS, WEIGHTS)
    figures: dict[str, Any] = {"machine": machine(), "cores": os.cpu_count(), "torch": torch.__version__}
    with tempfile.TemporaryDirectory() as scratch:
        for backend, accelerator in (("gloo", "cpu"), ("NCCL", "gpu")):
            if accelerator == "gpu" and torch.cuda.device_count() < 2:
                print("\nNCCL: not measured, needs two GPUs")
                continue
            config = configuration(arguments.quick, Path(scratch), accelerator)
            figures[backend] = measure(config, Path(scratch) / backend)
            show(backend, figures[backend])
    print_json(figures)


if __name__ == "__main__":
    main()
