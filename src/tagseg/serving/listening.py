"""The address that the server listens on, and its life until it is told to end."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

from tagseg.errors import TagsegError

if TYPE_CHECKING:
    import uvicorn

    from tagseg.serving.answers import App

PORT = 8350
"""Where no port is asked for: this one, or the next free one."""
_TRIES = 20
_PATIENCE = 2
"""Seconds in which answers that are being sent are finished when the server ends."""


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens.

    Args:
        host: name or address.
        port: 0 to 65535, 0 for any; ``None``: ``PORT``, or the next one that is free.

    Raises:
        TagsegError: no such host, or the port is taken.
    """
    if port is not None and not 0 <= port <= 65535:
        raise TagsegError(f"port is {port}, expected 0 (any that is free) to 65535")
    ports = range(PORT, PORT + _TRIES) if port is None else (port,)
    for one in ports:
        bound = _bound(host, one)
        if bound is not None:
            return bound
    if port is None:
        raise TagsegError(f"the ports {ports[0]} to {ports[-1]} of {host} are taken, expected a free one: --port 0")
    raise TagsegError(f"the port {port} of {host} is taken, expected a free one: leave out --port, or choose another")


def _bound(host: str, port: int) -> socket.socket | None:
    """``None`` where the port is taken."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise TagsegError(f"host {host!r} is not known here ({error}), expected e.g. 127.0.0.1 or 0.0.0.0") from None
    found = socket.socket(family, kind, protocol)
    try:
        with suppress(AttributeError):  # Windows has another meaning for it
            if socket.SO_REUSEADDR and not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
                found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(128)
    except OSError as error:
        found.close()
        if isinstance(error, PermissionError):
            raise TagsegError(
                f"the port {port} of {host} may not be used by this user: choose one above 1023"
            ) from None
        if error.errno == errno.EADDRINUSE:
            return None
        raise TagsegError(
            f"cannot listen on {host} port {port} ({error.strerror}), expected an address of this machine"
        ) from error
    return found


def is_loopback(bound: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(bound.getsockname()[0].partition("%")[0]).is_loopback


def server_of(app: App) -> uvicorn.Server:
    """A server that is quiet, has one process, and leaves signals alone."""
    import uvicorn

    class Server(uvicorn.Server):
        """Ends by ``should_exit`` alone."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Not here: ``run`` does."""
            yield

    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # older ones tell of each byte after a form's end
    config = uvicorn.Config(
        app, http="h11", ws="none", loop="asyncio", lifespan="off", log_config=None, log_level="critical",
        access_log=False, server_header=False, proxy_headers=False, timeout_graceful_shutdown=_PATIENCE,
    )  # fmt: skip
    return Server(config)


def run(app: App, bound: socket.socket) -> int | None:
    """Serve until a signal ends it.

    Returns:
        The signal, SIGINT or SIGTERM; ``None`` where signals are not ours, as in a thread, and it ended otherwise.
    """
    server = server_of(app)
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        server.force_exit = bool(received)  # the second time at once
        server.should_exit = True
        received.append(number)

    with _handled(stop):
        if _in_event_loop():
            _run_beside(server, bound)
        else:
            server.run(sockets=[bound])
    return received[0] if received else None


def _in_event_loop() -> bool:
    """Whether the caller runs in one, as the cells of a notebook do; a second one cannot run in the same thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run_beside(server: uvicorn.Server, bound: socket.socket) -> None:
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="tagseg-listening", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.2)


@contextmanager
def _handled(stop: signal._HANDLER) -> Iterator[None]:
    """Signals handled by ``stop``; afterwards as before. Only the main thread may do that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
