"""A shorter input with the same failure."""

from __future__ import annotations

import re
from pathlib import Path

from .parser import UNKNOWN, Case, Parser
from .trial import problem_of


def minimised(parser: Parser, case: Case, folder: Path, trials: int = 400) -> Case:
    """Leave out parts of an input, halves first, while the failure stays of its kind."""
    case = case._replace(expected=UNKNOWN)
    wanted = _kind(problem_of(parser, case, folder))
    size = max(1, len(case.content) // 2)
    while wanted and size and trials:
        start, shorter = 0, False
        while start < len(case.content) and trials:
            trials -= 1
            tried = case._replace(content=case.content[:start] + case.content[start + size :])
            if _kind(problem_of(parser, tried, folder)) == wanted:
                case, shorter = tried, True
            else:
                start += size
        size = size if shorter and size > 1 else size // 2
    return case


def _kind(problem: str) -> str:
    """Type of the error and its place."""
    place = re.search(r"\(([\w./]+:\d+)\)$", problem)
    return f"{problem.split(':')[0].split(',')[0][:40]} {place[1] if place else ''}" if problem else ""
