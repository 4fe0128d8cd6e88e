"""Prediction through Ray: photos a second beside the plain path, and what killed workers and stopped runs lose.

    python benchmarks/scale.py [--quick] [--photos 200] [--kills 10]

A DeiT-Ti with random weights of the decoder labels photos of voc12_animals with the plain path and with two workers of
a local Ray. Then workers are killed (SIGKILL) at random moments, the whole run is killed and started again, and one is
stopped with Ctrl-C: afterwards the files must be those of the plain path, byte for byte, none may be written twice
by the second start, and no process may be left. A sum depends on how many threads share it, and each of Ray's workers
has one, so the plain path runs twice: as usual, for its time, and with one thread, for its files. Starting Ray takes 10
to 20 seconds each time; ``--quick`` starts it twice. The last line is JSON.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import tracemalloc
from importlib import import_module
from pathlib import Path

import torch

from running import Running, descendants, running
from shared import ANIMALS, ROOT, WEIGHTS, arguments_of, machine, print_json, require, stop, table
from tagseg.model.checkpoint import save_network
from tagseg.model.config import NetworkConfig
from tagseg.model.network import Network
from tagseg.scale.catalogue import Catalogue
from tagseg.scale.journal import read_records

WORKERS = 2
FLAGS = ("--scales", "[1.0]", "--mirror", "false")
PAGE = ROOT / "docs" / "scale.md"
EXAMPLE = """
import os, ray
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
"""
"""What a pipeline of one's own begins with."""
ALONE = "alone"
"""The plain path with one thread."""
PATIENCE = 900
"""Seconds that a run may take."""


def main() -> None:
    """Measure, break, compare."""
    parser = arguments_of(__doc__, "24 photos, one kill, no run is stopped")
    parser.add_argument("--photos", type=int, default=200, help="number of photos")
    parser.add_argument("--kills", type=int, default=10, help="workers to kill")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    require(ANIMALS, WEIGHTS)
    if subprocess.run([sys.executable, "-c", "import ray.data"], capture_output=True, check=False).returncode:
        stop('Ray Data is not installed: pip install "tagseg[ray]"')
    photos, kills = (24, 1) if arguments.quick else (arguments.photos, arguments.kills)
    with tempfile.TemporaryDirectory() as place:
        trial = Trial(Path(place), photos, random.Random(arguments.seed))
        plain, _ = trial.timed("plain")
        trial.end(trial.begin(ALONE, OMP_NUM_THREADS="1"))
        by_threads = sum(name.startswith("masks/") for name in trial.differing("plain"))
        ray, start = trial.timed("ray", "--engine", "ray")
        identical = [trial.same("ray")]
        killed = trial.kill_workers(kills, identical)
        rewritten, left, restarts = 0, 0, 0
        if not arguments.quick:
            rewritten, left = trial.stop_runs()
            restarts = 2
            identical += [trial.same("again"), trial.same_in_a_pipeline()]
    names = 100_000 if arguments.quick else 1_000_000
    seconds, megabytes = cost_of_names(names)
    rows = [
        ("plain, one process", f"{plain:.1f}", f"{photos / plain:.2f}"),
        (f"Ray, {WORKERS} workers, with its start", f"{ray:.1f}", f"{photos / ray:.2f}"),
        (f"Ray, {WORKERS} workers, after its start of {start:.1f} s", f"{ray - start:.1f}",
         f"{photos / (ray - start):.2f}"),
    ]  # fmt: skip
    print(f"{names} names: listed and read again in {seconds:.1f} s, {megabytes:.0f} MB of memory")
    table(f"{photos} photos of VOC, DeiT-Ti, one scale; {machine()}", ("way", "seconds", "photos a second"), rows)
    print_json(
        {
            "photos": photos, "plain_per_second": round(photos / plain, 3), "ray_per_second": round(photos / ray, 3),
            "ray_start_seconds": round(start, 1), "kills": killed, "restarts": restarts, "rewritten": rewritten,
            "processes_left": left, "names": names, "names_mb": round(megabytes, 1), "identical": all(identical),
            "masks_that_differ_by_threads": by_threads,
        }
    )  # fmt: skip
    if not all(identical) or rewritten or left:
        raise SystemExit(1)


class Trial:
    """Runs of ``tagseg predict`` on the same photos, in a folder of their own."""

    def __init__(self, place: Path, photos: int, random_moments: random.Random) -> None:
        self.place, self.random = place, random_moments
        found = sorted((ANIMALS / "images").rglob("*.jpg"))[:photos]
        if len(found) < photos:
            stop(f"{ANIMALS} has {len(found)} photos, expected {photos}: choose fewer with --photos")
        (place / "photos").mkdir()
        for photo in found:
            (place / "photos" / photo.name).symlink_to(photo)
        torch.manual_seed(0)
        network = Network(NetworkConfig(encoder="deit_tiny_patch16_224", weights=str(WEIGHTS)), ("bird", "cat", "dog"))
        save_network(network.eval(), place / "net" / "best.safetensors")

    def begin(self, output: str, *flags: str, **variables: str) -> subprocess.Popen[str]:
        """Start a run; ``variables`` are added to its environment."""
        command = [sys.executable, "-m", "tagseg", "predict", str(self.place / "net"), str(self.place / "photos")]
        command += ["--output", str(self.place / output), *FLAGS, *flags]
        command += ["--workers", str(WORKERS)] if "ray" in flags else []
        given = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **variables}
        ours = signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background ignores it
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=given)
        signal.signal(signal.SIGINT, ours)
        return process

    def end(self, process: subprocess.Popen[str], expected: int = 0) -> None:
        """Wait for a run and its exit code."""
        output, errors = process.communicate(timeout=PATIENCE)
        if process.returncode != expected or "Traceback" in errors:
            stop(f"a run ended with {process.returncode}, expected {expected}:\n{output}{errors}")

    def timed(self, output: str, *flags: str) -> tuple[float, float]:
        """Seconds of a whole run, and until its first mask."""
        began = time.time()
        self.end(self.begin(output, *flags))
        ended = time.time()
        return ended - began, min(path.stat().st_mtime for path in self.masks(output)) - began

    def same(self, output: str) -> bool:
        """Whether a run's files are those of the plain path, byte for byte."""
        if differing := self.differing(output):
            print(f"{output} differs in {differing[:5]}", file=sys.stderr)
        return not differing

    def differing(self, output: str) -> list[str]:
        """Names of the files that are not those of the plain path with one thread."""
        one, other = self.files(ALONE), self.files(output)
        return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))

    def files(self, output: str) -> dict[str, bytes]:
        """All files of a run, without its records."""
        folder = self.place / output
        paths = [path for path in folder.rglob("*") if path.is_file() and ".ray" not in path.parts]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}

    def masks(self, output: str) -> list[Path]:
        """The masks that are there."""
        return list((self.place / output / "masks").glob("*.png"))

    def wait_for_masks(self, process: subprocess.Popen[str], output: str, number: int) -> None:
        """Wait until a run has written so many."""
        while process.poll() is None and len(self.masks(output)) < number:
            time.sleep(0.02)

    def kill_workers(self, kills: int, identical: list[bool]) -> int:
        """Kill a worker at a random moment, at most twice a run; returns how many were killed."""
        killed = 0
        while killed < kills:
            output = f"killed{killed}"
            process = self.begin(output, "--engine", "ray")
            for _ in range(min(2, kills - killed)):
                some = self.random.randrange(len(self.masks(output)) + 1, len(self.masks("plain")) - 2)
                self.wait_for_masks(process, output, some)
                time.sleep(self.random.random() * 0.2)
                workers = [one.pid for one in descendants(process.pid) if "MapWorker" in one.command]
                if workers and process.poll() is None:
                    os.kill(self.random.choice(workers), signal.SIGKILL)
                    killed += 1
            self.end(process)
            identical.append(self.same(output))
        return killed

    def same_in_a_pipeline(self) -> bool:
        """Whether the example of docs/scale.md, without mirror as all runs here, gives the masks of the plain path."""
        (self.place / "runs").mkdir()
        (self.place / "runs" / "photos").symlink_to(self.place / "net")
        code = re.findall(r"```python\n(.+?)```", PAGE.read_text("utf-8"), re.DOTALL)[0]
        code = code.replace('"scales": (1.0,)', '"scales": (1.0,), "mirror": False')
        given = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
        subprocess.run([sys.executable, "-c", EXAMPLE + code], cwd=self.place, env=given, timeout=PATIENCE, check=True)
        table = import_module("pyarrow.parquet").read_table(self.place / "labelled").to_pydict()
        masks = {Path(path).stem: mask for path, mask in zip(table["path"], table["mask"], strict=True)}
        return masks == {path.stem: path.read_bytes() for path in self.masks(ALONE)}

    def stop_runs(self) -> tuple[int, int]:
        """Kill a run, stop the next with Ctrl-C, let the third end: masks that were written twice, processes left."""
        left = 0
        for number, expected in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
            there = len(self.masks("again"))
            process = self.begin("again", "--engine", "ray")
            self.wait_for_masks(process, "again", there + len(self.masks("plain")) // 3)
            others = descendants(process.pid)
            process.send_signal(number)
            self.end(process, expected)
            left += still_there(others, 0.5 if number == signal.SIGINT else 90)
        noted = {f"{record['name']}.png" for record in read_records(self.place / "again" / ".ray" / "made.jsonl")}
        before = {path.name: path.stat().st_mtime_ns for path in self.masks("again") if path.name in noted}
        self.end(self.begin("again", "--engine", "ray"))
        again = [path.name for path in self.masks("again") if path.stat().st_mtime_ns != before.get(path.name)]
        rewritten = sum(name in before for name in again)
        return rewritten, left


def cost_of_names(names: int) -> tuple[float, float]:
    """Seconds to list so many generated names and take them in turn, and megabytes of Python's memory for it."""
    catalogue = Catalogue()
    began = time.perf_counter()
    tracemalloc.start()
    paths = (f"{number % 1000:03}/{number:07}.jpg" for number in range(names))
    catalogue.add(0, ((path, f"/photos/{path}", f"/photos/{path}") for path in paths))
    catalogue.name_outputs("/photos")
    assert sum(len(photos) for photos in catalogue.waiting(10_000)) == names
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return time.perf_counter() - began, most / 1e6


def still_there(processes: list[Running], seconds: float = 90.0) -> int:
    """How many of some processes are there after a while."""
    until = time.monotonic() + seconds
    while True:
        alive = {one.pid for one in running()}
        left = [one for one in processes if one.pid in alive]
        if not left or time.monotonic() > until:
            for one in left:
                print(f"left: {one.pid} {one.command[:80]}", file=sys.stderr)
            return len(left)
        time.sleep(0.1)


if __name__ == "__main__":
    main()
