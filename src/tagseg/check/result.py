"""What a check found, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from tagseg.check.finding import SEVERITIES, Finding, exit_code

WIDTH = 110
"""Characters of a line, where the terminal has so many."""


@dataclass(frozen=True)
class CheckResult:
    """What was looked at and what was found.

    Attributes:
        root: the data's folder.
        findings: the worst first.
        photos: number of photos in each split.
        classes: photos of each class in each split.
        seconds: how long it took.
        not_scored: why nothing is scored while training; empty where something is.
        sheet: the contact sheet of suspicious tags; empty where none was made.
    """

    root: str
    findings: tuple[Finding, ...]
    photos: Mapping[str, int]
    classes: Mapping[str, Mapping[str, int]]
    seconds: float = 0.0
    not_scored: str = ""
    sheet: str = ""
    counts: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        """Count the findings by severity."""
        severities = [finding.severity for finding in self.findings]
        object.__setattr__(self, "counts", {severity: severities.count(severity) for severity in SEVERITIES})

    def exit_code(self, strict: bool = False) -> int:
        """1 if something needs a person, or, if ``strict``, may need one; else 0."""
        return exit_code(self.findings, strict)

    def as_json(self, strict: bool = False) -> str:
        """The text of ``tagseg check --json``, whose fields docs/check.md explains."""
        content = {
            "root": self.root,
            "photos": dict(self.photos),
            "classes": {name: dict(counts) for name, counts in self.classes.items()},
            "not_scored": self.not_scored,
            "findings": [asdict(finding) for finding in self.findings],
            "counts": dict(self.counts),
            "contact_sheet": self.sheet,
            "seconds": round(self.seconds, 2),
            "exit_code": self.exit_code(strict),
        }
        return json.dumps(content, indent=2, ensure_ascii=False)

    def as_text(self, width: int = 0) -> str:
        """The findings as a table and a line that sums them up.

        Args:
            width: characters of a line; 0: those of the terminal, at most ``WIDTH``.
        """
        width = width or max(40, min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns))
        lines = [line for finding in self.findings for line in _lines(finding, width)]
        return "\n".join([*lines, self.summary()])

    def summary(self) -> str:
        """One line: how many findings of each severity, photos and seconds."""
        words = [f"{count} {name}{'' if count == 1 else 's'}" for name, count in self.counts.items() if count]
        total = sum(self.photos.values())
        looked = f"{total:,} photo{'' if total == 1 else 's'}, {len(self.classes)} classes, {self.seconds:.1f} s"
        sheet = f"; suspicious tags: {self.sheet}" if self.sheet else ""
        return f"{', '.join(words) or 'nothing found'} ({looked}){sheet}"


def _lines(finding: Finding, width: int) -> list[str]:
    """Severity, count, what it is and three names; below, indented, what to do."""
    names = f": {finding.names}" if finding.names else ""
    what = f"{finding.count:>6,}  {finding.message}{names}"
    first = textwrap.wrap(
        what, width, initial_indent=f"{finding.severity:<8}", subsequent_indent=" " * 16, drop_whitespace=True
    )
    way_out = textwrap.wrap(finding.way_out, width, initial_indent=" " * 16 + "→ ", subsequent_indent=" " * 18)
    return [*first, *way_out]
