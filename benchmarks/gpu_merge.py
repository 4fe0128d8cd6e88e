"""Last part of ``gpu.sh``: the figures of all parts as one line of JSON; what is missing is called "not measured"."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree


def tests_of(path: Path) -> dict[str, object]:
    """Counts of the GPU tests and the names of those that failed."""
    suite = next(ElementTree.parse(path).getroot().iter("testsuite"))
    counts: dict[str, object] = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
    bad = (case for case in suite.iter("testcase") if any(case.find(kind) is not None for kind in ("failure", "error")))
    return counts | {"failed": [f"{case.get('classname')}::{case.get('name')}" for case in bad]}


def part_of(folder: Path, name: str) -> object:
    """The figures of a part, and how it ended where that was not well."""
    status = (folder / f"{name}.status").read_text().strip() if (folder / f"{name}.status").exists() else "not begun"
    try:
        figures: object = (
            tests_of(folder / "tests.xml") if name == "tests" else json.loads((folder / f"{name}.json").read_text())
        )
    except (OSError, ValueError, StopIteration, ElementTree.ParseError):
        return f"not measured ({status})"
    return figures if status == "0" or name == "tests" else {"stopped": status, **dict(figures)}  # type: ignore[call-overload]


def main() -> None:
    """Print it: ``gpu_merge.py FOLDER PART ...``."""
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    line = json.dumps({name: part_of(folder, name) for name in names})
    (folder / "gpu.json").write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()
