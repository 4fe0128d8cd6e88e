"""Requests that are too large are refused while they are read, slow ones when nothing comes, too many at once.

Nothing of a body is kept here: what reads it sees an error as soon as it has become too large.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException

from tagseg.serving.answers import App, Message, Receive, Scope, Send, answer_error, error_messages, header
from tagseg.serving.limits import Limits, in_megabytes

_CLOSE = (b"connection", b"close")
_DRAINED = 2.0
"""Seconds in which what is still sent is thrown away, so that a client that is still sending sees the answer."""


class BodyLimit:
    """ASGI middleware.

    Args:
        app: what is protected.
        limits: its ``bytes``, ``requests`` and ``seconds``.
    """

    def __init__(self, app: App, limits: Limits) -> None:
        self._app, self._limits = app, limits
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, watched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._running >= self._limits.requests:
            line = f"the server is busy with {self._running} requests, expected fewer at a time: try again in a moment"
            await answer_error(send, 503, line, (b"retry-after", b"1"), _CLOSE)
            return
        self._running += 1
        try:
            await self._watched(scope, receive, send)
        finally:
            self._running -= 1

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        watch = _Watch(receive, send, self._limits)
        length = header(scope, b"content-length") or "0"
        if not length.isdecimal() or int(length) > self._limits.bytes:
            start, body = error_messages(413, watch.line(), _CLOSE, last=False)
            await watch.send(start)
            await watch.send(body)
            await watch.drain()
            await watch.send({"type": "http.response.body", "body": b""})
            return
        try:
            await self._app(scope, watch.receive, watch.send)
        except asyncio.TimeoutError:  # a client that takes no answer: the connection ends
            return


@dataclass
class _Watch:
    """One request: counts the bytes that are received and limits the time that each part may take."""

    source: Receive
    sink: Send
    limits: Limits
    received: int = 0
    whole: bool = False
    refused: bool = field(default=False)

    def line(self) -> str:
        most = in_megabytes(self.limits.bytes)
        return f"the request is larger than {most}, expected at most that: make the photo smaller, or start tagseg " \
            "serve with a larger --max_bytes"  # fmt: skip

    async def receive(self) -> Message:
        if self.whole:
            return await self.source()  # waits until the client is gone, which may take any time
        try:
            message = await asyncio.wait_for(self.source(), self.limits.seconds)
        except asyncio.TimeoutError:
            self.refused = True
            line = f"nothing came for {self.limits.seconds:g} seconds, expected the rest of the request: send it again"
            raise HTTPException(408, line, {"connection": "close"}) from None
        self.received += len(message.get("body", b""))
        self.whole = not message.get("more_body", False)
        if self.received > self.limits.bytes:
            self.refused = True
            raise HTTPException(413, self.line(), {"connection": "close"})
        return message

    async def send(self, message: Message) -> None:
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if last and self.refused and not self.whole:
            await self._send({**message, "more_body": True})
            await self.drain()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _send(self, message: Message) -> None:
        await asyncio.wait_for(self.sink(message), self.limits.seconds)

    async def drain(self) -> None:
        """Throw away what is still sent, for a short time."""

        async def rest() -> None:
            more = True
            while more:
                message = await self.source()
                more = message["type"] == "http.request" and message.get("more_body", False)

        try:
            await asyncio.wait_for(rest(), _DRAINED)
        except asyncio.TimeoutError:
            return
