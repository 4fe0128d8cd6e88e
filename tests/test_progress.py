"""The progress bar: silent where it is quick or asked to be, else with time left, also where there is no terminal."""

import io
import sys

import pytest

from tagseg.progress import progress, with_progress


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
