"""Which licences the packages have that tagseg installs, from the metadata of this environment: docs/licences.md.

    python tools/licences.py            print the table
    python tools/licences.py --write    also put it into docs/licences.md

Exit status 1 if one of them is under a licence that would bind programs that import it (GPL, AGPL).
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licences.md"
BEGIN, END = "<!-- table: tools/licences.py -->", "<!-- end of table -->"
RUNTIME = ("", "export", "openvino", "hub", "serve", "ray")
"""What users install: the plain package, and the extras that are not for working on tagseg."""
_COPYLEFT = re.compile(r"\bA?GPL|GNU (Affero )?General Public", re.IGNORECASE)
_NAMES = {
    "apache software license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache-2.0 license": "Apache-2.0",
    "apache 2.0 license": "Apache-2.0",
    "mit license": "MIT",
    "bsd license": "BSD",
    "bsd 3-clause": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "osi approved :: apache software license": "Apache-2.0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
}
"""Spellings of older metadata, as SPDX writes them."""


@dataclass(frozen=True)
class Package:
    """An installed package that tagseg needs.

    Attributes:
        name: as its metadata writes it.
        version: installed here.
        licence: in SPDX's names where the metadata have them.
        needed_by: ``tagseg``, or the extra that brings it.
    """

    name: str
    version: str
    licence: str
    needed_by: str

    @property
    def copyleft(self) -> bool:
        """Whether every choice that its licence gives is GPL or AGPL."""
        return all(_COPYLEFT.search(choice) for choice in re.split(r"\s+OR\s+", self.licence))


def runtime_packages(root: str = "tagseg") -> tuple[list[Package], list[str]]:
    """The packages of the plain package and the extras, those of the former first; and names of absent ones."""
    found: dict[str, Package] = {}
    absent: set[str] = set()
    for extra in RUNTIME:
        for name in sorted(_needed(root, extra, absent)):
            if name not in found and name != root:
                one = distribution(name)
                needed_by = f"tagseg[{extra}]" if extra else "tagseg"
                found[name] = Package(one.metadata["Name"], one.version, licence_of(one), needed_by)
    return list(found.values()), sorted(absent)


def _needed(root: str, extra: str, absent: set[str]) -> set[str]:
    """Names of the installed packages that one package with an extra needs, at any remove; notes those not there."""
    seen: set[tuple[str, str]] = set()
    waiting = [(root, extra)]
    while waiting:
        name, option = waiting.pop()
        if (name, option) in seen:
            continue
        seen.add((name, option))
        try:
            requirements = distribution(name).requires or ()
        except PackageNotFoundError:
            absent.add(name)
            seen.discard((name, option))
            continue
        waiting += _applying(requirements, option)
    return {name for name, _ in seen}


def _applying(requirements: Sequence[str], extra: str) -> Iterator[tuple[str, str]]:
    """Name and extra of the requirements that count on this machine with an extra."""
    here: dict[str, str] = {name: str(value) for name, value in default_environment().items()}
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(here | {"extra": extra}):
            for option in ("", *requirement.extras):
                yield canonicalize_name(requirement.name), option


def licence_of(package: Distribution) -> str:
    """The licence as short as the metadata have it: SPDX expression, a short name, else its classifiers."""
    metadata = package.metadata
    expression, short = metadata["License-Expression"], (metadata["License"] or "").strip()
    classifiers = [text.rpartition(" :: ")[2] for text in metadata.get_all("Classifier") or () if "License ::" in text]
    if expression:
        return str(expression)
    if short and "\n" not in short and len(short) < 60 and short.lower() not in ("unknown", "dual license"):
        return _NAMES.get(short.lower(), short)
    named = [_NAMES.get(text.lower(), text) for text in classifiers if text != "OSI Approved"]
    return " OR ".join(dict.fromkeys(named)) or short.splitlines()[0] if named or short else "not stated"


def table(packages: Sequence[Package]) -> str:
    """A Markdown table."""
    rows = [f"| {one.name} | {one.version} | {one.licence} | `{one.needed_by}` |" for one in packages]
    return "\n".join(["| package | version | licence | comes with |", "| --- | --- | --- | --- |", *rows])


def written(page: str, packages: Sequence[Package]) -> str:
    """The page with a new table between its marks."""
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    return f"{before}{BEGIN}\n{table(packages)}\n{END}{after}"


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/licences.md")
    write = parser.parse_args(argv).write
    packages, absent = runtime_packages()
    if write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), packages), encoding="utf-8")
    else:
        print(table(packages))
    if absent:
        print(f"not installed here, so not listed: {', '.join(absent)}", file=sys.stderr)
    bound = [f"{one.name} ({one.licence})" for one in packages if one.copyleft]
    if bound:
        print(f"copyleft licences among what users install: {', '.join(bound)}", file=sys.stderr)
    return int(bool(bound))


if __name__ == "__main__":
    raise SystemExit(main())
