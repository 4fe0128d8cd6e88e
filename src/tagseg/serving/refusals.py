"""What the server refuses: an error line with the HTTP status that says whose fault it is."""

from __future__ import annotations

from tagseg.errors import TagsegError


class Refused(TagsegError):
    """A request that is not fulfilled.

    Attributes:
        status: of HTTP, 400 to 503.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def no_result(id: str) -> Refused:
    """There is no such result, or no longer."""
    return Refused(
        404, f"there is no result {id[:40]!r}, expected one of this session: the oldest leave, segment again"
    )
