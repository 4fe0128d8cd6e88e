"""Routes for the photos of a run: the wall, corrections, the update, the accepted masks."""

# No postponed annotations: FastAPI reads them, and up to 0.115 cannot where a function is wrapped, as in the tests.

import io
import math
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from PIL import Image

from tagseg.data.images import image_size, read_image
from tagseg.data.masks import save_mask
from tagseg.serving import schemas
from tagseg.serving.collection import Collection
from tagseg.serving.photo_row import PhotoRow
from tagseg.serving.refusals import Refused
from tagseg.serving.routes_try import picture, zip_answer
from tagseg.serving.state import Served, Serving, refuses
from tagseg.serving.trying import photo_as_jpeg
from tagseg.serving.zips import asked_formats, distinct_stems, needs_probabilities, zip_masks

router = APIRouter(tags=["correct"])
THUMB = 320
"""Longest side of a thumbnail in pixels."""
_MOST_ROWS = 500


def _photo(row: PhotoRow) -> schemas.Photo:
    values = asdict(row) | {"tags": list(row.tags), "iou": None if math.isnan(row.iou) else row.iou}
    return schemas.Photo(**{name: values[name] for name in schemas.Photo.model_fields})


@router.get("/api/photos", responses=refuses(404, 422))
async def photos(
    serving: Served,
    order: Annotated[schemas.Order, Query(description="the photos to correct first, or by name")] = "worst",
    label: Annotated[int | None, Query(description="only photos with this tag; 0: without any")] = None,
    state: Annotated[schemas.PhotoState | None, Query(description="only photos in this state")] = None,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=_MOST_ROWS)] = 60,
) -> schemas.Photos:
    """The photos of the run."""
    collection = serving.corrected()
    total, rows = await serving.workers.run(partial(collection.photos, order, label, state, offset, limit))
    return schemas.Photos(total=total, photos=[_photo(row) for row in rows])


@router.get("/api/photos/{id}", responses=refuses(404))
async def photo(id: str, serving: Served) -> schemas.Photo:
    """One photo of the run."""
    return _photo(await serving.workers.run(partial(serving.corrected().photo, id)))


@router.get("/api/photos/{id}/thumb.jpg", responses=refuses(404, 422) | picture("image/jpeg"), response_class=Response)
async def thumb(id: str, serving: Served) -> Response:
    """The photo, at most 320 pixels long."""
    content = await serving.workers.run(partial(_thumb, serving.corrected().image_path(id)))
    return Response(content, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})


@router.get("/api/photos/{id}/photo.jpg", responses=refuses(404, 422) | picture("image/jpeg"), response_class=Response)
async def whole_photo(id: str, serving: Served) -> Response:
    """The photo as displayed, at its size."""
    content = await serving.workers.run(partial(photo_as_jpeg, serving.corrected().image_path(id)))
    return Response(content, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})


@router.get("/api/photos/{id}/mask.png", responses=refuses(404, 422) | picture("image/png"), response_class=Response)
async def mask(
    id: str,
    serving: Served,
    v: Annotated[str | None, Query(description="the photo's version: the answer may then be kept")] = None,
) -> Response:
    """The photo's mask: a palette PNG whose pixel values are labels."""
    content, version = await serving.workers.run(partial(_mask, serving, serving.corrected(), id))
    lasting = v is not None and v == version
    caching = "private, max-age=86400, immutable" if lasting else "no-store"
    return Response(content, media_type="image/png", headers={"cache-control": caching})


@router.put("/api/photos/{id}/tags", responses=refuses(404, 408, 413, 422))
async def set_tags(id: str, wanted: schemas.Tags, serving: Served) -> schemas.Photo:
    """Correct which classes a photo shows."""
    return _photo(await serving.workers.run(partial(serving.corrected().set_tags, id, wanted.tags)))


@router.put("/api/photos/{id}/state", responses=refuses(404, 409, 408, 413, 422))
async def set_state(id: str, wanted: schemas.State, serving: Served) -> schemas.Photo:
    """Accept a photo's mask, reject it, or open it again."""
    work = partial(serving.corrected().set_state, id, wanted.state, wanted.version)
    return _photo(await serving.workers.run(work))


@router.get("/api/share", responses=refuses(404))
async def share(serving: Served) -> schemas.Share:
    """The share of foreground in tagged photos that the next update uses."""
    return schemas.Share(share=await serving.workers.run(lambda: serving.corrected().share))


@router.put("/api/share", responses=refuses(404, 408, 413, 422))
async def set_share(wanted: schemas.Share, serving: Served) -> schemas.Share:
    """Set that share, or have it estimated."""
    await serving.workers.run(partial(serving.corrected().set_share, wanted.share))
    return await share(serving)


@router.post("/api/undo", responses=refuses(404))
async def undo(serving: Served) -> schemas.Done:
    """Undo the last change."""
    return schemas.Done(done=await serving.workers.run(serving.corrected().undo))


@router.post("/api/redo", responses=refuses(404))
async def redo(serving: Served) -> schemas.Done:
    """Do again what was undone last."""
    return schemas.Done(done=await serving.workers.run(serving.corrected().redo))


@router.get("/api/history", responses=refuses(404))
async def history(serving: Served) -> schemas.History:
    """All changes, the first one first."""
    entries = await serving.workers.run(serving.corrected().history)
    return schemas.History(
        entries=[schemas.HistoryEntry(text=one.text, time=one.time, undone=one.undone) for one in entries]
    )


@router.post("/api/update", status_code=202, responses=refuses(404, 409))
async def start_update(serving: Served) -> schemas.Update:
    """Train on the corrections and draw all masks anew, in the background."""
    serving.corrected()
    assert serving.update is not None
    serving.update.start()
    return await update(serving)


@router.get("/api/update", responses=refuses(404))
async def update(serving: Served) -> schemas.Update:
    """How far the update is."""
    collection = serving.corrected()
    assert serving.update is not None
    progress = serving.update.progress()
    version, pending = await serving.workers.run(lambda: (collection.version, collection.pending))
    return schemas.Update(**asdict(progress), version=version, pending=pending)


@router.post(
    "/api/photos/zip", responses=refuses(404, 408, 413, 422) | picture("application/zip"), response_class=Response
)
async def photos_zip(wanted: schemas.PhotosZip, serving: Served) -> Response:
    """The accepted masks in formats of tagseg predict, as a zip."""
    collection, formats = serving.corrected(), asked_formats(wanted.formats)
    if needs_probabilities(formats):
        raise Refused(
            422, "accepted masks have no probabilities, which npz needs, expected other formats: leave it out"
        )
    file = await serving.workers.run(partial(_accepted, serving, collection, formats))
    return zip_answer(file, "accepted.zip")


def _accepted(serving: Serving, collection: Collection, formats: tuple[str, ...]) -> IO[bytes]:
    """The zip of the accepted masks; those that are opened again meanwhile are left out."""
    total, _ = collection.photos("name", None, "accepted", 0, 0)
    _, rows = collection.photos("name", None, "accepted", 0, max(1, total))
    if not rows:
        raise Refused(422, "no mask is accepted yet, expected at least one: accept masks first")
    files = [collection.image_path(row.id) for row in rows]
    stems = dict(zip(files, distinct_stems(file.name for file in files), strict=True))
    taken = ((stems[result.path], result) for result in collection.results() if result.path in stems)
    labels = serving.labels
    return zip_masks(taken, list(stems.values()), labels, formats, serving.folder, serving.limits)


def _mask(serving: Serving, collection: Collection, id: str) -> tuple[bytes, str]:
    """The PNG, and the version that it certainly is of; empty if that changed meanwhile."""
    before = collection.photo(id).version
    labels = collection.mask(id)
    same = collection.photo(id).version == before
    with TemporaryDirectory(dir=serving.folder) as folder:
        path = Path(folder) / "mask.png"
        save_mask(path, labels, tuple(collection.colours))
        return path.read_bytes(), str(before) if same else ""


def _thumb(path: Path) -> bytes:
    shrink = max(image_size(path)) // THUMB
    reduction = max(step for step in (1, 2, 4, 8) if step <= max(1, shrink))
    picture = Image.fromarray(read_image(path, reduction))
    picture.thumbnail((THUMB, THUMB), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, format="JPEG", quality=85)
    return file.getvalue()
