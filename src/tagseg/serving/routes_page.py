"""The page itself, from the package: nothing is loaded from elsewhere."""

# No postponed annotations: FastAPI reads them, and up to 0.115 cannot where a function is wrapped, as in the tests.

from hashlib import blake2b
from importlib.metadata import version
from importlib.resources import files

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from tagseg.serving import schemas
from tagseg.serving.api_page import api_page
from tagseg.serving.refusals import Refused
from tagseg.serving.state import Served, refuses
from tagseg.serving.zips import OFFERED, needs_probabilities

router = APIRouter(tags=["page"])
_KINDS = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "ico": "image/x-icon",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
    "woff2": "font/woff2",
}


@router.get("/api/info", responses=refuses())
async def info(serving: Served) -> schemas.Info:
    """What is served: name, classes, limits, formats of downloads."""
    segmenter, limits = serving.segmenter, serving.limits
    classes = [
        schemas.ClassInfo(label=label, name=name, colour="#{:02x}{:02x}{:02x}".format(*segmenter.colours[label]))
        for label, name in sorted(segmenter.names.items())
        if label
    ]
    return schemas.Info(
        name=serving.name, classes=classes, collection=serving.collection is not None, formats=list(OFFERED),
        accepted_formats=[name for name in OFFERED if not needs_probabilities([name])],
        limits=schemas.UploadLimits(bytes=limits.bytes, pixels=limits.pixels), version=version("tagseg"),
    )  # fmt: skip


@router.get("/", include_in_schema=False)
async def index(request: Request) -> Response:
    """The page."""
    return _file("index.html", request)


@router.get("/page/{name}", include_in_schema=False)
async def page_file(name: str, request: Request) -> Response:
    """A style, script or picture of the page."""
    return _file(name, request)


@router.get("/favicon.ico", include_in_schema=False)
async def favicon(request: Request) -> Response:
    """What browsers ask for unasked."""
    return _file("icon.svg", request)


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """The description of the API, for people."""
    return HTMLResponse(api_page(request.app.openapi()))


def _file(name: str, request: Request) -> Response:
    """A file of the page; browsers ask each time whether theirs is the current one, as the package may be updated."""
    kind = _KINDS.get(name.rpartition(".")[2])
    found = next((file for file in files("tagseg.serving").joinpath("page").iterdir() if file.name == name), None)
    if kind is None or found is None:
        raise Refused(404, f"there is no page {name[:40]!r}, expected / for the page or /docs for the API")
    content = found.read_bytes()
    headers = {"etag": f'"{blake2b(content, digest_size=8).hexdigest()}"', "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)
