"""Train and score the variants of an experiment (``definitions.py``), with one JSON line for each run.

    python benchmarks/experiments/run.py measure_small
    python benchmarks/experiments/run.py masks --seeds 0 1 2 --jobs 4         on one GPU, four runs at a time
    python benchmarks/experiments/run.py voc2012 --root VOCdevkit/VOC2012     the paper's table
    python benchmarks/experiments/tables.py                                   tables and plots of all results
    python benchmarks/experiments/run.py --quick                              a few steps of each kind of training

An interrupted run is resumed from its last checkpoint; one with a line in ``results/NAME.jsonl`` is not repeated. Ends
with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from definitions import EXPERIMENTS, NO_FSR, RENAMED, SUPERVISED, Experiment, Variant, voc20mix
from scores import score
from splits import with_dev_split

from shared import arguments_of, print_json
from tagseg.config import Config, replace
from tagseg.errors import TagsegError
from tagseg.model.checkpoint import load_network
from tagseg.reporting.logs import read_logs
from tagseg.training.train import train

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        experiment: name of the experiment.
        variant: name of the variant.
        seed: of all random draws.
        config: the resolved settings.
        scored_on: the splits whose masks score it.
    """

    experiment: str
    variant: str
    seed: int
    config: Config
    scored_on: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str, int]:
        """Identifies the run."""
        return self.experiment, self.variant, self.seed


def runs_of(name: str, experiment: Experiment, arguments: argparse.Namespace, output: Path) -> list[Run]:
    """All variants with all seeds, seed by seed, so that the table of one seed is complete first."""
    base = experiment.base()
    if arguments.root:
        base = replace(base, data={"root": arguments.root})
    splits: tuple[str, ...] = (base.data.val_split,)
    if experiment.chosen_on == "dev":
        base, splits = with_dev_split(base, output), ("dev", base.data.val_split)
    if arguments.quick:
        base = replace(
            base, views={"size": 64}, run={"steps": 3, "batch": 2, "workers": 0, "val_limit": 6, "log_every": 1}
        )
    runs = []
    for seed in arguments.seeds:
        for variant, settings in experiment.variants.items():
            if settings.retired or (arguments.variants and variant not in arguments.variants):
                continue
            folder = output / name / _as_file_name(variant) / str(seed)
            config = replace(replace(base, **settings.changes), run={"seed": seed, "output": str(folder)})
            runs.append(Run(name, variant, seed, config, splits))
    return runs


def do(run: Run) -> dict[str, Any]:
    """Train or resume, score, and return the JSON line of the run."""
    folder = Path(run.config.run.output)
    begin = time.perf_counter()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = run.config
    done = train(config, folder if (folder / "last.ckpt").is_file() else None)
    student, teacher = (
        load_network(folder / f"{name}.safetensors", device).eval() for name in ("last", "last_teacher")
    )
    scores = {split: score(student, teacher, replace(config, data={"val_split": split})) for split in run.scored_on}
    return {
        "experiment": run.experiment,
        "variant": run.variant,
        "seed": run.seed,
        "steps": done.steps,
        "seconds": round(time.perf_counter() - begin, 1),
        "machine": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine(),
        "torch": torch.__version__,
        "scores": {
            split: {name: round(100 * value, 2) for name, value in own.items()} for split, own in scores.items()
        },
        "distillation": health_of(folder),
    }


def health_of(folder: Path, most: int = 10) -> dict[str, dict[str, float]]:
    """Teacher entropy and KL of both distillation losses at some logged steps, denser at first; may be empty."""
    if not list(folder.glob("logs/part_*/metrics.csv")):  # shorter than the distance of two records
        return {}
    every = [(int(record["step"]) + 1, distillation_of(record)) for record in read_logs(folder)]
    logged = [(step, values) for step, values in every if values]
    places = sorted({round(len(logged) ** (part / (most - 1))) - 1 for part in range(most)}) if logged else []
    return {str(logged[place][0]): logged[place][1] for place in places}


def distillation_of(record: dict[str, float]) -> dict[str, float]:
    """Teacher entropy and KL of a record of the log."""
    return {
        name.removeprefix("distillation/"): round(value, 4)
        for name, value in record.items()
        if name.startswith("distillation/") and name.endswith(("_kl", "_teacher_entropy"))
    }


def shown(line: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The two main scores of each split."""
    main_scores = ("segmentation", "cam")
    return {split: {name: own[f"student/{name}"] for name in main_scores} for split, own in line["scores"].items()}


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The results in a file, with present names of variants and scores; none without the file."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    for former, present in RENAMED.items():
        text = text.replace(former, present)
    return [json.loads(line) for line in text.splitlines() if line]


def do_missing(runs: Sequence[Run], results: Path) -> list[dict[str, Any]]:
    """Do the runs that have no line yet, one after the other, and append the line of each."""
    lines = []
    for run in runs:
        path = results / f"{run.experiment}.jsonl"
        if run.key in {(line["experiment"], line["variant"], line["seed"]) for line in read_lines(path)}:
            continue
        print(f"\n{run.experiment}: {run.variant}, seed {run.seed}", flush=True)
        lines.append(do(run))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(lines[-1]) + "\n")
        print(json.dumps(shown(lines[-1])), flush=True)
    return lines


def side_by_side(arguments: argparse.Namespace, runs: Sequence[Run]) -> None:
    """``--jobs`` processes, each with its share of the runs; for a GPU that one run does not fill."""
    threads = str(max(1, (os.cpu_count() or 1) // arguments.jobs))
    processes = []
    for share in filter(None, (runs[first :: arguments.jobs] for first in range(arguments.jobs))):
        only = [word for run in share for word in ("--only", json.dumps(run.key))]
        command = [sys.executable, __file__, *sys.argv[1:], "--jobs", "1", *only]
        processes.append(subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": threads}))
    failed = [process.args for process in processes if process.wait()]
    if failed:
        raise SystemExit(f"{len(failed)} of {len(processes)} processes failed, their errors are above: run it again")


QUICK = {"baseline": Variant(NO_FSR), "FSR": Variant(), "ground truth": Variant(SUPERVISED)}


def main() -> None:
    """Choose, train, score, write."""
    parser = arguments_of(__doc__, "three small trainings of three steps")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"experiments: {', '.join(EXPERIMENTS)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", help="only these")
    parser.add_argument("--root", help="another data folder, e.g. that of VOC 2012")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--output", default="runs/experiments", help="folder of the trainings")
    parser.add_argument("--only", action="append", default=[], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if unknown := set(arguments.names) - set(EXPERIMENTS):
        raise SystemExit(f"no experiment {', '.join(sorted(unknown))}, expected some of: {', '.join(EXPERIMENTS)}")
    chosen = {name: EXPERIMENTS[name] for name in arguments.names}
    with tempfile.TemporaryDirectory() as scratch:
        results, output = RESULTS, Path(arguments.output)
        if arguments.quick:
            results = output = Path(scratch)
            chosen, arguments.seeds = {"quick": Experiment("Does it run?", voc20mix, QUICK)}, [0]
        if not chosen:
            raise SystemExit(f"which experiment? Some of: {', '.join(EXPERIMENTS)}, or --quick")
        runs = [run for name, one in chosen.items() for run in runs_of(name, one, arguments, output)]
        if arguments.only:
            keys = {tuple(json.loads(key)) for key in arguments.only}
            runs = [run for run in runs if run.key in keys]
        try:
            if arguments.jobs > 1:
                side_by_side(arguments, runs)
                lines = []
            else:
                lines = do_missing(runs, results)
        except TagsegError as error:
            raise SystemExit(f"{error}") from None
    scores = {line["variant"]: shown(line) for line in lines}
    print_json({"runs": len(runs), "done_now": len(lines), "scores": scores})


def _as_file_name(variant: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in variant)


if __name__ == "__main__":
    main()
