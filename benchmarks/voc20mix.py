"""Train on the tags of voc20mix's ``train`` and score its ``val``: the published recipe on photos at hand.

Needs the development data (``../shared/data/voc20mix`` and ``../shared/weights``). The full run takes about half an
hour on 2 cores:

    python benchmarks/voc20mix.py --output runs/voc20mix
    python benchmarks/voc20mix.py --output runs/voc20mix_plain --without-fsr

Prints a table and, last, one line of JSON. ``--quick`` does a few steps and scores a few photos, in under a minute;
``--time`` does 60 steps with every loss on and scores nothing.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
from typing import Any

from lightning.pytorch import Callback

from shared import PHOTOS, WEIGHTS, arguments_of, machine, print_json, require, voc20mix
from tagseg.config import Config, replace
from tagseg.training.train import TrainResult, train

PUBLISHED: dict[bool, dict[str, tuple[float, float]]] = {
    True: {"student": (15.0, 24.8), "teacher": (11.4, 18.9)},
    False: {"student": (15.2, 27.7)},
}
"""Published implementation, these settings, one seed: (segmentation, CAM) mIoU in %. Student accuracy: 79.3 %."""
PUBLISHED_SECONDS = 4.0
"""Its seconds a step on an otherwise idle machine of two cores."""


class StepTimes(Callback):
    """Seconds between the ends of consecutive steps, without those that are followed by a validation."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.last: float | None = None

    def on_train_batch_end(self, *_: Any) -> None:
        """Take the time."""
        now = time.perf_counter()
        if self.last is not None:
            self.seconds.append(now - self.last)
        self.last = now

    def on_validation_start(self, *_: Any) -> None:
        """Validation is not part of a step."""
        self.last = None


def configuration(arguments: argparse.Namespace) -> Config:
    """The settings of the comparison."""
    steps = 6 if arguments.quick else 60 if arguments.time else 800
    config = voc20mix(
        data={"val_split": "" if arguments.time else "val"},
        mask={"choice": "none" if arguments.without_fsr else "uncertain"},
        speed={"step": "plain" if arguments.plain else "fast"},
        run={
            "output": arguments.output,
            "steps": steps,
            "seed": arguments.seed,
            "validate_every": min(steps, 400),
            "val_limit": 8 if arguments.quick else 0,
        },
    )
    if not (arguments.quick or arguments.time):
        return config
    every_loss = {"mask": {"random_until": 0}, "losses": {"segmentation_from": 0}}
    return replace(config, **every_loss, distillation={"temperature_warmup": 100}, optimiser={"warmup": 60})


def report(result: TrainResult, seconds: list[float], fsr: bool) -> dict[str, Any]:
    """Print the measurements; return the figures of the JSON line."""
    step = statistics.median(seconds)
    figures: dict[str, Any] = {"machine": machine(), "steps": result.steps, "seconds_a_step": round(step, 3)}
    if result.scores:
        figures |= print_scores(result, fsr)
    print(f"seconds a step: {step:.2f} (median of {len(seconds)}), published {PUBLISHED_SECONDS}")
    return figures


def print_scores(result: TrainResult, fsr: bool) -> dict[str, float]:
    """Print the scores beside the published implementation's; return them in percent."""
    score = {name.removeprefix("val/"): 100 * value for name, value in result.scores.items()}
    published = PUBLISHED[fsr]
    print(f"\nvoc20mix val, {result.steps} steps, {'FSR' if fsr else 'no masking, no distillation'}; mIoU in %")
    print(f"{'':10}{'segmentation':>14}{'published':>11}{'CAM':>8}{'published':>11}{'aux CAM':>9}{'accuracy':>10}")
    for who in ("student", "teacher"):
        theirs: tuple[object, object] = published.get(who, ("", ""))
        print(
            f"{who:10}{score[f'{who}/segmentation']:14.1f}{theirs[0]!s:>11}{score[f'{who}/cam']:8.1f}{theirs[1]!s:>11}"
            f"{score[f'{who}/aux_cam']:9.1f}{score[f'{who}/segmentation_accuracy']:10.1f}"
        )
    return {name: round(value, 2) for name, value in score.items()}


def main() -> None:
    """Train, score, print."""
    parser = arguments_of(__doc__, "a few steps, a few photos")
    parser.add_argument("--output", default="runs/voc20mix", help="folder of the run")
    parser.add_argument("--seed", type=int, default=0, help="of all random draws")
    parser.add_argument("--without-fsr", action="store_true", help="no masking and no distillation")
    parser.add_argument("--plain", action="store_true", help="the plain form of the step (speed.step)")
    parser.add_argument("--resume", help="run folder to resume")
    parser.add_argument("--time", action="store_true", help="only time full steps")
    arguments = parser.parse_args()
    require(PHOTOS, WEIGHTS)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    times = StepTimes()
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.quick or arguments.time:
            arguments.output = f"{scratch}/run"
        result = train(configuration(arguments), arguments.resume, callbacks=[times])
    print_json(report(result, times.seconds, fsr=not arguments.without_fsr))


if __name__ == "__main__":
    main()
