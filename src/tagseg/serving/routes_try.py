"""Routes for photos that are tried: upload, mask, partition, probabilities, zip."""

# No postponed annotations: FastAPI reads them, and up to 0.115 cannot where a function is wrapped, as in the tests.

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse
from starlette.datastructures import UploadFile

from tagseg.errors import TagsegError
from tagseg.inference.result import Result
from tagseg.serving.refusals import Refused
from tagseg.serving.results import StoredResult
from tagseg.serving.schemas import Found, Probabilities, Probability, ResultsZip, SegmentedPhoto
from tagseg.serving.state import Served, Serving, refuses
from tagseg.serving.trying import (
    check_values,
    kept_file,
    labels_of,
    photo_as_jpeg,
    probabilities_of,
    save_partition,
    segment_arrival,
)
from tagseg.serving.uploads import Arrival, keep_upload
from tagseg.serving.zips import asked_formats, chunks, distinct_stems, needs_probabilities, zip_masks

router = APIRouter(tags=["try"])
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["photo"],
                    "properties": {
                        "photo": {"type": "string", "format": "binary", "description": "an image file of any kind"},
                        "crf": {"type": "boolean", "default": False, "description": "refine with a dense CRF"},
                    },
                }
            }
        },
    }
}
_LASTING = {"cache-control": "private, max-age=3600, immutable"}
"""Of what never changes under its address."""


def picture(kind: str) -> dict[int | str, dict[str, Any]]:
    """The description of an answer that is a picture or a zip."""
    return {200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}}}, "description": "the file"}}


@router.post("/api/segment", responses=refuses(408, 413, 415, 422, 429), openapi_extra=_FORM)
async def segment(request: Request, serving: Served) -> SegmentedPhoto:
    """Label every pixel of a photo."""
    with serving.place():
        async with request.form(max_files=1, max_fields=8) as form:
            photo, crf = form.get("photo"), _switch(form.get("crf", "false"))
            if not isinstance(photo, UploadFile):
                raise Refused(400, "the request has no file photo, expected multipart/form-data: curl -F photo=@x.jpg")
            keep = partial(keep_upload, photo.file, photo.filename, serving.folder, serving.limits)
            arrival = await serving.workers.run(keep)
        result = await _result_of(request, serving, arrival, crf)
    serving.results.add(result)
    height, width = result.size
    return SegmentedPhoto(
        id=result.id, name=result.name, width=width, height=height, crf=result.crf,
        classes=[Found(**asdict(found)) for found in result.classes],
    )  # fmt: skip


async def _result_of(request: Request, serving: Serving, arrival: Arrival, crf: bool) -> StoredResult:
    work = partial(segment_arrival, serving.segmenter, arrival, crf)
    try:
        return await serving.workers.with_network(work, request.is_disconnected)
    except BaseException:
        arrival.discard()
        raise


def _switch(value: object) -> bool:
    known = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if not isinstance(value, str) or value.lower() not in known:
        raise Refused(422, f"crf is {str(value)[:40]!r}, expected true or false")
    return known[value.lower()]


@router.get("/api/results/{id}/mask.png", responses=refuses(404) | picture("image/png"), response_class=Response)
async def mask(id: str, serving: Served) -> Response:
    """The mask: a palette PNG whose pixel values are labels, as tagseg predict writes it."""
    result = serving.results.get(id)
    content = await serving.workers.run(partial(kept_file, result.mask, result))
    return Response(content, media_type="image/png", headers=_LASTING)


@router.get("/api/results/{id}/photo.jpg", responses=refuses(404) | picture("image/jpeg"), response_class=Response)
async def photo(id: str, serving: Served) -> Response:
    """The photo as displayed, at its size."""
    result = serving.results.get(id)
    content = await serving.workers.run(partial(photo_as_jpeg, result.photo))
    return Response(content, media_type="image/jpeg", headers=_LASTING)


@router.get("/api/results/{id}/partition.png", responses=refuses(404) | picture("image/png"), response_class=Response)
async def partition(id: str, request: Request, serving: Served) -> Response:
    """Where the method is certain: a palette PNG of 0 certain background, 1 uncertain, 2 certain foreground."""
    result = serving.results.get(id)
    save = partial(save_partition, serving.segmenter, result)
    await serving.workers.with_network(save, request.is_disconnected)
    serving.results.recount(result)
    content = await serving.workers.run(partial(kept_file, result.partition, result))
    return Response(content, media_type="image/png", headers=_LASTING)


@router.get("/api/results/{id}/probability", responses=refuses(404, 422))
async def probability(
    id: str,
    serving: Served,
    x: Annotated[int, Query(description="column of the pixel in the photo, from 0")],
    y: Annotated[int, Query(description="row of the pixel in the photo, from 0")],
) -> Probabilities:
    """The probability of each label at a pixel of the photo, before a CRF."""
    values = probabilities_of(serving.results.get(id), x, y)
    names = serving.segmenter.names
    rows = [Probability(label=k, name=names[k], probability=value) for k, value in enumerate(values.tolist())]
    return Probabilities(probabilities=sorted(rows, key=lambda row: -row.probability))


@router.post(
    "/api/results/zip", responses=refuses(404, 408, 413, 422) | picture("application/zip"), response_class=Response
)
async def results_zip(wanted: ResultsZip, request: Request, serving: Served) -> Response:
    """Masks of results in formats of tagseg predict, as a zip."""
    formats = asked_formats(wanted.formats)
    ids = list(dict.fromkeys(wanted.ids))
    if not 1 <= len(ids) <= serving.limits.ids:
        raise Refused(422, f"{len(ids)} ids are given, expected 1 to {serving.limits.ids}")
    results = [serving.results.get(id) for id in ids]
    stems = distinct_stems(result.name for result in results)
    probabilities = needs_probabilities(formats)
    if probabilities:
        for result in results:
            check_values(result, len(serving.segmenter.names), serving.limits)
    taken = ((stem, _result(serving, result, probabilities)) for stem, result in zip(stems, results, strict=True))
    work = partial(zip_masks, taken, stems, serving.labels, formats, serving.folder, serving.limits)
    if probabilities:
        file = await serving.workers.with_network(work, request.is_disconnected)
    else:
        file = await serving.workers.run(work)
    return zip_answer(file, "masks.zip")


def _result(serving: Serving, result: StoredResult, probabilities: bool) -> Result:
    """A kept result as the formats take it."""
    try:
        labels = labels_of(result)
        scores = serving.segmenter.probabilities(result.photo) if probabilities else None
    except TagsegError:
        serving.results.get(result.id)  # it has left meanwhile: that is told
        raise
    return Result(labels, serving.segmenter.names, tuple(serving.segmenter.colours), Path(result.name), scores)


def zip_answer(file: Any, name: str) -> StreamingResponse:
    """A download, sent as it is taken; the file is closed at the end."""
    size = file.seek(0, 2)
    file.seek(0)
    headers = {
        "content-disposition": f'attachment; filename="{name}"',
        "content-length": str(size),
        "cache-control": "no-store",
    }
    return StreamingResponse(chunks(file), media_type="application/zip", headers=headers)
