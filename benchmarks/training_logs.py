"""Measure what progress lines, curves and pictures cost a training: shares of its processor time.

    python benchmarks/training_logs.py [--quick]

Trains a DeiT-Ti with random weights on drawn scenes: by steps (``--preset paper``, 224 px, batches of 4, every loss on
from the first step) and in the frozen mode (320 px). What each callback takes is measured inside these trainings in
processor time, which other work on the machine does not change, and set against the steps without it. Use
``OMP_NUM_THREADS=1``. No data needed. Prints a table and, last, one line of JSON.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from shared import arguments_of, machine, print_json, table
from tagseg import presets
from tagseg.config import replace
from tagseg.training import frozen as frozen_file
from tagseg.training.callbacks import Progress
from tagseg.training.frozen_log import FrozenLog
from tagseg.training.frozen_pictures import FrozenPictures
from tagseg.training.pace import Pace
from tagseg.training.pictures import Pictures
from tagseg.training.progress_lines import ProgressLines
from tagseg.training.scalars import Scalars
from tagseg.training.train import train

HOOKS = ("on_before_optimizer_step", "on_train_batch_end", "on_train_start")
CALLBACKS = (Pace, Progress, ProgressLines, Scalars, Pictures)
LENGTHS = (300, 800, 20_000)
"""Steps of trainings whose share of pictures is computed."""
DRAWN = 13
"""Pictures at most by default: 10 scorings, before the first step, after a third and two thirds."""


@contextmanager
def timed(owner: Any, name: str, spent: dict[str, float], calls: dict[str, float], key: str) -> Iterator[None]:
    """Add the processor seconds of a function, and its calls, to counters."""
    real: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(real)
    def measured(*arguments: Any, **options: Any) -> Any:
        began = time.process_time()
        try:
            return real(*arguments, **options)
        finally:
            spent[key] += time.process_time() - began
            calls[key] += 1

    setattr(owner, name, measured)
    try:
        yield
    finally:
        setattr(owner, name, real)


def by_steps(folder: Path, steps: int) -> dict[str, float]:
    """Processor seconds of a step without the callbacks, of each callback a step, and of a picture."""
    config = replace(
        presets.paper(),
        data={"source": "scenes", "root": str(folder), "scenes": 24, "val_split": ""},
        network={"encoder": "deit_tiny_patch16_224", "weights": "none"},
        views={"size": 224},
        mask={"block": 32, "random_until": 0},
        losses={"segmentation_from": 0},
        run=_run(folder / "steps", steps) | {"batch": 4, "pictures": 2},
    )
    spent, calls = defaultdict[str, float](float), defaultdict[str, float](float)
    with ExitStack() as stack:
        for callback in CALLBACKS:
            for hook in HOOKS:
                if hook in vars(callback):
                    stack.enter_context(timed(callback, hook, spent, calls, callback.__name__))
        for name in ("_draw", "_choose"):
            stack.enter_context(timed(Pictures, name, spent, calls, name))
        began: list[float] = []
        stack.enter_context(_noting(Pace, "on_train_batch_end", began))
        train(config)
    others = {name: spent[name] / steps for name in ("Pace", "Progress", "ProgressLines", "Scalars")}
    # From the end of the first step to that of the last: the pictures are before and after.
    step = (began[-1] - began[0]) / (steps - 1) - sum(others.values())
    return {"step": step, **others, "choosing": spent["_choose"], "picture": spent["_draw"] / calls["_draw"]}


def frozen(folder: Path, steps: int) -> dict[str, float]:
    """Processor seconds of a decoder's step without logs, of the logs a step, and of a picture."""
    config = replace(
        presets.frozen(),
        data={"source": "scenes", "root": str(folder), "scenes": 24, "val_split": ""},
        network={"encoder": "deit_tiny_patch16_224", "weights": "none"},
        run=_run(folder / "frozen", steps) | {"pictures": 4},
    )
    spent, calls = defaultdict[str, float](float), defaultdict[str, float](float)
    with ExitStack() as stack:
        stack.enter_context(timed(frozen_file, "train_decoder", spent, calls, "decoder"))
        stack.enter_context(timed(FrozenLog, "decoder_step", spent, calls, "logs"))
        stack.enter_context(timed(FrozenPictures, "rows", spent, calls, "rows"))
        stack.enter_context(timed(FrozenPictures, "__call__", spent, calls, "pictures"))
        stack.enter_context(timed(FrozenPictures, "__init__", spent, calls, "choosing"))
        train(config)
    return {
        "step": (spent["decoder"] - spent["logs"]) / steps,
        "logs": (spent["logs"] - spent["pictures"]) / steps,
        "choosing": spent["choosing"],
        "picture": spent["pictures"] / calls["rows"],
    }


def _run(output: Path, steps: int) -> dict[str, Any]:
    return {"output": str(output), "steps": steps, "accelerator": "cpu", "devices": 1, "workers": 0}


@contextmanager
def _noting(owner: Any, name: str, times: list[float]) -> Iterator[None]:
    """Note the processor time at each call."""
    real = getattr(owner, name)

    def noted(*arguments: Any) -> Any:
        times.append(time.process_time())
        return real(*arguments)

    setattr(owner, name, noted)
    try:
        yield
    finally:
        setattr(owner, name, real)


def main() -> None:
    """Measure, print, and give the shares as JSON."""
    arguments = arguments_of(__doc__, "few steps").parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        steps = by_steps(Path(scratch), 10 if arguments.quick else 40)
        decoder = frozen(Path(scratch), 100 if arguments.quick else 400)
    lines = {name: steps[name] for name in ("Pace", "Progress", "ProgressLines", "Scalars")}
    rows = [(name, f"{1e3 * value:.2f} ms", f"{value / steps['step']:.2%}") for name, value in lines.items()]
    rows += [("a picture", f"{steps['picture']:.2f} s", f"{steps['picture'] / steps['step']:.2f} steps")]
    shares = {}
    for length in LENGTHS:
        pictures = (DRAWN * steps["picture"] + steps["choosing"]) / (length * steps["step"])
        shares[str(length)] = (sum(lines.values()) / steps["step"]) + pictures
        rows.append((f"all, {length} steps with a picture at each scoring", "", f"{shares[str(length)]:.2%}"))
    rows += [
        ("frozen: progress and curves", f"{1e3 * decoder['logs']:.2f} ms", f"{decoder['logs'] / decoder['step']:.2%}"),
        ("frozen: a picture", f"{decoder['picture']:.2f} s", f"{decoder['picture'] / decoder['step']:.2f} steps"),
    ]
    title = f"a step {steps['step']:.2f} s, one of the decoder {decoder['step']:.3f} s of processor time; {machine()}"
    table(title, ("what", "processor time a step", "share of a step"), rows)
    print_json({"by_steps": steps, "shares": shares, "frozen": decoder})


if __name__ == "__main__":
    main()
