import socket
import time

import pytest

from tagseg.serving.limits import Limits

from .served import assert_told, encoded, photo_array, running, segmented, send, serving_of

LIMITS = Limits(bytes=200_000, seconds=0.5, requests=20)


@pytest.fixture(scope="module")
def served(tiny):
    with running(serving_of(tiny, limits=LIMITS)) as client:
        yield client


def raw(client, text: bytes, then: bytes = b"", pause: float = 0.0) -> bytes:
    """What a server answers to these bytes; the connection is left open by the client."""
    with socket.create_connection((client.base_url.host, client.base_url.port), 20) as connection:
        connection.sendall(text)
        time.sleep(pause)
        if then:
            connection.sendall(then)
        parts = []
        while part := connection.recv(65_536):
            parts.append(part)
        return b"".join(parts)


def head(*headers: str, path: str = "/api/segment") -> bytes:
    lines = (f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: multipart/form-data; boundary=x", *headers)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


PART = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\n'


def test_an_upload_that_says_to_be_too_large_is_refused_before_it_is_sent(served):
    answer = raw(served, head("Content-Length: 900000000") + PART)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'{"error": "the request is larger than 200,000 bytes' in answer


def test_an_upload_that_does_not_say_how_large_it_is_is_refused_while_it_is_read(served):
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    first = f"{len(PART):x}\r\n".encode() + PART + b"\r\n"
    answer = raw(served, head("Transfer-Encoding: chunked") + first + 4 * chunk)  # and no end
    assert answer.startswith(b"HTTP/1.1 413 ")
    json = raw(served, head("Transfer-Encoding: chunked", path="/api/results/zip") + 4 * chunk)
    assert json.startswith(b"HTTP/1.1 413 ")


def test_a_client_that_sends_too_much_sees_the_answer(served):
    assert_told(send(served, b"x" * 3_000_000), 413, "the request is larger than 200,000 bytes")


def test_a_client_that_sends_nothing_more_is_told_and_others_are_served(served):
    answer = raw(served, head("Content-Length: 5000") + PART)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"nothing came for 0.5 seconds" in answer
    segmented(served, encoded(photo_array()))


def test_a_slow_client_that_goes_on_is_served(served):
    content = PART + encoded(photo_array()) + b"\r\n--x--\r\n"
    start = head(f"Content-Length: {len(content)}", "Connection: close") + content[:100]
    assert raw(served, start, content[100:], 0.2).startswith(b"HTTP/1.1 200 ")


def test_too_many_requests_at_a_time_are_told(tiny):
    with running(serving_of(tiny, limits=Limits(requests=1, seconds=3.0))) as client:
        address = (client.base_url.host, client.base_url.port)
        with socket.create_connection(address, 20) as connection:
            connection.sendall(head("Content-Length: 5000") + PART)
            deadline = time.monotonic() + 2.5
            while (answer := client.get("/api/info")).status_code == 200 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert_told(answer, 503, "busy with 1 requests")
            assert answer.headers["retry-after"] == "1"
        time.sleep(0.2)
        assert client.get("/api/info").status_code == 200


@pytest.mark.parametrize(
    "bytes", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / NOTHING", b"\0" * 99 + b"\r\n\r\n"]
)
def test_what_is_no_http_is_refused(served, bytes):
    answer = raw(served, bytes + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert served.get("/api/info").status_code == 200


@pytest.mark.parametrize("length", ["-1", "ten", "1, 2"])
def test_a_length_that_is_no_number_is_refused(served, length):
    assert raw(served, head(f"Content-Length: {length}")).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 "))
