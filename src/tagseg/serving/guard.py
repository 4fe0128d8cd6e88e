"""Who may ask: a token, the addresses that the server answers under, no writes from other sites; and what pages may do.

A page of any site can send requests to a server on this machine. It cannot read the answers, as there are no CORS
headers; it is kept from writing by its ``Origin``, and from passing for this server under a name of its own (DNS
rebinding) by the ``Host``.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from tagseg.serving.answers import App, Message, Receive, Scope, Send, answer_error, header

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names of this machine that a browser on it uses."""
_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_READS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Rules:
    """Who may ask.

    Attributes:
        hosts: names that the ``Host`` header may have; ``None``: any, which needs a token.
        token: what each request must show, as a cookie or ``Authorization: Bearer TOKEN``; ``None``: nothing.
        cookie: its name; browsers share cookies among the ports of a host, and each may have a server.
    """

    hosts: frozenset[str] | None = LOOPBACK
    token: str | None = None
    cookie: str = "tagseg_token"


class Guard:
    """ASGI middleware that stands before everything else.

    Args:
        app: what is protected.
        rules: who may ask.
    """

    def __init__(self, app: App, rules: Rules) -> None:
        self._app, self._rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request or pass it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message.get("headers", ())}
                message["headers"] = [*message.get("headers", ()), *(pair for pair in _HEADERS if pair[0] not in own)]
            await send(message)

        refused = self._wrong_host(scope) or self._cross_origin(scope)
        if refused:
            await answer_error(with_headers, 403, refused)
        elif self._rules.token is None or self._shows_token(scope):
            await self._app(scope, receive, with_headers)
        elif self._is_first_visit(scope):
            await self._greet(with_headers)
        else:
            line = "no valid token, expected it as cookie or as Authorization: Bearer TOKEN: open the address that " \
                "tagseg serve printed"  # fmt: skip
            await answer_error(with_headers, 401, line, (b"www-authenticate", b"Bearer"))

    def _wrong_host(self, scope: Scope) -> str | None:
        hosts = self._rules.hosts
        if hosts is None or _host_name(header(scope, b"host") or "") in hosts:
            return None
        return "the Host header is none of this machine's own names, expected localhost or 127.0.0.1: use one of these"

    def _cross_origin(self, scope: Scope) -> str | None:
        """Whether a page of another site wants to write; programs that are no browser send neither header."""
        if scope["method"] in _READS:
            return None
        site, origin = header(scope, b"sec-fetch-site"), header(scope, b"origin")
        same = site in (None, "same-origin", "none")
        if same and (origin is None or _place_of(origin) == (header(scope, b"host") or "").lower()):
            return None
        return "a page of another site wants to write here, expected requests of the page of tagseg serve alone"

    def _shows_token(self, scope: Scope) -> bool:
        kind, _, given = (header(scope, b"authorization") or "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(given.strip()):
            return True
        try:
            cookie = SimpleCookie(header(scope, b"cookie") or "").get(self._rules.cookie)
        except CookieError:
            return False
        return cookie is not None and self._is_token(cookie.value)

    def _is_first_visit(self, scope: Scope) -> bool:
        """Whether it is the address that was printed: ``/?token=TOKEN``."""
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])
        return bool(scope["method"] == "GET" and scope["path"] == "/" and self._is_token(given[0]))

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), (self._rules.token or "").encode())

    async def _greet(self, send: Send) -> None:
        """Keep the token as a cookie and go on to the page, so that it leaves the address bar."""
        cookie = f"{self._rules.cookie}={self._rules.token}; HttpOnly; SameSite=Lax; Path=/"
        headers = [(b"location", b"/"), (b"set-cookie", cookie.encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def _place_of(origin: str) -> str:
    """Host and port of an ``Origin`` header; empty where it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _host_name(host: str) -> str:
    """The name of a ``Host`` header, without port; empty where it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
