"""What a folder may be taken for: one layout that was found in it, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TakenFor:
    """One way to read a data folder.

    Attributes:
        source: of ``sources.SOURCES``.
        what: the layout and why it is thought to be there, as in ``a folder per class (2 classes in 2 folders)``.
        flag: the setting that chooses this way where there are two, as in ``--data.source coco``.
        files: what says so. Of ways that rest on the same files the first in the table of ``recognised`` is meant.
        includes: sources that would read the same tags, so that they are no second way.
        doubt: why it may be meant, but not for sure: an error of one line, unless the folder can be read another way.
    """

    source: str
    what: str
    flag: str
    files: tuple[Path, ...] = ()
    includes: tuple[str, ...] = ()
    doubt: str = ""
