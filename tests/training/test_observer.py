import os
import signal
import subprocess
import sys
import time

import pytest

subprocess_script = pytest.importorskip("lightning.fabric.strategies.launchers.subprocess_script")

from tagseg.training import observer  # noqa: E402


@pytest.fixture
def killed(monkeypatch):
    """Times at which the first process would have been killed."""
    times: list[float] = []
    monkeypatch.setattr(
        os, "kill", lambda pid, number: times.append(time.monotonic()) if number == signal.SIGKILL else None
    )
    return times


@pytest.fixture
def watching():
    """Lightning's observer of a process that has failed."""
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    child.wait()
    thread = subprocess_script._ChildProcessObserver(os.getpid(), [child], sleep_period=0.3)
    yield thread
    thread._finished = True
    thread.join(5)


def test_the_observer_gives_the_first_process_time_to_say_why_it_ends(watching, killed):
    watching.start()
    observer.have_patience(0.5)
    began = time.monotonic()
    watching.join(5)
    assert len(killed) == 1
    assert 0.4 < killed[0] - began < 3


def test_after_a_stop_it_kills_nothing(watching, killed):
    watching.start()
    observer.have_patience(0.2)
    observer.stand_down()
    watching.join(5)
    assert not watching.is_alive()
    assert killed == []
