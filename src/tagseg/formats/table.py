"""The formats by name, and all that were asked for as one."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from tagseg.arguments import refuse
from tagseg.data.names import names_of
from tagseg.errors import TagsegError
from tagseg.formats.coco import Coco, CocoPolygons
from tagseg.formats.cvat import Cvat
from tagseg.formats.format import Format, LabelledPhoto, Plan
from tagseg.formats.labelstudio import LabelStudio
from tagseg.formats.npz import Npz
from tagseg.formats.png import Png
from tagseg.formats.voc_server import VocServer
from tagseg.formats.yolo import Yolo

FORMATS: dict[str, type[Format]] = {
    "png": Png,
    "coco": Coco,
    "coco-polygons": CocoPolygons,
    "yolo": Yolo,
    "labelstudio": LabelStudio,
    "cvat": Cvat,
    "npz": Npz,
    "voc-server": VocServer,
}
"""The formats that ``tagseg predict --format`` writes."""
OUTPUTS = tuple(output for each in FORMATS.values() for output in each.OUTPUTS)
"""What they write to the output folder; folders end with ``/``."""


def formats_named(names: str | Sequence[str]) -> tuple[str, ...]:
    """The names of a setting such as ``png,coco``, each once.

    Raises:
        TagsegError: none, or one that is no format.
    """
    if isinstance(names, bytes) or not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise refuse("format", names, f"names of formats: {', '.join(FORMATS)}")
    asked = tuple(dict.fromkeys(names_of(names if isinstance(names, str) else tuple(names))))
    for name in asked or ("",):
        if name not in FORMATS:
            near = difflib.get_close_matches(name, FORMATS, n=1)
            hint = f", did you mean {near[0]}?" if near else ""
            raise TagsegError(
                f"format is {name!r}, expected one or more of {', '.join(FORMATS)}, separated by commas{hint}"
            )
    return asked


class Formats:
    """Several formats as one.

    Args:
        names: of ``FORMATS``.
        plan: what is known before the first photo.

    Raises:
        TagsegError: a format cannot hold these classes or photos.
    """

    def __init__(self, names: Sequence[str], plan: Plan) -> None:
        self._formats = [FORMATS[name](plan) for name in names]

    def add(self, photo: LabelledPhoto, name: str) -> None:
        """Give a photo to each; may be called by several threads."""
        for each in self._formats:
            each.add(photo, name)

    def close(self) -> None:
        """Close each, also after an error of another; the first error is raised."""
        errors = []
        for each in self._formats:
            try:
                each.close()
            except TagsegError as error:
                errors.append(error)
        if errors:
            raise errors[0]
