"""Inputs that failed once, and others that reach odd places: each is read or refused in one line, now and always."""

import pytest

from .parser import CORPUS
from .registry import PARSERS
from .trial import problem_of

KEPT = [(name, case) for name, parser in PARSERS.items() if not parser.heavy for case in parser.kept()]


@pytest.mark.parametrize(("name", "case"), KEPT, ids=[f"{name}/{case.name}" for name, case in KEPT])
def test_an_input_of_the_corpus_breaks_nothing(name, case, memory, unchecked):
    assert not problem_of(PARSERS[name], case, memory)


def test_the_corpus_is_small_and_of_parsers_that_there_are():
    folders = [path for path in CORPUS.iterdir() if path.is_dir()]
    assert {folder.name for folder in folders} <= set(PARSERS)
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 1_000_000
