"""Signals become one exception, and its exit code is the one that shells expect."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tagseg import cli, stopping
from tagseg.stopping import Stopped, exit_code, handled, leave_signals_to_main, line_of, stop_signals, told

pytestmark = pytest.mark.usefixtures("signals_as_in_a_terminal")


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_a_command_in_one_line_with_its_exit_code(monkeypatch, capsys, name, code):
    number = getattr(signal, name)
    before = signal.getsignal(number)
    left: list[list[int]] = []
    monkeypatch.setattr(stopping, "leave_terminal", left.append)
    monkeypatch.setattr(cli, "_dispatch", lambda arguments: os.kill(os.getpid(), number))
    assert cli.main(["train"]) == code
    assert capsys.readouterr().err.strip() == f"tagseg: stopped by {name}"
    assert signal.getsignal(number) is before
    assert len(left) == (name == "SIGHUP"), "a terminal that is gone takes no more output"


def test_a_message_says_more_than_the_signal(monkeypatch, capsys):
    def verb(arguments):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt as stop:
            raise told(stop, "stopped after 3 of 8") from stop

    monkeypatch.setattr(cli, "_dispatch", verb)
    assert cli.main(["predict"]) == 143
    assert capsys.readouterr().err.strip() == "tagseg: stopped after 3 of 8"


def test_ctrl_c_keeps_its_code():
    assert exit_code(KeyboardInterrupt()) == exit_code(told(KeyboardInterrupt(), "x")) == 130
    assert line_of(KeyboardInterrupt()) == "stopped"


def test_a_signal_sent_twice_does_not_disturb_what_is_being_written():
    """Schedulers send it to the process and to its group."""
    written = []

    def work():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5 * stopping.LOOK)
            written.append("tables")

    with stop_signals(), pytest.raises(Stopped):
        work()
    assert written == ["tables"]


class Freed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_stop_that_python_drops_is_raised_again():
    """As it drops what is raised while a process is forked or an object freed."""
    passed = []

    def work():
        freed = Freed()
        del freed
        passed.append("not raised")
        time.sleep(20)

    began = time.monotonic()
    with stop_signals(), pytest.raises(Stopped):
        work()
    assert passed == ["not raised"]
    assert time.monotonic() - began < 15


def test_what_was_ignored_stays_ignored():
    """As with nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_signals_are_left_alone():
    before, inside = signal.getsignal(signal.SIGTERM), []

    def look():
        with handled((signal.SIGTERM,), lambda number, frame: None):
            inside.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert inside == [before]


CHILD = """
import os, signal, sys, time
from tagseg.stopping import {name}
{call}
print("ready", flush=True)
{then}
"""


def test_a_worker_leaves_the_answer_to_the_main_process():
    names = ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1")
    then = "".join(f"os.kill(os.getpid(), signal.{name})\n" for name in names)
    then += "print('still here', signal.alarm(0) > 0, flush=True)"
    code = CHILD.format(name=leave_signals_to_main.__name__, call="leave_signals_to_main(0)", then=then)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[1] == "still here True", "and it ends by itself where nobody ends it"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process that its parent is gone")
def test_a_process_ends_with_the_one_that_started_it():
    code = CHILD.format(name="end_with_parent", call="end_with_parent(signal.SIGKILL)", then="time.sleep(60)")
    outer = (
        "import subprocess, sys, os, signal\n"
        f"child = subprocess.Popen([sys.executable, '-c', {code!r}], stdout=subprocess.PIPE, text=True)\n"
        "child.stdout.readline()\nprint(child.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    started = subprocess.run([sys.executable, "-c", outer], capture_output=True, text=True, timeout=60, check=False)
    child = int(started.stdout)
    for _ in range(500):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        with open(f"/proc/{child}/stat") as state:
            if state.read().rpartition(")")[2].split()[0] == "Z":  # ended; whoever inherited it has not looked yet
                return
        threading.Event().wait(0.01)
    pytest.fail("the process goes on without the one that started it")
