"""A Hugging Face hub on this machine: what its client asks for to download a file, and to upload a folder."""

import base64
import json
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub(BaseHTTPRequestHandler):
    """Repositories of the owner ``me``.

    Answers ``/api/models/me/NAME[/revision/REVISION]``, ``/me/NAME/resolve/REVISION/FILE`` and what an upload requests;
    ``missing``, ``gated``, ``broken`` and ``forbidden`` are repositories that do so with an error.

    Attributes:
        port: where it listens.
        files: ``NAME/FILE`` → content.
        seen: the requests so far.
        created: the repositories that were made, each as it was asked for.
    """

    port: int
    files: dict[str, bytes]
    seen: list[str]
    created: list[dict[str, object]]

    def do_HEAD(self):
        self.give()

    def do_GET(self):
        self.give()

    def do_POST(self):
        self.seen.append(f"POST {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = self.path.split("?")[0].strip("/").split("/")
        if "forbidden" in (parts[3:4] or [""]):
            self.answer(403, b"{}")
        elif self.path == "/api/repos/create":
            asked = json.loads(body)
            if asked["name"] in ("missing", "forbidden"):
                self.answer(401 if asked["name"] == "missing" else 403, b"{}")
                return
            there = any(key.startswith(f"{asked['name']}/") for key in self.files)
            if not there:
                self.created.append(asked)
            url = json.dumps({"url": f"http://127.0.0.1:{self.port}/me/{asked['name']}"})
            self.answer(409 if there else 200, url.encode())
        elif parts[-2] == "preupload":
            chosen = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]
            self.answer(200, json.dumps({"files": chosen}).encode())
        elif parts[-2] == "commit":
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.files[f"{parts[3]}/{entry['value']['path']}"] = base64.b64decode(entry["value"]["content"])
            url = f"http://127.0.0.1:{self.port}/me/{parts[3]}/commit/{COMMIT}"
            self.answer(200, json.dumps({"commitUrl": url, "commitOid": COMMIT, "success": True}).encode())
        else:  # /api/validate-yaml
            self.answer(200, json.dumps({"errors": [], "warnings": []}).encode())

    def give(self):
        self.seen.append(f"{self.command} {self.path}")
        asks_facts = self.path.startswith("/api/models/")
        parts = self.path.removeprefix("/api/models").split("?")[0].strip("/").split("/")
        name, revision, file = parts[1], parts[3] if len(parts) > 3 else "main", "/".join(parts[4:])
        if name == "missing":
            self.answer(401, b"", "RepoNotFound")
        elif name == "broken":
            self.answer(500, b"")
        elif revision not in ("main", "v1", COMMIT):
            self.answer(404, b"", "RevisionNotFound")
        elif asks_facts:
            siblings = [{"rfilename": key.partition("/")[2]} for key in self.files if key.startswith(f"{name}/")]
            facts = {"id": f"me/{name}", "sha": COMMIT, "siblings": siblings, "private": self.is_private(name)}
            self.answer(200, json.dumps(facts).encode())
        elif name == "gated":
            self.answer(403, b"", "GatedRepo")
        elif f"{name}/{file}" not in self.files:
            self.answer(404, b"", "EntryNotFound")
        else:
            self.answer(200, self.files[f"{name}/{file}"])

    def is_private(self, name: str) -> bool:
        asked = next((asked for asked in self.created if asked["name"] == name), {})
        return asked.get("visibility") == "private" or bool(asked.get("private"))

    def answer(self, status: int, body: bytes, code: str = "") -> None:
        self.send_response(status)
        for key, value in {"X-Error-Code": code, "X-Repo-Commit": COMMIT, "ETag": f'"{zlib.crc32(body):x}"'}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def fake_hub(files: dict[str, bytes], cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeHub]]:
    """Such a hub as the one that the client talks to, with these files and an empty cache."""
    handler: type[FakeHub] = type("Handler", (FakeHub,), {"files": files, "seen": [], "created": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    with_endpoint(monkeypatch, f"http://127.0.0.1:{server.server_port}")
    try:
        yield handler
    finally:
        server.shutdown()
        server.server_close()


def with_endpoint(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Let the client talk to another hub."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    for module in (huggingface_hub.constants, huggingface_hub.file_download):  # the latter: of older versions
        monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
