"""One thing that was found: what, how often, for example where, and the way out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tagseg.data.notes import Note

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""``error``: a training stops, or its result is wrong. ``warning``: it may well be. ``note``: worth knowing."""

KEPT = 20
"""Examples that a finding keeps."""
SHOWN = 3
"""Examples that are shown in a line."""
LONG = 240
"""If these have more letters together, the first alone is shown."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        code: its name for programs, e.g. ``missing_images``; docs/check.md lists all.
        severity: one of ``SEVERITIES``.
        count: how many photos, tags, classes or pairs it concerns.
        examples: the first of them, at most ``KEPT``.
        message: what it is, in a few words.
        way_out: what to do.
    """

    code: str
    severity: Severity
    count: int
    examples: tuple[str, ...]
    message: str
    way_out: str

    @property
    def names(self) -> str:
        """``a, b, c and 9 more``; of sentences ``a and 11 more``."""
        long = sum(map(len, self.examples[:SHOWN])) > LONG
        shown = self.examples[: 1 if long else SHOWN]
        more = f" and {self.count - len(shown)} more" if self.count > len(shown) else ""
        return ", ".join(shown) + more if shown else ""

    def note(self) -> Note:
        """As a reader of data says it, a warning."""
        named = f" ({self.names})" if self.examples else ""
        return Note(f"{self.message}{named}: {self.way_out}", warning=True)


def found(
    code: str, severity: Severity, examples: Sequence[str], message: str, way_out: str, count: int | None = None
) -> tuple[Finding, ...]:
    """The finding about some things; none if there are none.

    Args:
        code: as in ``Finding``; so are ``severity``, ``message`` and ``way_out``.
        examples: all things that were found; the first are kept.
        message: what they are.
        way_out: what to do.
        count: their number, where ``examples`` are not all of them.
    """
    count = len(examples) if count is None else count
    return (Finding(code, severity, count, tuple(examples[:KEPT]), message, way_out),) if count else ()


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By severity; in their order within one."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def exit_code(findings: Iterable[Finding], strict: bool = False) -> int:
    """1 if there is an error, or, if ``strict``, a warning; else 0."""
    stopping = ("error", "warning") if strict else ("error",)
    return int(any(finding.severity in stopping for finding in findings))
