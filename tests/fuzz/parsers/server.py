"""Requests to the page's server, passed to its application: method and address, headers, an empty line, the body."""

from __future__ import annotations

import asyncio
import functools
import io
import json
import tempfile
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import unquote_to_bytes

from PIL import Image

from tagseg.serving.app import make_app
from tagseg.serving.collection import Collection
from tagseg.serving.guard import Rules
from tagseg.training.train import train

from ...conftest import make_folder, tiny_network
from ...serving.served import serving_of
from ...training.conftest import frozen_config
from ..parser import Case, Parser

Answer = tuple[int, bytes]
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS")
_BORDER = b"--border"


def _photo() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (9, 7), (200, 10, 10)).save(file, "PNG")
    return file.getvalue()


def _form() -> bytes:
    head = b'\r\ncontent-disposition: form-data; name="photo"; filename="a.png"\r\ncontent-type: image/png\r\n\r\n'
    crf = b'\r\ncontent-disposition: form-data; name="crf"\r\n\r\nfalse\r\n'
    return _BORDER + head + _photo() + b"\r\n" + _BORDER + crf + _BORDER + b"--\r\n"


def _trying(rng: Random) -> Case:
    result = rng.choice(("x", "a" * 32, "%00", "..%2f..%2fetc"))
    body: Any = {"ids": [result], "formats": rng.choice((["png"], ["npz"], ["coco", "png"], []))}
    requests = [
        ("POST /api/segment", _form()),
        ("POST /api/segment", _form()),
        ("POST /api/results/zip", json.dumps(body).encode()),
        (f"GET /api/results/{result}/probability?x={rng.randrange(9)}&y=0", b""),
        (f"GET /api/results/{result}/mask.png", b""),
        ("GET /api/info", b""),
        ("GET /", b""),
        ("GET /static/page.js", b""),
    ]
    return _case(*rng.choice(requests))


def _correcting(rng: Random) -> Case:
    photo = f"/api/photos/PHOTO{rng.randrange(3)}"
    tags = rng.sample(range(1, 4), rng.randint(0, 3))
    state = rng.choice(("open", "accepted", "rejected"))
    requests = [
        (f"PUT {photo}/tags", json.dumps({"tags": tags}).encode()),
        (f"PUT {photo}/state", json.dumps({"state": state, "version": rng.choice((None, 1))}).encode()),
        ("PUT /api/share", json.dumps({"share": rng.choice((None, 0.0, 0.3, 1.0))}).encode()),
        ("POST /api/undo", b""),
        ("POST /api/redo", b""),
        (f"GET /api/photos?order=worst&label={rng.randrange(4)}&state=open&offset=0&limit=10", b""),
        (f"GET {photo}", b""),
        (f"GET {photo}/mask.png?v=1", b""),
        (f"GET {photo}/thumb.jpg", b""),
        ("GET /api/history", b""),
        ("POST /api/photos/zip", b'{"formats": ["png"]}'),
    ]
    return _case(*rng.choice(requests))


def _case(line: str, body: bytes) -> Case:
    return Case("request", line.encode() + b"\nhost: 127.0.0.1\norigin: http://127.0.0.1\n\n" + body)


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


@functools.cache
def _application(corrected: bool, folder: Path) -> tuple[Any, tuple[str, ...]]:
    """The application, all of whose files are in the folder, and the photos of its collection."""
    tempfile.tempdir = str(folder)
    network = tiny_network()
    if not corrected:
        return make_app(serving_of(network), Rules()), ()
    config = frozen_config(
        make_folder(folder / "photos"), folder / "runs" / "tiny", features={"size": 64}, run={"steps": 20, "batch": 4}
    )
    run = train(config).folder
    collection = Collection.open(run)
    _, rows = collection.photos("name", limit=100)
    return make_app(serving_of(run, collection), Rules()), tuple(row.id for row in rows)


def _read_trying(path: Path) -> Answer:
    return _answer(path.read_bytes(), *_application(False, path.parent))


def _read_correcting(path: Path) -> Answer:
    return _answer(path.read_bytes(), *_application(True, path.parent))


def _answer(content: bytes, app: Any, photos: tuple[str, ...]) -> Answer:
    for number, photo in enumerate(photos[:3]):
        content = content.replace(b"PHOTO%d" % number, photo.encode())
    head, _, body = content.partition(b"\n\n")
    line, *lines = head.split(b"\n")
    headers = [(name.strip().lower(), value.strip()) for name, _, value in (each.partition(b":") for each in lines)]
    method, _, target = line.partition(b" ")
    raw, _, query = target.partition(b"?")
    form = body.startswith(_BORDER)
    kind = b"multipart/form-data; boundary=border" if form else b"application/json"
    if b"/api/update" in unquote_to_bytes(raw):  # trains
        return 404, b'{"error": "not asked"}'
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method.decode("latin-1") if method.decode("latin-1") in METHODS else "POST",
        "scheme": "http",
        "path": unquote_to_bytes(raw).decode("utf-8", "replace"),
        "raw_path": raw,
        "query_string": query,
        "root_path": "",
        "headers": [*headers, (b"content-type", kind), (b"content-length", b"%d" % len(body))],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    return _loop().run_until_complete(_asked(app, scope, body))


async def _asked(app: Any, scope: dict[str, Any], body: bytes) -> Answer:
    sent, status, parts = False, 0, []

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            await asyncio.sleep(3600)  # the client stays
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return status, b"".join(parts)


def _told(value: Answer, case: Case) -> str:
    """An answer, or an error of the request in one line; never one of the server."""
    status, body = value
    if 200 <= status < 400:
        return ""
    if not 400 <= status < 500:
        return f"the status {status}: {body[:200]!r}"
    if case.content.startswith((b"HEAD", b"OPTIONS")):
        return ""
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return f"the status {status} without an error in JSON: {body[:200]!r}"
    return "" if len(str(error).splitlines()) == 1 else f"an error of several lines: {error!r}"


_WORDS = (
    *(b"GET ", b"PUT ", b"/api/", b"PHOTO0", b"%00", b"%ff", b"..%2f", b"?x=", b"&limit=99999999999999999999", b"null"),
    *(
        b"[]",
        b"{}",
        b"true",
        b"-1",
        b"1e400",
        b"[1,1]",
        b'"accepted"',
        b'"tags"',
        b"\r\n",
        b"--border",
        b'name="photo"',
    ),
    *(b"origin: http://[", b"host: [", b"cookie: a=", b"content-length: -1", b"content-type: x", b"range: bytes=9-1"),
    *(b'filename="../../x"', b'filename="\xff\0"'),
)

PARSERS = (
    Parser("api_try", _trying, _read_trying, _WORDS, _told, share=0.1, quiet=False, seconds=20),
    Parser("api_correct", _correcting, _read_correcting, _WORDS, _told, share=0.1, quiet=False, seconds=60, heavy=True),
)
