"""Some hundred inputs for each parser, in this process; benchmarks/fuzz.py gives a hundred thousand, in workers."""

from pathlib import Path

import pytest

from tagseg.errors import TagsegError

from .parser import Case, Parser
from .registry import PARSERS
from .trial import problem_of

INPUTS = 25
SEED = 2026


@pytest.mark.parametrize("name", [name for name, parser in PARSERS.items() if not parser.heavy])
def test_each_input_gives_what_was_written_or_an_error_of_one_line(name, memory, unchecked):
    parser = PARSERS[name]
    for index in range(max(2, int(INPUTS * parser.share))):
        problem = problem_of(parser, parser.case(SEED, index), memory)
        assert not problem, f"benchmarks/fuzz.py --parser {name} --seed {SEED}, input {index}: {problem}"


@pytest.mark.parametrize("name", PARSERS)
def test_an_input_depends_on_parser_seed_and_index_alone(name):
    parser = PARSERS[name]
    first, again, other = parser.case(1, 5), parser.case(1, 5), parser.case(2, 5)
    if name not in ("checkpoint", "weights", "corrections"):  # such files hold times and names of their own
        assert (first.name, first.content) == (again.name, again.content)
    assert any(parser.case(1, index).content != parser.case(2, index).content for index in range(5)), other.name


def _broken(read) -> Parser:
    return Parser("broken", lambda rng: Case("a.txt", b"cat", "cat"), read, changed=0.0, seconds=0.2)


@pytest.mark.parametrize(
    ("read", "problem"),
    [
        (lambda path: path.read_text() + "s", "read 'cats', expected 'cat'"),
        (lambda path: int(path.read_text()), "ValueError"),
        (lambda path: _refuse("two\nlines"), "refused a valid file"),
        (lambda path: _endless(), "took more than 0.2 s"),
    ],
)
def test_what_is_wrong_is_noticed(read, problem, tmp_path):
    parser = _broken(read)
    assert problem in problem_of(parser, parser.case(0, 0), tmp_path)


def _refuse(text: str) -> None:
    raise TagsegError(text)


def _endless() -> None:
    while True:
        Path.cwd()
