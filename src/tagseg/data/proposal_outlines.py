"""Class-agnostic masks as COCO's JSON: one file of all images, or one for each image as SA-1B has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jaxtyping import Int32
from numpy import ndarray

from tagseg.data.file_size import read_whole
from tagseg.data.images import max_pixels
from tagseg.data.json_text import parse_json
from tagseg.data.layout import without_extension
from tagseg.data.outlines import Outline, RunLengths, draw_outline, read_outline
from tagseg.data.segments import smaller_on_top
from tagseg.errors import TagsegError


class Annotations(NamedTuple):
    """Of one image, as JSON has them: its entry (with ``height`` and ``width``, if known) and the ``segmentation``s."""

    entry: dict[str, Any]
    segmentations: list[Any]


@dataclass(frozen=True, eq=False)
class OutlinedSegments:
    """Draws outlines as one segment map, at the size they were made at. The smaller segment is on top.

    Attributes:
        origin: the file, and the image if the file has several.
        size: (h, w).
        outlines: polygons or run lengths.
    """

    origin: str
    size: tuple[int, int]
    outlines: tuple[Outline, ...]

    @staticmethod
    def of(path: Path, annotations: Annotations) -> OutlinedSegments:
        """From the JSON of a file.

        Raises:
            TagsegError: an outline or the image's entry is malformed.
        """
        with _readable(path):
            outlines = tuple(read_outline(segmentation) for segmentation in annotations.segmentations)
            sizes = [outline.size for outline in outlines if isinstance(outline, RunLengths)]
            entry = annotations.entry
            known = sizes[0] if sizes and "height" not in entry else (entry["height"], entry["width"])
            if not all(isinstance(side, int) and side > 0 for side in known):
                raise ValueError(f"the height and width {known[0]} and {known[1]}")
            if known[0] * known[1] > max_pixels():
                raise ValueError(f"masks of {known[1]}×{known[0]} pixels, more than any photo may have")
        name = entry.get("file_name")
        return OutlinedSegments(f"{path} ({name})" if name else str(path), known, outlines)

    def __call__(self) -> Int32[ndarray, "h w"]:
        """Segment i + 1 is outline i; 0 where there is no segment.

        Raises:
            TagsegError: run lengths are damaged or of another size than the image's entry.
        """
        try:
            return smaller_on_top((draw_outline(outline, self.size) for outline in self.outlines), self.size)
        except ValueError as error:
            what = f"{self.origin} holds {error}"
            raise TagsegError(f"{what}, expected COCO's run lengths: repair or remove the annotation") from error


@dataclass(frozen=True)
class JsonSegments:
    """Reads the segment map of one image from a JSON file of its own: ``{"image": {…}, "annotations": [{…}]}``.

    Attributes:
        path: the file.
    """

    path: Path

    def __call__(self) -> Int32[ndarray, "h w"]:
        """As ``OutlinedSegments``.

        Raises:
            TagsegError: the file is absent or malformed, or describes several images.
        """
        with _readable(self.path):
            content = parse_json(read_whole(self.path, "COCO's JSON"))
            entries = content["images"] if "images" in content else [content.get("image", {})]
            if len(entries) > 1:
                raise ValueError(f"{len(entries)} images instead of one")
            segmentations = [annotation["segmentation"] for annotation in content["annotations"]]
            annotations = Annotations(dict(*entries), segmentations)
        return OutlinedSegments.of(self.path, annotations)()


def read_coco(path: Path) -> dict[str, Annotations]:
    """The annotations of all images of a COCO file, by the images' names without extension. Categories are ignored.

    Raises:
        TagsegError: the file is absent, no COCO JSON, or names an image twice.
    """
    with _readable(path):
        content = parse_json(read_whole(path, "COCO's JSON"))
        of_image: dict[Any, list[Any]] = defaultdict(list)
        for annotation in content["annotations"]:
            of_image[annotation["image_id"]].append(annotation["segmentation"])
        entries = {without_extension(str(entry["file_name"])): entry for entry in content["images"]}
        if len(entries) < len(content["images"]):
            raise ValueError("an image file twice")
        return {name: Annotations(entry, of_image[entry["id"]]) for name, entry in entries.items()}


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    expected = "expected COCO's instances (images with file_name, height, width; annotations with segmentation)"
    try:
        yield
    except TagsegError:
        raise
    except KeyError as error:
        raise TagsegError(f"{path} has an entry without {error}, {expected}: check the file") from error
    except (OSError, ValueError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise TagsegError(f"{path} cannot be read ({error}), {expected}: check the file") from error
