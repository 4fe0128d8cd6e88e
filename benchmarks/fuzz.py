"""Give every parser of the package very many inputs: valid files, and such with bits, tokens or encodings changed.

Right is what was written into a valid file, or an error of one line. Anything else is a failure: another exception, a
crash, a warning, much time or memory, a message of several lines, and above all a wrong value. An input depends on the
parser, the seed and its number alone (and on the corpus, tests/fuzz/corpus, whose files are changed too):

    python benchmarks/fuzz.py --inputs 100000                 # all parsers: how long it takes is in docs/fuzzing.md
    python benchmarks/fuzz.py --parser tags_csv,class_map --seed 7 --corpus tests/fuzz/corpus

With ``--corpus FOLDER`` each kind of failure is kept there, made as short as it can be. Prints a table and, last, one
line of JSON; leaves with 1 after a failure.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import os
import time
from pathlib import Path

from shared import arguments_of, machine, print_json, stop, table
from tagseg.progress import progress

# isort: split
# ``shared`` has put the repository's root on the path.
from tests.fuzz.campaign import Tally, run
from tests.fuzz.minimise import minimised
from tests.fuzz.parser import Parser
from tests.fuzz.registry import PARSERS
from tests.fuzz.trial import scratch

QUICK, USUAL = 2_000, 100_000
"""Inputs a parser."""
MOST_TOLD = 10
"""Kinds of failures of one parser that are told."""


def main() -> int:
    """Run it; the exit code."""
    parser = arguments_of(__doc__, f"{QUICK} inputs a parser: about a minute on two cores")
    parser.add_argument("--parser", default="", help="names, separated by commas; default: all")
    parser.add_argument("--inputs", type=int, default=0, help=f"a parser; default {USUAL:,}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=0, help="processes; default: as there are cores")
    parser.add_argument("--corpus", type=Path, help="folder where inputs that fail are kept, in one folder a parser")
    parser.add_argument("--list", action="store_true", help="name the parsers and leave")
    options = parser.parse_args()
    if options.list:
        print("\n".join(PARSERS))
        return 0
    return _run(_chosen(options.parser), options)


def _chosen(names: str) -> list[Parser]:
    wanted = [name.strip() for name in names.split(",") if name.strip()] or list(PARSERS)
    unknown = [name for name in wanted if name not in PARSERS]
    if unknown:
        stop(f"--parser {unknown[0]} is none, expected some of: {', '.join(PARSERS)}")
    return [PARSERS[name] for name in wanted]


def _run(parsers: list[Parser], options: argparse.Namespace) -> int:
    base = options.inputs or (QUICK if options.quick else USUAL)
    counts = {parser.name: max(1, round(base * parser.share)) for parser in parsers}
    begun = time.monotonic()
    with progress(sum(counts.values()), "fuzzing", "input") as bar:
        tallies = run(parsers, lambda parser: counts[parser.name], options.seed, options.jobs or os.cpu_count() or 1,
                      bar.update)  # fmt: skip
    rows = [
        (name, f"{each.inputs:,}", each.failures, f"{each.inputs / max(each.seconds, 1e-9):,.0f}")
        for name, each in tallies.items()
    ]
    day = datetime.date.today().isoformat()
    table("Fuzzing", ("parser", "inputs", "failures", "inputs a second of one core"), rows, f"{day}, {machine()}")
    for name, tally in tallies.items():
        _tell(PARSERS[name], tally, options)
    failures = sum(each.failures for each in tallies.values())
    print_json(
        {
            "inputs": sum(each.inputs for each in tallies.values()),
            "failures": failures,
            "seed": options.seed,
            "seconds": round(time.monotonic() - begun, 1),
            "parsers": {name: each.inputs for name, each in tallies.items()},
        }
    )
    return 1 if failures else 0


def _tell(parser: Parser, tally: Tally, options: argparse.Namespace) -> None:
    """Each kind of failure in a line, and its input in the corpus."""
    for finding in list(tally.findings.values())[:MOST_TOLD]:
        print(f"{parser.name} seed {options.seed} input {finding.index}: {finding.problem}")
        if options.corpus is None:
            continue
        case = finding.case
        if not finding.problem.startswith(("the process died", "no answer")):
            with scratch() as folder:
                case = minimised(parser, case, Path(folder))
        path = options.corpus / parser.name / f"{hashlib.sha256(case.content).hexdigest()[:10]}-{case.name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(case.content)
        print(f"    kept as {path}")


if __name__ == "__main__":
    raise SystemExit(main())
