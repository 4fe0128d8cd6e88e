"""Known vulnerabilities of the packages in an environment, by pip-audit, which stands in an environment of its own.

    python tools/audit.py PYTHON PIP_AUDIT

The last line is JSON. Exit status 0: every package that was looked up has none; 1: some have, in a table; 2: not
measured, as no package could be looked up. pip-audit itself ends with 0 there, as if nothing had been found.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LISTED = (
    "from importlib.metadata import distributions\n"
    "found = {(d.metadata['Name'], d.version) for d in distributions() if 'tagseg' not in d.metadata['Name']}\n"
    "print('\\n'.join(sorted(f'{name}=={version}' for name, version in found)))"
)
"""Names and versions in an environment; what is being worked on is in no database."""


def installed(python: str) -> list[str]:
    """``NAME==VERSION`` of each package of an environment, without tagseg; local versions such as +cu128 cut off."""
    done = subprocess.run([python, "-c", LISTED], capture_output=True, text=True, check=True)
    return [line.partition("+")[0] for line in done.stdout.split()]


def answer_of(pip_audit: str, packages: Sequence[str]) -> list[dict[str, Any]]:
    """What pip-audit says about each package.

    Raises:
        RuntimeError: it says nothing; one line why.
    """
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "installed.txt"
        listed.write_text("\n".join(packages) + "\n", encoding="utf-8")
        options = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
        done = subprocess.run([pip_audit, "--requirement", str(listed), *options], capture_output=True, text=True)
    try:
        dependencies: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError) as error:
        last = (done.stderr.strip() or "no output").splitlines()[-1]
        raise RuntimeError(f"pip-audit gave no answer ({last[:200]})") from error
    return dependencies


def judge(dependencies: Sequence[Mapping[str, Any]]) -> tuple[int, dict[str, int], list[str]]:
    """Exit status, numbers, and a line for each vulnerability."""
    looked_up = [one for one in dependencies if "skip_reason" not in one]
    lines = [
        f"{one['name']} {one['version']}: {found['id']}, fixed in {', '.join(found.get('fix_versions', ())) or 'none'}"
        for one in looked_up
        for found in one.get("vulns", ())
    ]
    vulnerable = sum(bool(one.get("vulns")) for one in looked_up)
    numbers = {"audited": len(looked_up), "skipped": len(dependencies) - len(looked_up), "vulnerable": vulnerable}
    return (2 if not looked_up else int(bool(lines))), numbers, lines


def main(argv: Sequence[str]) -> int:
    """Command line."""
    python, pip_audit = argv
    try:
        status, numbers, lines = judge(answer_of(pip_audit, installed(python)))
    except RuntimeError as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines), end="\n" if lines else "")
    if status == 2:
        line = "not measured: the service of known vulnerabilities could not be asked: run it with a network"
        print(line, file=sys.stderr)
    print(json.dumps(numbers))
    return status


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
