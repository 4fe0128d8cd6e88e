"""Processes of a training that watch each other: one that dies, hangs or is cut off ends the others, with a line.

The sums over all processes do not see to that. A process that waits for one that is gone waits half an hour, before the
first step and where no connection tells of the end: a machine without power, a cable pulled. So each process sends the
first one a byte a second over a connection of its own, and the first one answers.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tagseg.errors import Collapsed, NonFiniteLoss

if TYPE_CHECKING:
    from subprocess import Popen

    from lightning.pytorch import Trainer

BEAT, DONE, FAILED = b".", b"q", b"x"
HELLO = b"tagseg"
EVERY = 1.0
"""Seconds between two bytes."""
SILENCE = 12.0
"""Seconds without a byte after which a process is lost."""
GRACE = 5.0
"""Seconds that this process then has to end by itself, with its own error, e.g. of a connection that is gone."""
JOIN = 300.0
"""Seconds that processes may take to start, one after the other."""


@dataclass(frozen=True)
class Place:
    """A process among those of a training.

    Attributes:
        rank: its number; 0 is the first.
        world: how many there are.
        address: of the first one's machine.
        port: on it, where the first one listens.
    """

    rank: int
    world: int
    address: str
    port: int


def place_by_environment() -> Place | None:
    """By the variables of ``torchrun``; ``None`` without it, or for one process alone."""
    if "TORCHELASTIC_RUN_ID" not in os.environ or os.environ["WORLD_SIZE"] == "1":
        return None
    rank, world, port = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "MASTER_PORT"))
    return Place(rank, world, os.environ["MASTER_ADDR"], port_beside(port))


def place_by_trainer(trainer: Trainer) -> Place | None:
    """By Lightning, which has found SLURM or starts the others itself; ``None`` for one process alone."""
    around = getattr(trainer.strategy, "cluster_environment", None)
    if trainer.world_size == 1 or around is None or place_by_environment() is not None:
        return None
    return Place(trainer.global_rank, trainer.world_size, around.main_address, port_beside(around.main_port))


def port_beside(port: int) -> int:
    """The port where processes are watched, of that where they meet: the next one."""
    return port + 1 if port < 65_535 else port - 1


def children_of(trainer: Trainer) -> list[Popen[bytes]]:
    """The processes that Lightning has started from this one; none before it does, or where others start them."""
    return getattr(trainer.strategy.launcher, "procs", [])


@contextmanager
def watched(place: Place | None, children: Callable[[], list[Popen[bytes]]] = list) -> Iterator[None]:
    """Watch the other processes, and be watched, while something goes on; nothing happens where there are none.

    An end that all processes come to (done, stopped, a loss that is not finite) is said goodbye for; after any other
    error the others are ended.

    Args:
        place: of this process.
        children: that it has started. One that dies is told of; Lightning, which looks at them too, then ends all.
    """
    if place is None:
        yield
        return
    watch = Watch(place, children)
    watch.start()
    try:
        yield
    except (KeyboardInterrupt, NonFiniteLoss, Collapsed):
        watch.close(DONE)
        raise
    except BaseException:
        watch.close(FAILED)
        raise
    watch.close(DONE)


@dataclass
class Watch:
    """The connections of one process.

    Attributes:
        place: of this process.
        children: that it has started.
        connections: of the first process to each other one, of each other one to the first; by rank.
        over: set where nobody is missed any more.
        last: the last word, once it is said.
    """

    place: Place
    children: Callable[[], list[Popen[bytes]]] = list
    connections: dict[int, socket.socket] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)
    last: bytes = DONE

    def start(self) -> None:
        """In threads of their own, beside whatever this process does."""
        for work in (self._accept if self.place.rank == 0 else self._connect, self._beat):
            threading.Thread(target=work, daemon=True, name="liveness").start()

    def close(self, last: bytes) -> None:
        """Miss nobody any more, and end the connections with a last word."""
        self.last = last
        self.over.set()
        for connection in list(self.connections.values()):
            self._part(connection)

    def _part(self, connection: socket.socket) -> None:
        with suppress(OSError):
            connection.sendall(self.last)
            connection.shutdown(socket.SHUT_WR)

    def _accept(self) -> None:
        """Take the connections of all others."""
        deadline = time.monotonic() + JOIN
        try:
            server = socket.create_server((self.place.address, self.place.port))
        except OSError as error:
            _say(f"processes are not watched ({self.place.address}:{self.place.port}: {error.strerror})", "warning")
            return
        server.settimeout(EVERY)
        with server:
            while len(self.connections) < self.place.world - 1 and not self.over.is_set():
                if time.monotonic() > deadline:
                    missing = set(range(1, self.place.world)) - self.connections.keys()
                    self._lose(min(missing), f"it has not come in {JOIN:.0f} s")
                with suppress(OSError):
                    self._greet(server.accept()[0])

    def _greet(self, connection: socket.socket) -> None:
        """Note whose connection it is; a stranger's is closed."""
        connection.settimeout(SILENCE)
        hello = connection.recv(len(HELLO) + 4)
        rank = int.from_bytes(hello[len(HELLO) :], "big")
        if hello[: len(HELLO)] != HELLO or not 0 < rank < self.place.world or rank in self.connections:
            connection.close()
            return
        self._keep(rank, connection)

    def _connect(self) -> None:
        """Connect to the first process, which may start later."""
        deadline = time.monotonic() + JOIN
        while not self.over.is_set():
            try:
                connection = socket.create_connection((self.place.address, self.place.port), timeout=SILENCE)
            except OSError:
                if time.monotonic() > deadline:  # the first one may not watch at all: then nobody does
                    return
                time.sleep(EVERY)
                continue
            connection.sendall(HELLO + self.place.rank.to_bytes(4, "big"))
            self._keep(0, connection)
            return

    def _keep(self, rank: int, connection: socket.socket) -> None:
        self.connections[rank] = connection
        if self.over.is_set():  # closed meanwhile, perhaps without this one
            self._part(connection)
            return
        threading.Thread(target=self._listen, args=(rank, connection), daemon=True, name="liveness").start()

    def _beat(self) -> None:
        attended = 0
        while not self.over.wait(EVERY):
            for number, child in enumerate(self.children()[attended:], attended + 1):
                threading.Thread(target=self._attend, args=(number, child), daemon=True, name="liveness").start()
                attended = number
            for connection in list(self.connections.values()):
                with suppress(OSError):  # who listens to it notices
                    connection.send(BEAT)

    def _attend(self, number: int, child: Popen[bytes]) -> None:
        """Until a child has ended. Waiting tells of it at once, before Lightning, which looks every few seconds."""
        code = child.wait()
        if code and number not in self.connections:  # others have a connection that ends
            self._lose(number, f"killed by signal {-code}" if code < 0 else f"exit code {code}")

    def _listen(self, rank: int, connection: socket.socket) -> None:
        """Until the other one says goodbye, or is lost."""
        while True:
            try:
                heard = connection.recv(64)
            except TimeoutError:
                return self._lose(rank, f"no sign of life for {SILENCE:.0f} s")
            except OSError as error:
                return self._lose(rank, error.strerror or str(error))
            if DONE in heard:
                return None
            if FAILED in heard:
                return self._lose(rank, "it has ended with an error, which it tells", told=True)
            if not heard:
                return self._lose(rank, "it has ended without a word")

    def _lose(self, rank: int, how: str, told: bool = False) -> None:
        """Say so; end this process if it does not end by itself, as one that meets the same error does."""
        line = f"lost process {rank} of this training ({how})"
        if self.over.is_set():
            return
        if not told:
            _say(line, "error")
        if not self.over.wait(GRACE):
            if told:
                _say(line, "error")
            os._exit(2)  # the main thread waits where no exception comes


def _say(message: str, kind: str) -> None:
    """In one piece, whatever the main thread does."""
    os.write(2, f"tagseg: {kind}: {message}\n".encode())
