import asyncio
import os
import signal
import socket
import threading
import time

import pytest

from tagseg.serving import listening
from tagseg.serving.serve import Address, _shown, rules_of

from ..conftest import assert_refused


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_a_port_that_is_taken_is_told(taken):
    assert_refused(lambda: listening.listen("127.0.0.1", taken), f"the port {taken} of 127.0.0.1 is taken")


def test_without_a_port_the_next_free_one_is_taken(taken, monkeypatch):
    monkeypatch.setattr(listening, "PORT", taken)
    with listening.listen("127.0.0.1", None) as found:
        assert taken < found.getsockname()[1] < taken + 20


@pytest.mark.parametrize(
    ("host", "port", "part"),
    [
        ("127.0.0.1", 70_000, "port is 70000, expected 0"),
        ("127.0.0.1", -1, "port is -1"),
        ("no.such.host.invalid", 0, "is not known here"),
        ("192.0.2.1", 0, "expected an address of this machine"),
    ],
)
def test_addresses_that_are_none_are_told(host, port, part):
    assert_refused(lambda: listening.listen(host, port), part)


def test_only_other_machines_need_a_token():
    with listening.listen("127.0.0.1", 0) as bound:
        rules = rules_of(bound, Address())
        assert rules.token is None
        assert rules.hosts == {"localhost", "127.0.0.1", "::1"}
        assert _shown(bound, "127.0.0.1", rules) == f"http://127.0.0.1:{bound.getsockname()[1]}/"
        assert rules_of(bound, Address(token="a-token-of-mine")).token == "a-token-of-mine"
        for token in ("short", "with spaces in it", "semi;colons;in;it", ""):
            assert_refused(lambda token=token: Address(token=token), "token is not as expected")
    with listening.listen("0.0.0.0", 0) as bound:
        first, second = (rules_of(bound, Address("0.0.0.0")) for _ in range(2))
        assert first.token
        assert len(first.token) >= 32
        assert first.token != second.token
        assert first.hosts is None
        address = _shown(bound, "0.0.0.0", first)
        assert address == f"http://{socket.gethostname()}:{bound.getsockname()[1]}/?token={first.token}"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "notebook"), [(signal.SIGTERM, False), (signal.SIGINT, True)])
def test_a_signal_ends_the_server_at_once_and_is_told(number, notebook):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await receive()  # never ends by itself: the client neither goes on nor leaves
        await receive()

    before = signal.getsignal(number)
    with listening.listen("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        held: list[bytes] = []
        ended = threading.Event()

        def end():
            with socket.create_connection(("127.0.0.1", port), 10) as open_one:
                open_one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                held.append(open_one.recv(10))
                os.kill(os.getpid(), number)
                ended.wait(20)

        thread = threading.Thread(target=end)
        thread.start()
        began = time.monotonic()
        if notebook:

            async def cell():
                return listening.run(app, bound)

            assert asyncio.run(cell()) == number
        else:
            assert listening.run(app, bound) == number
        assert time.monotonic() - began < 8  # two seconds where the machine is not busy
        ended.set()
        assert held[0].startswith(b"HTTP")
        assert signal.getsignal(number) == before
        thread.join()
