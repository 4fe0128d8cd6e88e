"""``--engine`` and ``--workers``: who does the work of a verb, this process or those of a Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from tagseg.errors import TagsegError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

Name = Literal["local", "ray"]


def add_engine(parser: ArgumentParser, workers: str = "workers") -> None:
    """Add the flags to a parser."""
    parser.add_argument(
        "--engine",
        type=Name,
        default="local",
        help="local: this process; ray: processes of Ray, on this machine or the cluster of RAY_ADDRESS: a worker that "
        "dies or a second start loses nothing (docs/scale.md)",
    )
    parser.add_argument(
        f"--{workers}",
        type=int | None,
        default=None,
        help="with --engine ray: processes; default: one for each GPU, without any one for each CPU core",
    )


def workers_of(values: dict[str, Any], workers: str = "workers") -> int | None:
    """The number of workers, 0 for as many as fit, or ``None`` for the engine ``local``; both flags are taken out.

    Raises:
        TagsegError: a number of workers without Ray.
    """
    engine, number = values.pop("engine"), values.pop(workers)
    if engine == "ray":
        return number or 0
    if number is not None:
        raise TagsegError(f"{workers} is {number}, but only --engine ray reads it: add that, or leave it out")
    return None
