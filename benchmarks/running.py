"""The processes of this machine that run, for trials that count what is left behind. Linux."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Running:
    """A process.

    Attributes:
        pid: its number.
        parent: of the process that started it.
        session: of the session that it belongs to.
    """

    pid: int
    parent: int
    session: int

    @property
    def command(self) -> str:
        """Its command line; empty if it has ended meanwhile."""
        try:
            return Path(f"/proc/{self.pid}/cmdline").read_text().replace("\0", " ").strip()
        except OSError:
            return ""


def running() -> list[Running]:
    """All processes; those that have ended and wait for their parent do not count."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            state, parent, _, session, *_ = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if state != "Z":
            found.append(Running(int(place.name), int(parent), int(session)))
    return found


def descendants(pid: int) -> list[Running]:
    """The processes that one has started, and those that they have, parents first."""
    processes, known, found = running(), {pid}, []
    while more := [one for one in processes if one.parent in known and one.pid not in known]:
        found += more
        known |= {one.pid for one in more}
    return found
