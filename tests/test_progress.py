"""The progress bar: silent where it is quick or asked to be, else with time left, also where there is no terminal."""

import io
import sys
import threading
import time
from collections.abc import Generator

import pytest

from tagseg.progress import duration, in_threads, progress, with_progress


class Terminal(io.StringIO):
    """A standard error that is a terminal or is none."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_quick_shows_nothing(monkeypatch, terminal):
    shown = Terminal(terminal)
    monkeypatch.setattr(sys, "stderr", shown)
    with progress(3, "work") as bar:
        bar.update(3)
    assert not shown.getvalue()


@pytest.mark.parametrize(("terminal", "interval"), [(True, 0.5), (False, 15.0)])
def test_a_log_gets_fewer_lines_than_a_terminal(monkeypatch, terminal, interval):
    monkeypatch.setattr(sys, "stderr", Terminal(terminal))
    with progress(3, "work") as bar:
        assert (bar.mininterval, bar.disable) == (interval, False)


def test_quiet_shows_nothing():
    assert progress(3, "work", quiet=True).disable


def test_items_pass_through_in_order():
    assert list(with_progress([3, 1, 2], "work", "item")) == [3, 1, 2]
    assert list(with_progress([], "work", "item")) == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "0.01 s"), (0.123, "0.12 s"), (1.44, "1.4 s"), (9.96, "10 s"), (40.0, "40 s"), (120.0, "2 minutes"),
     (5_940.0, "99 minutes"), (7_800.0, "2 h 10 min"), (7_140.0, "2 h"), (28_800.0, "8 h"), (302_400.0, "3.5 days")],
)  # fmt: skip
def test_a_time_in_words(seconds, words):
    assert duration(seconds) == words


def test_after_an_interruption_nothing_that_waits_is_begun():
    begun: list[int] = []
    release = threading.Event()

    def look(number):
        begun.append(number)
        if number:
            release.wait(5)
        return number

    results = in_threads(range(1000), look, "", quiet=True)
    assert next(results) == 0
    assert isinstance(results, Generator)
    results.close()  # as an exception in the loop does
    release.set()
    time.sleep(0.05)
    assert len(begun) < 50
