"""Error answers at the level of the connection, for what stands before the application."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of a lower-case name; ``None`` where there is none."""
    found = next((value for key, value in scope["headers"] if key == name), None)
    return None if found is None else found.decode("latin-1")


def error_messages(status: int, line: str, *more: tuple[bytes, bytes], last: bool = True) -> tuple[Message, Message]:
    """The answer ``{"error": line}``.

    Args:
        status: of HTTP.
        line: what is wrong.
        more: headers.
        last: whether the connection may end with it.
    """
    body = json.dumps({"error": line}, ensure_ascii=False).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
    start = {"type": "http.response.start", "status": status, "headers": headers}
    return start, {"type": "http.response.body", "body": body, "more_body": not last}


async def answer_error(send: Send, status: int, line: str, *more: tuple[bytes, bytes]) -> None:
    """Send ``{"error": line}``."""
    for message in error_messages(status, line, *more):
        await send(message)
