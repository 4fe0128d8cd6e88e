"""Measure how long ``tagseg check`` takes.

    python benchmarks/check.py [--quick]

Draws 10,000 JPEG photos of 500 × 375 pixels and some 60 kB, in 20 classes and two splits, which is not timed, and
plants a fault of each of some kinds in them. Then times the command line, its start included, on the cores there are.
Files are in the disk cache. ``--quick``: 2,000 photos. Prints a table and, last, one line of JSON:
``photos_per_second``, ``seconds`` and ``photos``; ``processor_seconds`` of all cores together, which a busy machine
changes less; and ``found``, of ``planted`` faults.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from shared import arguments_of, machine, print_json, table

SIZE = (500, 375)
CLASSES = tuple(f"class{number:02}" for number in range(20))
PLANTED = (
    *("missing_images", "truncated_images", "unreadable_images", "duplicates_across_splits"),
    *("near_duplicates_across_splits", "unknown_tags", "small_images", "extreme_shapes"),
)


def main() -> None:
    """Measure and print."""
    arguments = arguments_of(__doc__, "2,000 photos").parse_args()
    photos = 2_000 if arguments.quick else 10_000
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        draw(root, photos)
        plant(root)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        command = [sys.executable, "-m", "tagseg", "check", str(root), "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        seconds = time.perf_counter() - started
        size = sum(file.stat().st_size for file in (root / "images").iterdir()) / photos
    found = {finding["code"] for finding in json.loads(done.stdout)["findings"]}
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    rows = [
        ("seconds", f"{seconds:.1f}"),
        ("photos a second", f"{photos / seconds:.0f}"),
        ("processor seconds", f"{processor:.1f}"),
    ]
    table(f"{photos:,} photos of {size / 1000:.0f} kB, {os.cpu_count()} cores, {machine()}", ("what", "measured"), rows)
    print_json(
        {
            "photos_per_second": round(photos / seconds, 1),
            "seconds": round(seconds, 2),
            "photos": photos,
            "processor_seconds": round(processor, 2),
            "found": len(found & set(PLANTED)),
            "planted": len(PLANTED),
        }
    )


def draw(root: Path, photos: int) -> None:
    """Coarse colours that are different in each photo, under one of a few fine textures."""
    (root / "images").mkdir()
    rng = np.random.default_rng(0)
    textures = rng.normal(0, 12, (16, SIZE[1], SIZE[0], 1)).astype(np.int16)
    rows: list[tuple[str, str, str]] = []
    for number in range(photos):
        coarse = Image.fromarray(rng.integers(20, 235, (7, 9, 3), np.uint8)).resize(SIZE, Image.Resampling.BILINEAR)
        pixels = np.clip(np.asarray(coarse, np.int16) + textures[number % len(textures)], 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{number:05}.jpg", quality=85)
        tags = {CLASSES[number % len(CLASSES)], CLASSES[int(rng.integers(len(CLASSES)))]}
        rows.append((f"{number:05}.jpg", ";".join(sorted(tags)), "val" if number % 5 == 4 else "train"))
    rows[5] = (rows[5][0], "clas05", rows[5][2])
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "labels", "split"), *rows])
    (root / "classes.txt").write_text("\n".join(CLASSES))


def plant(root: Path) -> None:
    """One fault of each kind of ``PLANTED``; the tag is wrong already. Every fifth photo is in the other split."""
    images = root / "images"
    (images / "00000.jpg").unlink()
    (images / "00001.jpg").write_bytes((images / "00001.jpg").read_bytes()[:-5000])
    (images / "00002.jpg").write_bytes(b"\0\1" * 30_000)
    (images / "00004.jpg").write_bytes((images / "00003.jpg").read_bytes())
    with Image.open(images / "00006.jpg") as image:
        image.resize((400, 300)).save(images / "00009.jpg", quality=60)
        image.resize((40, 30)).save(images / "00007.jpg")
        image.crop((0, 100, 500, 200)).save(images / "00008.jpg")


if __name__ == "__main__":
    main()
