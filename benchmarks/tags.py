"""Measure how long VOC 2012's 12,031 rows of tags take to load (development data needed).

    python benchmarks/tags.py [--quick]

Prints one line of JSON with the median.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from tagseg.data.tags import read_tags

TAGS = Path(__file__).resolve().parents[2] / "shared" / "data" / "voc12_tags" / "labels.csv"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="once")
    times = 1 if parser.parse_args().quick else 9
    if not TAGS.exists():
        raise SystemExit(f"{TAGS} is absent: this benchmark needs the development data")
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        rows = len(read_tags(TAGS).rows)
        seconds.append(time.perf_counter() - started)
    print(json.dumps({"rows": rows, "seconds": round(statistics.median(seconds), 3)}))


if __name__ == "__main__":
    main()
