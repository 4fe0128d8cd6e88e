"""The application: routes, and each error as one line of JSON with the status that says whose fault it is."""

# No postponed annotations: FastAPI reads them, and up to 0.115 cannot where a function is wrapped, as in the tests.

import logging
from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tagseg.errors import TagsegError, printable
from tagseg.serving import routes_collection, routes_page, routes_try
from tagseg.serving.answers import App
from tagseg.serving.body_limit import BodyLimit
from tagseg.serving.guard import Guard, Rules
from tagseg.serving.photo_row import OutOfDate, UnknownPhoto
from tagseg.serving.refusals import Refused
from tagseg.serving.state import Serving
from tagseg.serving.workers import Gone

logger = logging.getLogger("tagseg")
_TEXTS = {
    404: "there is nothing at this address, expected / for the page or /docs for the API",
    405: "this address does not take this method, expected one that /docs lists",
}


def make_app(serving: Serving, rules: Rules) -> App:
    """The application of one server.

    Args:
        serving: what is served.
        rules: who may ask.
    """
    app = FastAPI(
        title="tagseg serve",
        version=version("tagseg"),
        description="Try a network on photos, correct the tags of its collection, train again. Labels are integers: "
        "0 is the background, k+1 is class k. Errors are {\"error\": one line}.",
        docs_url=None,
        redoc_url=None,
    )  # fmt: skip
    app.state.serving = serving
    for room in (routes_page, routes_try, routes_collection):
        app.include_router(room.router)
    for kind in (TagsegError, RequestValidationError, HTTPException, Gone, MemoryError):
        app.add_exception_handler(kind, _told)
    app.add_middleware(Unexpected)
    return Guard(BodyLimit(app, serving.limits), rules)


class Unexpected:
    """Answers what no handler takes, an error of ours.

    Starlette's own handler raises it again after the answer, which closes the connection.

    Args:
        app: whose errors are answered.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            answer = await _told(Request(scope), error)
            await answer(scope, receive, send)


async def _told(request: Request, error: Exception) -> JSONResponse:
    """An error as an answer."""
    status, line = _status(error), _line(error)
    if status == 500:
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if status in (429, 503):
        headers["retry-after"] = "2"
    return JSONResponse({"error": line}, status, headers)


def _status(error: Exception) -> int:
    if isinstance(error, Refused):
        return error.status
    if isinstance(error, HTTPException):
        return error.status_code
    if isinstance(error, RequestValidationError):
        unreadable = any(one["type"] == "json_invalid" for one in error.errors())
        return 400 if unreadable else 422
    if isinstance(error, TagsegError):
        return {UnknownPhoto: 404, OutOfDate: 409}.get(type(error), 422)
    if isinstance(error, UnicodeDecodeError):
        return 400
    return 503 if isinstance(error, MemoryError | Gone) else 500


def _line(error: Exception) -> str:
    if isinstance(error, TagsegError):
        return " ".join(str(error).split())
    if isinstance(error, HTTPException):
        plain = error.detail in ("Not Found", "Method Not Allowed")
        return _TEXTS[error.status_code] if plain else " ".join(str(error.detail).split())
    if isinstance(error, RequestValidationError):
        return _first_of(error)
    if isinstance(error, UnicodeDecodeError):
        return "the request is not UTF-8, expected what /docs describes"
    if isinstance(error, MemoryError):
        return "there is too little memory for this request: make the photo smaller"
    return "the request was left" if isinstance(error, Gone) else "an error of tagseg: the terminal tells more"


def _first_of(error: RequestValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    if first["type"] == "json_invalid":
        return "the request is no readable JSON, expected what /docs describes"
    return printable(f"{place or 'the request'}: {first['msg'][:200]}: /docs describes what is expected")
