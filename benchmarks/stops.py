"""Signals, kills and full disks against the verbs of the command line: exit code, one line, what is left, what resumes.

Each trial is a process with a session of its own, so that everything it starts is counted. A row says how often a fault
was tried and what was found: an exit code other than expected, a traceback, a process or a half-written file left
behind, a training that does not go on. ``--times`` repeats each at other random moments. Needs Linux; full disks are
real ones where this user may mount one, else limits on the size of a file.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

import tagseg.training.trainer  # noqa: F401  (imported once, before the processes are forked)
from shared import arguments_of, machine, print_json, table
from stops_disk import disk_trials
from stops_verb import Verb
from stops_world import World, prints, some_file, stage
from tagseg.training.run_folder import checkpoint_of

NAMES = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C", signal.SIGKILL: "kill -9", signal.SIGHUP: "SIGHUP"}
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -9, signal.SIGHUP: 129}
PROMPT = 20.0
"""Seconds in which anything ends after a signal; many schedulers give no more than 30."""
QUICK = ("in a step, SIGTERM, 2 workers, all", "scoring, SIGTERM, 2 workers", "in a step, kill -9, 2 workers",
         "frozen features, SIGTERM", "predict, SIGTERM", "serve, kill -9")  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """One fault.

    Attributes:
        name: for the table.
        run: tries it once; returns what was wrong, one line each.
    """

    name: str
    run: Callable[[World], list[str]]


def main() -> None:
    """Run all trials."""
    parser = arguments_of(__doc__, "the most important ones, once each")
    parser.add_argument("--times", type=int, default=5, help="how often each is tried")
    parser.add_argument("--only", default="", help="trials whose names have this in them")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--keep", default="", help="an empty folder that keeps what the trials printed and wrote")
    values = parser.parse_args()
    random.seed(values.seed)
    torch.set_num_threads(1)
    trials = [*signal_trials(), *(Trial(*one) for one in disk_trials())]
    if values.quick:
        trials = [one for one in trials if one.name in QUICK or "quick" in one.name]
    trials = [one for one in trials if values.only in one.name]
    times = 1 if values.quick else values.times
    rows, stops, failures = [], 0, 0
    with tempfile.TemporaryDirectory(prefix="tagseg-stops-") as folder:
        world = World(Path(values.keep or folder))
        finish(Verb(["--version"], world.folder / "made.txt", before=world.make_network))
        for trial in trials:
            started, found = time.monotonic(), [wrong for _ in range(times) for wrong in trial.run(world)]
            stops, failures = stops + times, failures + len(found)
            rows.append((trial.name, times, "; ".join(found) or "nothing", f"{time.monotonic() - started:.0f}"))
            print(f"{trial.name}: {rows[-1][2]}", file=sys.stderr, flush=True)
    table("Stops", ("fault", "times", "wrong", "seconds"), rows, machine())
    print_json({"stops": stops, "failures": failures})
    raise SystemExit(1 if failures else 0)


def signal_trials() -> list[Trial]:
    """All signals at all moments."""
    trials = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGHUP):
        for workers in (0, 2):
            for to_all in (False, True) if number in (signal.SIGTERM, signal.SIGINT) and workers else (False,):
                for moment, reached in (("in a step", ("training", 2)), ("scoring", ("scoring", 0))):
                    name = f"{moment}, {NAMES[number]}, {workers} workers" + (", all" if to_all else "")
                    trials.append(Trial(name, by_steps(number, workers, to_all, *reached)))
        trials.append(Trial(f"preparing, {NAMES[number]}", preparing(number)))
        trials.append(Trial(f"in a step, {NAMES[number]}, 2 processes", several(number)))
        for name, least in (("features", 0), ("decoder", 5)):
            trials.append(Trial(f"frozen {name}, {NAMES[number]}", frozen(number, name, least)))
        trials += [
            Trial(f"{verb}, {NAMES[number]}", other_verb(verb, number)) for verb in ("predict", "evaluate", "label")
        ]
        trials.append(Trial(f"serve, {NAMES[number]}", serve(number)))
    return [*trials, Trial("in a step, terminal closed", terminal_closed)]


def finish(verb: Verb) -> None:
    """Wait for a verb that nothing disturbs."""
    if verb.ended() != 0:
        raise SystemExit(f"a verb failed that nothing disturbed:\n{verb.printed()}")


def stopped(verb: Verb, number: int, moment: Callable[[], bool], to_all: bool = False, delay: float = 0.3) -> list[str]:
    """Send a signal some time after a moment; what was wrong with the end."""
    if not verb.until(moment):
        verb.clear()
        return [f"the moment did not come: {last_line(verb)}"]
    time.sleep(random.uniform(0, delay))
    sent = time.monotonic()
    verb.send(number, to_all)
    code, wrong = verb.ended(), []
    took = time.monotonic() - sent
    if took > PROMPT:
        wrong.append(f"took {took:.0f} s to end")
    if code != CODES[signal.Signals(number)]:
        wrong.append(f"exit code {code}: {last_line(verb)}")
    if "Traceback" in verb.printed():
        wrong.append(f"a traceback: {last_line(verb)}")
    elif number != signal.SIGKILL and not last_line(verb).startswith("tagseg: "):
        wrong.append(f"no line at the end: {last_line(verb)}")
    if left := verb.left():
        wrong.append(f"{left} processes left")
        verb.clear()
    return wrong


def last_line(verb: Verb) -> str:
    """The last that was printed."""
    lines = [line for line in verb.printed().replace("\r", "\n").splitlines() if line.strip()]
    return lines[-1] if lines else "nothing printed"


def goes_on(run: Path, place: Path) -> list[str]:
    """Resume a training by steps for one more step."""
    wanted = _step(run) + 1
    verb = Verb(["train", "--resume", str(run), "--run.steps", str(wanted), "--run.validate_every", "0",
                 "--run.workers", "0", "--run.devices", "1"], place / "resumed.txt")  # fmt: skip
    code = verb.ended()
    if code != 0:
        return [f"does not go on (exit code {code}): {last_line(verb)}"]
    return [] if _step(run) == wanted else [f"went on to step {_step(run)}, expected {wanted}"]


def _step(run: Path) -> int:
    path = checkpoint_of(run)
    return 0 if path is None else int(torch.load(path, map_location="cpu", weights_only=True)["global_step"])


def by_steps(number: int, workers: int, to_all: bool, name: str, least: int) -> Callable[[World], list[str]]:
    """A training by steps, stopped in a stage."""

    def run(world: World) -> list[str]:
        place = world.place(name)
        verb = Verb(world.steps(place / "run", workers=workers), place / "output.txt")
        wrong = stopped(verb, number, stage(place / "run", name, least), to_all, 1.0 if name == "training" else 0.1)
        return wrong + goes_on(place / "run", place)

    return run


def terminal_closed(world: World) -> list[str]:
    """A training by steps whose terminal is closed; the progress bar can no longer be drawn, and the state is saved."""
    place = world.place("terminal")
    master, slave = os.openpty()
    name = os.ttyname(slave)

    def own_terminal() -> None:
        os.close(master)
        terminal = os.open(name, os.O_RDWR)  # of a session without one it becomes the controlling terminal
        for number in (0, 1, 2):
            os.dup2(terminal, number)

    verb = Verb(world.steps(place / "run", workers=2), place / "output.txt", before=own_terminal)
    os.close(slave)
    os.set_blocking(master, False)
    reached = stage(place / "run", "training", 2)

    def drained() -> bool:
        with contextlib.suppress(BlockingIOError):
            os.read(master, 1 << 16)
        return reached()

    came = verb.until(drained)
    os.close(master)
    closed = time.monotonic()
    code, took, left = verb.ended(), time.monotonic() - closed, verb.left()
    fine = came and code == 129 and not left and took < PROMPT
    wrong = [] if fine else [f"exit code {code}, took {took:.0f} s to end, {left} processes left"]
    return wrong + goes_on(place / "run", place)


def preparing(number: int) -> Callable[[World], list[str]]:
    """A training by steps, stopped before its first step."""

    def run(world: World) -> list[str]:
        place = world.place("preparing")
        verb = Verb(world.steps(place / "run", workers=2), place / "output.txt")
        wrong = stopped(verb, number, some_file(place / "run", "config.yaml"), delay=0.5)
        return wrong + goes_on(place / "run", place)

    return run


def several(number: int) -> Callable[[World], list[str]]:
    """A training of two processes whose first is stopped."""

    def run(world: World) -> list[str]:
        place = world.place("several")
        verb = Verb(world.steps(place / "run", workers=1, devices=2), place / "output.txt", anew=True)
        wrong = stopped(verb, number, stage(place / "run", "training", 2), delay=1.0)
        return wrong + goes_on(place / "run", place)

    return run


def frozen(number: int, name: str, least: int) -> Callable[[World], list[str]]:
    """A frozen training, stopped in a stage; it goes on with the features that are there."""

    def run(world: World) -> list[str]:
        place = world.place(f"frozen-{name}")
        verb = Verb(world.frozen(place / "run", workers=2, val_batch=2), place / "output.txt")
        wrong = stopped(verb, number, stage(place / "run", name, least), delay=0.1)
        again = Verb(["train", "--resume", str(place / "run"), "--run.steps", "2"], place / "resumed.txt")
        code = again.ended()
        return wrong if code == 0 else [*wrong, f"does not go on (exit code {code}): {last_line(again)}"]

    return run


def other_verb(name: str, number: int) -> Callable[[World], list[str]]:
    """Predict, evaluate or label, stopped while it works; no half-written file may be left."""

    def run(world: World) -> list[str]:
        place = world.place(name)
        output = place / "out"
        photos, network = str(world.photos / "images"), str(world.network)
        data = ["--data.source", "folder", "--data.root", str(world.photos)]
        arguments = {
            "predict": ["predict", network, photos, "--output", str(output), "--format", "png,coco"],
            "evaluate": ["evaluate", network, *data, "--output", str(output)],
            "label": ["label", str(world.photos), network, "--output", str(output)],
        }[name]
        verb = Verb(arguments, place / "output.txt")
        moment = prints(verb, "photos") if name == "evaluate" else some_file(output, "**/*.png", 2)
        wrong = stopped(verb, number, moment)
        if number != signal.SIGKILL and (torn := [path.name for path in output.rglob("*.tmp")]):
            wrong.append(f"left behind: {', '.join(torn)}")
        return wrong

    return run


def serve(number: int) -> Callable[[World], list[str]]:
    """A server; its folder of uploads is gone after the next one at the latest."""

    def run(world: World) -> list[str]:
        place = world.place("serve")
        arguments, wrong = ["serve", str(world.network), "--port", "0"], []

        def own_folder() -> None:
            tempfile.tempdir = str(place)

        for again, last in enumerate((number, signal.SIGTERM)):
            verb = Verb(arguments, place / f"output{again}.txt", before=own_folder)
            wrong += stopped(verb, last, prints(verb, "http://"))
        folders = [path.name for path in place.glob("tagseg-serve-*")]
        return wrong + ([f"left behind: {', '.join(folders)}"] if folders else [])

    return run


if __name__ == "__main__":
    main()
