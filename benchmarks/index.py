"""Measure how long large collections take to be read, before a training, a check or a prediction begins.

    python benchmarks/index.py [--quick] [--rows 100000]

Makes a collection of generated names in each layout: hard links to 16 small photos, which is not timed. Then measures
``tagseg train`` from its start to the line that says what is trained on, and what ``check`` and ``predict`` do before
they open photos, each in a process of its own. Files are in the disk cache. Takes about five minutes on 2 cores.
``--quick``: 10,000 rows. Prints a table and, last, one line of JSON: ``rows``; ``seconds`` by layout, without imports,
and ``processor_seconds``, which other programs change less; ``imports``, the most seconds that these take; ``peak_mb``
by layout, resident memory of the process; and ``base_mb``, its memory without the collection.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from index_layouts import DISTINCT, LAYOUTS
from shared import arguments_of, machine, print_json, table

WAYS = {**{name: name for name in LAYOUTS}, "csv_val_share": "csv", "check": "csv", "predict": "csv"}
"""What is measured, and on which layout."""
SMALL = 600
"""Rows of the collection that imports are done on; several of each class."""


def main() -> None:
    """Measure and print."""
    parser = arguments_of(__doc__, "10,000 rows")
    parser.add_argument("--rows", type=int, default=0, help="of each collection")
    parser.add_argument("--only", default="", help="ways, with commas")
    arguments = parser.parse_args()
    rows = arguments.rows or (10_000 if arguments.quick else 100_000)
    wanted = [way for way in WAYS if not arguments.only or way in arguments.only.split(",")]
    measured: dict[str, dict[str, float]] = {}
    for layout in LAYOUTS:
        ways = [way for way in wanted if WAYS[way] == layout]
        if ways:
            measured |= measure(layout, ways, rows)
    shown = [
        (way, *(f"{each[key]:.1f}" for key in ("seconds", "processor", "imports")),
         *(f"{each[key]:.0f}" for key in ("peak_mb", "base_mb")))
        for way, each in measured.items()
    ]  # fmt: skip
    header = ("collection", "seconds", "of the processor", "imports, beside", "peak MB", "MB without the collection")
    title = f"{rows:,} rows, {DISTINCT} distinct files, {machine()}"
    table(title, header, shown)
    print_json(
        {
            "rows": rows,
            "seconds": {way: round(each["seconds"], 2) for way, each in measured.items()},
            "processor_seconds": {way: round(each["processor"], 2) for way, each in measured.items()},
            "imports": round(max(each["imports"] for each in measured.values()), 2),
            "peak_mb": {way: round(each["peak_mb"]) for way, each in measured.items()},
            "base_mb": round(max(each["base_mb"] for each in measured.values())),
        }
    )


def measure(layout: str, ways: list[str], rows: int) -> dict[str, dict[str, float]]:
    """Make the collection, and measure each way on it."""
    folder = Path(tempfile.mkdtemp(prefix="tagseg-index-"))
    try:
        for name, count in (("small", SMALL), ("large", rows)):
            LAYOUTS[layout](folder / name, count)
        return {way: once(way, folder) for way in ways}
    finally:
        shutil.rmtree(folder)


def once(way: str, folder: Path) -> dict[str, float]:
    """One measurement, in a process of its own."""
    child = Path(__file__).with_name("index_once.py")
    command = [sys.executable, str(child), way, str(folder / "small"), str(folder / "large"), str(time.time())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{way} failed:\n{done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"{way}: {figures}", file=sys.stderr, flush=True)
    return figures


if __name__ == "__main__":
    main()
