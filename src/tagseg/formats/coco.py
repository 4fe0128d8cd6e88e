"""COCO's JSON of objects: an annotation for each connected part, as run lengths or as polygons."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import IO, Any, ClassVar

from jaxtyping import Bool
from numpy import ndarray

from tagseg.files import replacing
from tagseg.formats.format import LabelledPhoto, Plan, file_name
from tagseg.formats.outlines import Part, parts_of
from tagseg.formats.run_lengths import encode_runs
from tagseg.formats.spool import Spool


class Coco:
    """``coco.json`` with compressed run lengths, which are exact; category ids are labels, image ids count from 1.

    ``iscrowd`` is 0 throughout: COCO means by it a region of many objects that is not to be scored.
    """

    OUTPUTS: ClassVar[tuple[str, ...]] = ("coco.json",)
    PROBS: ClassVar[bool] = False

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._spool = Spool(plan.output)

    def add(self, photo: LabelledPhoto, name: str) -> None:
        """Keep a photo and its parts."""
        height, width = photo.mask.shape
        image = {"file_name": file_name(photo, name), "height": height, "width": width}
        parts = objects(self._plan.regions(photo), self._segmentation)
        self._spool.add(self._plan.position[name], json.dumps([image, parts]))

    def close(self) -> None:
        """Write the file, if there is a photo."""
        if len(self._spool):
            with replacing(self._plan.output / self.OUTPUTS[0]) as temporary, temporary.open("w") as file:
                self._write(file)
        self._spool.close()

    def _segmentation(self, part: Part) -> object:
        return run_lengths(part)

    def _write(self, file: IO[str]) -> None:
        categories = categories_of(self._plan.classes)
        file.write('{"info": {"description": "Predicted by tagseg"}, "licenses": [],\n')
        file.write(f'"categories": {json.dumps(categories)},\n"images": [')
        _write_list(file, ({"id": position + 1, **json.loads(record)[0]} for position, record in self._spool))
        file.write('],\n"annotations": [')
        parts = ((position, part) for position, record in self._spool for part in json.loads(record)[1])
        _write_list(file, ({"id": k, "image_id": position + 1, **part} for k, (position, part) in enumerate(parts, 1)))
        file.write("]}\n")


class CocoPolygons(Coco):
    """``coco_polygons.json``: one polygon along the corners of a part's pixels, which pycocotools fills exactly.

    COCO's polygons cannot have holes; a hole is joined to its part by a bridge without width.
    """

    OUTPUTS: ClassVar[tuple[str, ...]] = ("coco_polygons.json",)

    def _segmentation(self, part: Part) -> object:
        return [part.corners.ravel().tolist()]


def run_lengths(part: Part) -> object:
    """A part's pixels as compressed run lengths."""
    return encode_runs(part.starts, part.stops, part.size)


def objects(
    regions: Iterable[tuple[int, Bool[ndarray, "_H _W"]]], segmentation: Callable[[Part], object] = run_lengths
) -> list[dict[str, Any]]:
    """The annotations of a photo, without their ids: one for each connected part of each label's region."""
    return [
        {
            "category_id": label,
            "segmentation": segmentation(part),
            "area": part.area,
            "bbox": list(part.box),
            "iscrowd": 0,
        }
        for label, region in regions
        for part in parts_of(region)
    ]


def categories_of(classes: dict[int, str]) -> list[dict[str, Any]]:
    """COCO's categories of the foreground labels."""
    return [{"id": label, "name": name, "supercategory": ""} for label, name in classes.items()]


def _write_list(file: IO[str], items: Iterable[dict[str, Any]]) -> None:
    for index, item in enumerate(items):
        file.write((",\n" if index else "\n") + json.dumps(item))
