"""What is fuzzed: a parser, its valid files, and what must hold of whatever it is given."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from .mutate import mutated

CORPUS = Path(__file__).parent / "corpus"
UNKNOWN = object()
"""What is expected of a file of which nothing is known but that it must not break anything."""
REFUSED = object()
"""What is expected of a file that contradicts itself: an error, as each value would be wrong."""


class Case(NamedTuple):
    """An input.

    Attributes:
        name: of the file.
        content: its bytes.
        expected: what reading it must give; ``UNKNOWN``: any value, or an error.
        refusable: whether an error is right, too, where something is expected.
    """

    name: str
    content: bytes
    expected: Any = UNKNOWN
    refusable: bool = False


def nothing_wrong(value: Any, case: Case) -> str:
    """The property of values of which nothing is known."""
    return ""


@dataclass(frozen=True)
class Parser:
    """A parser.

    Attributes:
        name: its folder in the corpus.
        valid: makes a file; with what is expected where that is known. A refusal of it is a failure then.
        read: reads a file; what it returns is compared with what is expected.
        words: tokens of the format.
        holds: what is wrong with a value that was read; empty: nothing.
        share: of the inputs that are asked for; less than 1 where one takes long.
        changed: of the inputs, those that are changed files.
        seconds: of processor time, most that one input may take.
        megabytes: most that one input may add to the memory.
        quiet: whether warnings count as failures.
        change: changes the inside of a container (a zip archive, a chunk with its checksum), half of the times.
        exact: whether a changed file must be refused or give what the unchanged one gives, as its checksum tells.
        heavy: whether the first input takes seconds, as a network is trained for it.
        pool: how many valid files are changed, beside those of the corpus.
    """

    name: str
    valid: Callable[[Random], Case]
    read: Callable[[Path], Any]
    words: Sequence[bytes] = ()
    holds: Callable[[Any, Case], str] = nothing_wrong
    share: float = 1.0
    changed: float = 0.75
    seconds: float = 5.0
    megabytes: int = 400
    quiet: bool = True
    change: Callable[[bytes, Random, Sequence[bytes]], bytes] | None = None
    exact: bool = False
    heavy: bool = False
    pool: int = 40
    corpus: Path = field(default=CORPUS)

    def case(self, seed: int, index: int) -> Case:
        """The input of that seed and index: always the same one as long as the corpus is."""
        rng = Random(f"{self.name} {seed} {index}")
        if rng.random() >= self.changed:
            return self.valid(rng)
        pool = pool_of(self)
        base = rng.choice(pool)
        name = base.name if rng.random() < 0.9 else rng.choice(pool).name
        if self.change is not None and rng.random() < 0.5:
            return Case(name, self.change(base.content, rng, self.words))
        content = mutated(base.content, rng, self.words, [case.content for case in pool[:20]])
        if self.exact and base.expected is not UNKNOWN:
            return Case(name, content, base.expected, refusable=True)
        return Case(name, content)

    def kept(self) -> list[Case]:
        """The inputs of the corpus."""
        folder = self.corpus / self.name
        return [Case(path.name, path.read_bytes()) for path in sorted(folder.glob("*")) if path.is_file()]


@functools.cache
def pool_of(parser: Parser) -> list[Case]:
    """Files to be changed."""
    rng = Random(f"pool {parser.name}")
    return [parser.valid(rng) for _ in range(parser.pool)] + parser.kept()
