"""Processes that watch each other, here as threads: what each says and when it ends."""

import os
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from unittest.mock import Mock

import pytest

from tagseg.errors import NonFiniteLoss, TagsegError
from tagseg.training import liveness
from tagseg.training.liveness import Place, Watch, place_by_environment, place_by_trainer, port_beside, watched


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def said(monkeypatch):
    """What is said, and how often a process is ended; the clocks run fast."""
    lines: list[str] = []
    monkeypatch.setattr(liveness, "_say", lambda message, kind: lines.append(f"{kind}: {message}"))
    monkeypatch.setattr(os, "_exit", lambda code: lines.append(f"exit {code}"))
    for name, seconds in {"EVERY": 0.05, "SILENCE": 0.4, "GRACE": 0.1, "JOIN": 0.5}.items():
        monkeypatch.setattr(liveness, name, seconds)
    return lines


@pytest.fixture
def together(said):
    """Three watches that have met."""
    port = free_port()
    watches = [Watch(Place(rank, 3, "127.0.0.1", port)) for rank in range(3)]
    for one in watches:
        one.start()
    until(lambda: len(watches[0].connections) == 2 and all(one.connections for one in watches))
    yield watches
    for one in watches:
        one.close(liveness.DONE)


def until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_nobody_is_missed_who_is_there_or_has_said_goodbye(together, said):
    time.sleep(1.0)  # longer than a silence would be taken for an end
    together[2].close(liveness.DONE)
    time.sleep(0.2)
    together[0].close(liveness.DONE)
    together[1].close(liveness.DONE)
    time.sleep(0.2)
    assert said == []


def test_a_process_that_ends_without_a_word_ends_the_others(together, said):
    together[1].over.set()
    together[1].connections[0].shutdown(socket.SHUT_RDWR)
    until(lambda: "exit 2" in said)
    assert said[0] == "error: lost process 1 of this training (it has ended without a word)"


def test_a_process_that_tells_its_error_itself_leaves_that_to_others_that_meet_it_too(together, said):
    together[1].close(liveness.FAILED)
    together[0].close(liveness.FAILED)
    together[2].close(liveness.FAILED)
    time.sleep(0.3)
    assert said == []


def test_one_that_is_not_told_about_an_error_is_ended(together, said):
    together[1].close(liveness.FAILED)
    until(lambda: "exit 2" in said)
    assert said[0].startswith("error: lost process 1 of this training (it has ended with an error")


def test_a_process_that_falls_silent_is_lost(together, said):
    together[2].over.set()  # its thread that sends is done, its connection stays
    until(lambda: "exit 2" in said)
    assert said[0].startswith("error: lost process 2 of this training (no sign of life")


def test_a_process_that_never_comes_is_lost(said):
    first = Watch(Place(0, 2, "127.0.0.1", free_port()))
    first.start()
    until(lambda: "exit 2" in said)
    assert said[0].startswith("error: lost process 1 of this training (it has not come")
    first.close(liveness.DONE)


def test_a_child_that_dies_before_it_has_come_is_told_before_others_who_ask_know_of_it(said, monkeypatch):
    """Lightning asks every few seconds, and ends all processes then, without a word."""
    monkeypatch.setattr(liveness, "JOIN", 60.0)
    children = [subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(2)]
    try:
        with watched(Place(0, 3, "127.0.0.1", free_port()), lambda: children):
            until(lambda: sum(thread.name == "liveness" for thread in threading.enumerate()) >= 4)
            children[1].kill()
            until(lambda: children[1].poll() is not None)  # as Lightning asks
            until(lambda: said)
        assert said[0] == "error: lost process 2 of this training (killed by signal 9)"
    finally:
        for child in children:
            child.kill()


def test_strangers_are_sent_away(said):
    port = free_port()
    first = Watch(Place(0, 2, "127.0.0.1", port))
    first.start()
    for hello in (b"GET / HTTP", liveness.HELLO + (7).to_bytes(4, "big"), b""):
        until(partial(can_send, port, hello))
    time.sleep(0.1)
    assert not first.connections
    first.close(liveness.DONE)


def can_send(port: int, hello: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as stranger:
            stranger.sendall(hello)
            return True
    except OSError:
        return False


def test_a_port_that_is_taken_is_told_and_the_training_goes_on_unwatched(said):
    with socket.create_server(("127.0.0.1", 0)) as other, watched(Place(0, 2, "127.0.0.1", other.getsockname()[1])):
        until(lambda: said)
    assert said[0].startswith("warning: processes are not watched (127.0.0.1:")


@pytest.mark.parametrize(
    ("error", "last"),
    [
        (TagsegError("a photo"), liveness.FAILED),
        (NonFiniteLoss("nan"), liveness.DONE),
        (KeyboardInterrupt(), liveness.DONE),
    ],
)
def test_the_last_word_says_whether_all_end_alike(said, error, last):
    port, heard = free_port(), []

    def first() -> None:
        with socket.create_server(("127.0.0.1", port)) as server:
            connection, _ = server.accept()
            while chunk := connection.recv(64):
                heard.append(chunk)

    listener = threading.Thread(target=first)
    listener.start()

    def fail() -> None:
        with watched(Place(1, 2, "127.0.0.1", port)):
            until(lambda: heard)
            raise error

    with pytest.raises(type(error)):
        fail()
    listener.join(5)
    assert last in b"".join(heard)


def test_places_are_those_of_torchrun_or_of_lightning(monkeypatch):
    for name in ("TORCHELASTIC_RUN_ID", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert place_by_environment() is None
    around = Mock(main_address="b", main_port=20)
    trainer = Mock(world_size=3, global_rank=2, strategy=Mock(cluster_environment=around))
    assert place_by_trainer(trainer) == Place(2, 3, "b", 21)
    assert place_by_trainer(Mock(world_size=1)) is None
    variables = {"RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "a", "MASTER_PORT": "7", "TORCHELASTIC_RUN_ID": "x"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert place_by_environment() == Place(1, 4, "a", 8)
    assert place_by_trainer(trainer) is None, "it is watched from the beginning"
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert place_by_environment() is None
    assert port_beside(65_535) == 65_534
