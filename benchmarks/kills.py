"""Kill trainings at random moments, resume them, and compare them with one that was left alone.

    python benchmarks/kills.py [--quick] [--kills N]

Trains a tiny network on drawn scenes through the command line: by steps (``--preset folder``), with and without workers
and accumulated batches, and in the frozen mode. Each is killed (SIGKILL) in what it is doing, at a random time of it,
and resumed; every third one is killed twice. Afterwards weights, optimiser, teacher, centres, schedules, logged losses,
scores, networks and the best checkpoint have to be those of the uninterrupted training, bit for bit. Then checkpoints
are damaged at random places: each has to be named, and the one before it to be used. Use ``OMP_NUM_THREADS=1``. No data
needed. Prints tables and, last, one line of JSON; exit code 1 unless all is identical.
"""

from __future__ import annotations

import itertools
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import torch

from kills_compare import damage, differences
from kills_runs import IMPORTED_LATER, Kind, Training, checkpoint_step
from shared import arguments_of, machine, print_json, table
from tagseg.data.scenes.source import scenes

PLAIN, WORKERS = Kind("by steps, no workers"), Kind("by steps, 2 workers", workers=2)
PARTS, FROZEN = Kind("by steps, accumulate 2", accumulate=2), Kind("frozen", frozen=True)
FROZEN_WORKERS = Kind("frozen, 2 workers", frozen=True, workers=2)
QUICK = (
    (PLAIN, "while a checkpoint is written"), (WORKERS, "while scoring"), (FROZEN, "while features are written"),
)  # fmt: skip
MOMENTS = (
    (PLAIN, "in a step"), (WORKERS, "while scoring"), (PLAIN, "while a checkpoint is written"),
    (FROZEN, "while features are written"), (PARTS, "in a step"), (WORKERS, "while a checkpoint is written"),
    (PLAIN, "while labels are made"), (FROZEN_WORKERS, "in the decoder's training"),
    (WORKERS, "in the optimiser's step"), (PLAIN, "while a network is written"), (PLAIN, "while scoring"),
    (WORKERS, "in a step"), (FROZEN, "while the network is written"), (PARTS, "while a checkpoint is written"),
)  # fmt: skip
"""What is killed in what it does, over and over."""
SEED = 21
ATTEMPTS = 4
"""Trainings that are begun to kill one in what it is to be killed in; if none was, the last one's kill counts."""


def main() -> int:
    """Kill, compare and print; returns the exit code."""
    parser = arguments_of(__doc__, "three kills, about a minute")
    parser.add_argument("--kills", type=int, default=0, help="how many; 10 by default")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for module in IMPORTED_LATER:
        import_module(module)
    kills = arguments.kills or (3 if arguments.quick else 10)
    rng, began = random.Random(SEED), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for split in ("train", "val"):
            scenes(PLAIN.config(place / "x").data, split, masks=False)
        moments = list(itertools.islice(itertools.cycle(QUICK if arguments.quick else MOMENTS), kills))
        whole = _uninterrupted({kind for kind, _ in moments}, place)
        rows = list(_killed(moments, whole, place, rng))
        damaged = _damaged(next(one for kind, one in whole.items() if not kind.frozen), place, rng, arguments.quick)
    header = ("training", "killed", "goes on from", "identical")
    table(f"{kills} kills, {time.monotonic() - began:.0f} s ({machine()})", header, rows)
    table("Damaged checkpoints", ("last.ckpt", "tried", "named, the one before it used", "both: one line"), damaged)
    identical = sum(row[-1] == "yes" for row in rows)
    noticed = sum(int(row[2]) + int(row[3]) for row in damaged)
    tried = sum(2 * int(row[1]) for row in damaged)
    print_json({"kills": kills, "identical": identical, "damaged": tried, "noticed": noticed})
    return 0 if identical == kills and noticed == tried else 1


def _uninterrupted(kinds: set[Kind], place: Path) -> dict[Kind, Training]:
    """A training of each kind that nobody disturbs."""
    whole = {kind: Training(kind, place / f"whole_{index}") for index, kind in enumerate(sorted(kinds, key=str))}
    for training in whole.values():
        training.folder.mkdir()
        training.finish()
    return whole


def _killed(
    moments: list[tuple[Kind, str]], whole: dict[Kind, Training], place: Path, rng: random.Random
) -> Iterator[tuple[str, str, str, str]]:
    """Kill at each moment and resume; rows of the table."""
    for number, (kind, phase) in enumerate(moments):
        board = whole[kind].board
        for attempt in range(ATTEMPTS):
            training = Training(kind, place / f"killed_{number}_{attempt}")
            training.folder.mkdir()
            times = rng.randint(1, board.count(phase))
            met = training.kill(phase, times, rng.random() * board.seconds(phase))
            if met == phase or (met is not None and attempt == ATTEMPTS - 1):
                break
        else:
            raise RuntimeError(f"no training could be killed {phase}")
        begins = checkpoint_step(training.run)
        if number % 3 == 2 and training.kill(phase, 1, rng.random() * board.seconds(phase)):
            begins += f", then {checkpoint_step(training.run)}"
        training.finish()
        found = differences(training.run, whole[kind].run)
        row = (kind.name, met if met != phase else f"{phase} ({times})", begins, "; ".join(found) or "yes")
        print(f"{number + 1} of {len(moments)}: {', '.join(row)}", file=sys.stderr, flush=True)
        yield row


def _damaged(training: Training, place: Path, rng: random.Random, quick: bool) -> list[tuple[str, int, int, int]]:
    times = 50 if quick else 500
    ways = {"bits of 1 to 8 bytes flipped": "flipped", "cut off": "cut off"}
    return [(name, times, *damage(training.run, place / how, rng, how, times)) for name, how in ways.items()]


if __name__ == "__main__":
    raise SystemExit(main())
