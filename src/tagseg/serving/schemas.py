"""What the routes take and give, as JSON; ``/openapi.json`` is made of it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

PhotoState = Literal["open", "accepted", "rejected"]
Order = Literal["worst", "name"]


class Taken(BaseModel):
    """What a request may hold: nothing else, so that a misspelt name is no silence."""

    model_config = ConfigDict(extra="forbid")


class Error(BaseModel):
    """Why a request was refused."""

    error: str = Field(description="one line: what is wrong, what was expected, the way out")


class ClassInfo(BaseModel):
    """A foreground class."""

    label: int = Field(description="1 to K; 0 is the background")
    name: str
    colour: str = Field(description="#rrggbb")


class UploadLimits(BaseModel):
    """What is taken."""

    bytes: int = Field(description="most bytes of an upload")
    pixels: int = Field(description="most pixels of a photo")


class Info(BaseModel):
    """What is served."""

    name: str
    classes: list[ClassInfo]
    collection: bool = Field(description="whether there are photos to correct")
    formats: list[str] = Field(description="formats of downloads")
    accepted_formats: list[str] = Field(description="those that accepted masks can have")
    limits: UploadLimits
    version: str = Field(description="of tagseg")


class Found(BaseModel):
    """A foreground class in a mask."""

    label: int
    name: str
    share: float = Field(description="of the photo, 0 to 1")
    confidence: float = Field(description="mean probability over its pixels, 0 to 1")


class SegmentedPhoto(BaseModel):
    """A photo that was segmented."""

    id: str
    name: str
    width: int
    height: int
    crf: bool
    classes: list[Found] = Field(description="largest first")


class Probability(BaseModel):
    """Of one label."""

    label: int
    name: str
    probability: float = Field(description="0 to 1, before a CRF")


class Probabilities(BaseModel):
    """Of all labels at one pixel, largest first."""

    probabilities: list[Probability]


class ResultsZip(Taken):
    """Which results in which formats."""

    ids: list[str]
    formats: list[str] = ["png"]


class PhotosZip(Taken):
    """In which formats."""

    formats: list[str] = ["png"]


class Photo(BaseModel):
    """A photo of the collection."""

    id: str
    name: str
    width: int
    height: int
    tags: list[int] = Field(description="labels, 1 to K")
    state: PhotoState
    iou: float | None = Field(description="estimated IoU of its mask, 0 to 1")
    why: str = Field(description="why it is where it is in the queue")
    version: int = Field(description="of its mask: changes when that does")


class Photos(BaseModel):
    """Some photos of the collection."""

    total: int = Field(description="of all that were asked for, without offset and limit")
    photos: list[Photo]


class Tags(Taken):
    """Which classes a photo shows."""

    tags: list[int] = Field(description="labels, 1 to K")


class State(Taken):
    """What was decided on a photo's mask."""

    state: PhotoState
    version: int | None = Field(default=None, description="of the mask that was judged; null: the current one")


class Share(Taken):
    """The share of foreground in the photos of the collection."""

    share: float | None = Field(description="0 to 1; null: estimated")


class Done(BaseModel):
    """What was undone or redone."""

    done: str | None = Field(description="null: nothing is left to undo, or redo")


class HistoryEntry(BaseModel):
    """A change."""

    text: str
    time: float = Field(description="seconds since 1970")
    undone: bool


class History(BaseModel):
    """The changes, the first one first."""

    entries: list[HistoryEntry]


class Update(BaseModel):
    """How far the update is."""

    state: Literal["idle", "running", "done", "failed"]
    stage: str
    fraction: float = Field(description="0 to 1")
    seconds_left: float | None
    error: str | None
    version: int = Field(description="of all masks")
    pending: int = Field(description="changes that are not trained on yet")
