"""All that the routes of one server share."""

# No postponed annotations: FastAPI reads them, and up to 0.115 cannot where a function is wrapped, as in the tests.

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import Depends, Request

from tagseg.model.checkpoint import load_network
from tagseg.serving.collection import Collection
from tagseg.serving.limits import Limits
from tagseg.serving.own_folder import OwnFolder
from tagseg.serving.refusals import Refused
from tagseg.serving.results import Results
from tagseg.serving.schemas import Error
from tagseg.serving.segmenter import Segmenter
from tagseg.serving.update_job import UpdateJob
from tagseg.serving.workers import Workers
from tagseg.serving.zips import Labels

_PATIENCE = 2.0
"""Seconds in which a running update may end before the file of corrections is closed."""


@dataclass
class Serving:
    """What is served.

    Attributes:
        name: of the run, for the page.
        segmenter: labels photos.
        collection: photos to correct; ``None``: there are none.
        limits: of what is taken.
    """

    name: str
    segmenter: Segmenter
    collection: Collection | None = None
    limits: Limits = Limits()
    workers: Workers = field(default_factory=Workers)
    own_folder: OwnFolder = field(default_factory=OwnFolder)

    def __post_init__(self) -> None:
        self.results = Results(self.limits.store)
        self.update = None if self.collection is None else UpdateJob(self.collection.update, self.take_network)
        self._waiting = 0

    @property
    def folder(self) -> Path:
        """Where uploads and results are kept while they are needed."""
        return self.own_folder.path

    def take_network(self) -> None:
        """Label photos with the network of the collection's last update from now on."""
        if self.collection is not None:
            self.segmenter.use(load_network(self.collection.network))

    @property
    def labels(self) -> Labels:
        """What the labels are."""
        return Labels(self.segmenter.classes, self.segmenter.names, tuple(self.segmenter.colours))

    def corrected(self) -> Collection:
        """The collection.

        Raises:
            Refused: there is none.
        """
        if self.collection is None:
            raise Refused(
                404, "there are no photos to correct here, expected a finished run of the method frozen whose photos "
                "are there: start tagseg serve RUN with one",
            )  # fmt: skip
        return self.collection

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among the photos that wait for the network.

        Raises:
            Refused: all are taken.
        """
        if self._waiting >= self.limits.waiting:
            raise Refused(429, f"{self._waiting} photos are waiting already, expected fewer: try again in a moment")
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Begin nothing any more, have the update stop, and delete all files of this session."""
        self.workers.stop()
        if self.update is not None:
            self.update.stop(_PATIENCE)
        if self.collection is not None:
            self.collection.close()
        self.own_folder.remove()


def _serving(request: Request) -> Serving:
    return cast(Serving, request.app.state.serving)


Served = Annotated[Serving, Depends(_serving)]
"""A route's view of what is served."""


def refuses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for its description."""
    texts = {
        404: "no such photo, result or page", 408: "the request was not sent to its end",
        409: "one is running already", 413: "too large", 415: "no photo", 422: "another value was expected",
        429: "too many photos are waiting", 503: "too busy, or too little memory",
    }  # fmt: skip
    always = {
        400: "no readable request", 401: "a token is needed", 403: "from another site, or by another name",
        422: texts[422], 503: texts[503],
    }  # fmt: skip
    every = always | {status: texts[status] for status in statuses}
    return {status: {"model": Error, "description": text} for status, text in sorted(every.items())}
