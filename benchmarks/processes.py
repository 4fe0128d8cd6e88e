"""Measure what two processes that share a batch exchange, what it costs, and whether they train as one does.

    python benchmarks/processes.py [--quick]

Trains DeiT-Ti at 224 px on photos of voc20mix with every loss on (development data needed: ``../shared``), three times:
one process on the whole batch; two that share it; and two, each alone, on half a batch at the same time, which is the
shared step without communication. Each has one thread, so that two on two cores are fair. ``--quick`` trains a tiny
network on drawn squares and needs no data. Over gloo on the CPU and, where there are two GPUs, over NCCL.

Prints a table and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from lightning.pytorch import Callback, Trainer
from PIL import Image
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel

from tagseg import presets
from tagseg.config import Config, replace
from tagseg.config_file import read_config, save_config
from tagseg.training.train import train

SHARED = Path(__file__).resolve().parents[2] / "shared"
SCRATCH_STEPS = 2
"""First steps that are not timed: memory is taken, files are read."""
TINY: dict[str, Any] = {
    "encoder": "vit_tiny_patch16_224", "weights": "none", "decoder_width": 16, "projector_width": 32,
    "encoder_options": {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 4, "num_heads": 3},
    "projector_bottleneck": 16, "prototypes": 32,
}  # fmt: skip


class Exchange(Callback):
    """Counts what this process hands to sums over all processes in each step, and takes the steps' times.

    DDP's own sums of gradients are asked to go through ``torch.distributed.all_reduce`` (PyTorch's default hook does
    the same sums), where everything is counted; its list of used parameters does not, and is added by its size.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds: list[float] = []
        self.steps: list[dict[str, int]] = []
        self.last = 0.0

    def on_train_start(self, trainer: Trainer, *_: Any) -> None:
        """Begin to count."""
        ddp = trainer.strategy.model
        if isinstance(ddp, DistributedDataParallel):
            ddp.register_comm_hook(None, allreduce_hook)
            self.used = sum(p.requires_grad for p in ddp.parameters()) if ddp.find_unused_parameters else 0
            self.all_reduce, dist.all_reduce = dist.all_reduce, self.counted

    def on_train_batch_start(self, *_: Any) -> None:
        """A new step."""
        self.steps.append({"gradient_sums": 0, "gradient_bytes": 0, "other_sums": 0, "other_bytes": 0})

    def counted(self, tensor: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        """``all_reduce``; only gradients are not waited for."""
        kind = "gradient" if options.get("async_op") else "other"
        self.steps[-1][f"{kind}_sums"] += 1
        self.steps[-1][f"{kind}_bytes"] += tensor.numel() * tensor.element_size()
        return self.all_reduce(tensor, *arguments, **options)

    def on_train_batch_end(self, *_: Any) -> None:
        """Take the time from the end of the step before."""
        now = time.perf_counter()
        if len(self.steps) > SCRATCH_STEPS:
            self.seconds.append(now - self.last)
        self.last = now

    def on_train_end(self, trainer: Trainer, *_: Any) -> None:
        """Write down what the first process counted, of the median step."""
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
    """Median time to sum so many bytes over all processes while nothing else is computed."""
    values, seconds = torch.ones(size // 4, device=device), []
    for _ in range(9):
        dist.barrier()
        started = time.perf_counter()
        dist.all_reduce(values)
        values[0].item()  # a GPU's sum is only ordered by then
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def draw_photos(root: Path, count: int = 8) -> None:
    """Photos of one bright square each on a dim ground, and their tags."""
    rows, rng = [("image", "labels", "split")], np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    for index in range(count):
        image = rng.integers(0, 90, (40, 48, 3), np.uint8)
        image[8:28, 8:28, index % 3] += 150
        Image.fromarray(image).save(root / "images" / f"{index}.jpg")
        rows.append((f"{index}.jpg", ("red", "green", "blue")[index % 3], "train"))
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def configuration(quick: bool, root: Path, accelerator: str) -> Config:
    """Every loss on from the first step, regions masked by the CAM."""
    weights = SHARED / "weights" / "deit_tiny_patch16_224.safetensors"
    return replace(
        presets.paper(),
        data={"source": "folder", "root": str(root), "val_split": ""},
        network=TINY if quick else {"encoder": "deit_tiny_patch16_224", "weights": str(weights)},
        views={"size": 32 if quick else 224},
        cam={"scales": (1.0, 0.5)},
        mask={"choice": "uncertain", "block": 8 if quick else 32, "random_until": 0},
        losses={"segmentation_from": 0},
        optimiser={"rate": 1e-4, "warmup": 0},
        run={
            "steps": 8, "batch": 4, "workers": 0, "logger": "csv", "log_every": 1, "validate_every": 0,
            "accelerator": accelerator, "devices": 1,
        },
    )  # fmt: skip


def start(config: Config, output: Path, **run: Any) -> subprocess.Popen[bytes]:
    """Begin a training in a process of its own with one thread, into a folder of its own; it talks to ``error.txt``."""
    settings = output.parent / f"{output.name}_settings"
    save_config(replace(config, run={"output": str(output), **run}), settings)
    return subprocess.Popen(
        [sys.executable, __file__, "--worker", str(settings / "config.yaml")],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=(settings / "error.txt").open("wb"),
    )  # fmt: skip


def finish(*processes: subprocess.Popen[bytes]) -> None:
    """Wait for trainings; stop where one failed, with what it said last."""
    for process in processes:
        if process.wait():
            settings = Path(process.args[-1]).parent  # type: ignore[index,arg-type]
            raise SystemExit((settings / "error.txt").read_text()[-1000:])


def figures_of(output: Path) -> dict[str, Any]:
    """What a training's first process counted, and its losses by step."""
    with (output / "logs" / "part_0" / "metrics.csv").open() as file:
        rows = [{name: float(row[name]) for name in row if name.startswith("train/")} for row in csv.DictReader(file)]
    return json.loads((output / "figures.json").read_text()) | {"losses": rows}


def measure(config: Config, folder: Path) -> dict[str, Any]:
    """Train in the three ways; the figures of the JSON line."""
    half = config.run.batch // 2
    finish(start(config, folder / "one"))
    finish(start(config, folder / "two", devices=2))
    finish(*(start(config, folder / name, batch=half, seed=seed) for seed, name in enumerate(("left", "right"))))
    one, two, left = (figures_of(folder / name) for name in ("one", "two", "left"))
    pairs = [(ours[k], alone[k]) for ours, alone in zip(two["losses"], one["losses"], strict=True) for k in alone]
    counts = {name: value for name, value in two.items() if name.endswith(("_sums", "_bytes"))}
    seconds = {
        f"{kind}_{what}": round(run[kind], 4)
        for what, run in (("one", one), ("two", two), ("two_apart", left))
        for kind in ("seconds", "fastest")
    }
    seconds["seconds_sum"] = round(two["seconds_sum"], 5)
    return counts | seconds | {"largest_relative_loss_difference": max(abs(a - b) / abs(b) for a, b in pairs)}


def show(backend: str, found: dict[str, Any]) -> None:
    """Print what one backend measured."""
    rows = [
        ("sums of gradients a step", f"{found['gradient_sums']}, {found['gradient_bytes'] / 1e6:.3f} MB"),
        ("sum of as many bytes alone, ms", f"{1000 * found['seconds_sum']:.1f}"),
        ("other sums a step", f"{found['other_sums']}, {found['other_bytes'] / 1e3:.1f} kB"),
    ]
    for what, name in (
        ("one process, whole batch", "one"),
        ("two processes, half each", "two"),
        ("the same without communication", "two_apart"),
    ):
        median, fastest = (1000 * found[f"{kind}_{name}"] for kind in ("seconds", "fastest"))
        rows.append((f"step of {what}, ms", f"{median:.0f} (fastest {fastest:.0f})"))
    rows.append(
        ("largest relative difference of a loss from one process", f"{found['largest_relative_loss_difference']:.1e}")
    )
    print(f"\n| {backend} | |\n| --- | --- |")
    for row in rows:
        print(f"| {row[0]} | {row[1]} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tiny network on drawn squares, in under a minute")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        config = read_config(Path(arguments.worker))
        train(config, callbacks=[Exchange(Path(config.run.output))])
        return
    photos = SHARED / "data" / "voc20mix"
    if not arguments.quick and not photos.exists():
        raise SystemExit(f"{photos} is absent: this benchmark needs the development data; --quick needs none")
    figures: dict[str, Any] = {"machine": platform.machine(), "cores": os.cpu_count(), "torch": torch.__version__}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if arguments.quick:
            photos = folder / "photos"
            draw_photos(photos)
        for backend, accelerator in (("gloo", "cpu"), ("NCCL", "gpu")):
            if accelerator == "gpu" and torch.cuda.device_count() < 2:
                print("\nNCCL: not measured, needs two GPUs")
                continue
            figures[backend] = measure(configuration(arguments.quick, photos, accelerator), folder / backend)
            show(backend, figures[backend])
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
