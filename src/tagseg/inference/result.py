"""The result of one photo, in memory: its label map with names and colours, and the forms other tools take it in.

NumPy and Pillow alone, so that a result can be pickled and used in threads and processes without PyTorch.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float16, UInt8
from numpy import ndarray
from PIL import Image

from tagseg.arguments import check_path
from tagseg.data.images import read_image
from tagseg.data.masks import save_mask
from tagseg.data.palette import Colour
from tagseg.errors import TagsegError
from tagseg.formats.coco import categories_of, objects
from tagseg.inference import export

_NOTEBOOK_SIDE = 640
"""Longest side in pixels of the overlay that a notebook shows."""
COLUMNS = ("path", "name", "class", "pixels", "share", "confidence", "x1", "y1", "x2", "y2")
"""Of ``Result.to_df``."""


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """What a network, or something else, found in one photo.

    Attributes:
        mask: the label map, uint8 (H, W) at the photo's size as displayed: 0 background, k+1 class k, 255 ignored.
        names: the name of each label; 0 is ``background``.
        colours: RGB of each label.
        path: the photo's file; ``None`` for a photo that was given in memory.
        probs: probability of each label at each pixel, float16 (C, H, W), before a CRF; ``None`` unless asked for.
        photo: the photo as RGB; ``None``: it is read from ``path`` to be drawn.
        plain: the label map without a CRF, where it was made too; without a CRF the same as ``mask``.
    """

    mask: UInt8[ndarray, "H W"]
    names: dict[int, str]
    colours: tuple[Colour, ...]
    path: Path | None = None
    probs: Float16[ndarray, "C H W"] | None = None
    photo: UInt8[ndarray, "H W 3"] | None = None
    plain: UInt8[ndarray, "H W"] | None = None

    @property
    def orig_shape(self) -> tuple[int, int]:
        """H and W of the photo in pixels."""
        return self.mask.shape[0], self.mask.shape[1]

    @property
    def labels(self) -> UInt8[ndarray, "H W"]:
        """The name of ``mask`` in 0.2."""
        return self.mask

    @property
    def scores(self) -> Float16[ndarray, "C H W"] | None:
        """The name of ``probs`` in 0.2."""
        return self.probs

    @property
    def refined(self) -> UInt8[ndarray, "H W"] | None:
        """The label map after a CRF, as in 0.2; ``None`` if there was no CRF."""
        return None if self.plain is self.mask else self.mask

    def summary(self) -> list[dict[str, Any]]:
        """What was found: a dict for each class in the mask, without background and ignored pixels, largest first.

        Its keys are ``name``, ``class`` (the label), ``pixels``, ``share`` (of the photo, 0 to 1), ``confidence`` (mean
        probability of the class over its pixels, 0 to 1; ``None`` without ``probs``) and ``box`` (``x1``, ``y1``,
        ``x2``, ``y2``: edges in pixels, the right and lower ones exclusive).
        """
        return [
            {
                "name": self.names[label],
                "class": label,
                "pixels": pixels,
                "share": pixels / self.mask.size,
                "confidence": self._confidence(label),
                "box": dict(zip(("x1", "y1", "x2", "y2"), _box(self.mask == label), strict=True)),
            }
            for label, pixels in self._found()
        ]

    def shares(self) -> dict[str, float]:
        """Share of the pixels (0 to 1) of each foreground class in the mask, largest first."""
        return {self.names[label]: pixels / self.mask.size for label, pixels in self._found()}

    def to_json(self) -> str:
        """Path, height, width and ``summary()``, as one JSON object; for the mask see ``to_coco``."""
        height, width = self.orig_shape
        path = None if self.path is None else str(self.path)
        return json.dumps({"path": path, "height": height, "width": width, "classes": self.summary()})

    def to_coco(self, image_id: int = 1, first_id: int = 1) -> dict[str, Any]:
        """A COCO data set of this photo: ``images``, ``annotations`` and ``categories``, which pycocotools reads.

        There is an annotation for each connected part of each class, as run lengths, which are exact. For a data set of
        many photos see ``tagseg predict --format coco``.

        Args:
            image_id: of the photo.
            first_id: of the first annotation; the others follow.
        """
        height, width = self.orig_shape
        name = "" if self.path is None else self.path.name
        parts = objects((label, self.mask == label) for label, _ in sorted(self._found()))
        return {
            "images": [{"id": image_id, "file_name": name, "height": height, "width": width}],
            "annotations": [{"id": id_, "image_id": image_id, **part} for id_, part in enumerate(parts, first_id)],
            "categories": categories_of({label: name for label, name in self.names.items() if label}),
        }

    def to_df(self) -> Any:
        """``summary()`` as a pandas DataFrame: a row for each class, with the columns ``COLUMNS``.

        Raises:
            TagsegError: pandas is not installed.
        """
        try:
            pandas = import_module("pandas")
        except ImportError:
            raise TagsegError(
                "to_df() makes a pandas DataFrame and pandas is not installed, expected it: pip install pandas, or use "
                "summary(), a list of dicts"
            ) from None
        path = None if self.path is None else str(self.path)
        rows = [{"path": path, **row, **row["box"]} for row in self.summary()]
        return pandas.DataFrame(rows, columns=list(COLUMNS))

    def detections(self) -> dict[str, Any]:
        """One object for each class, in the order of ``summary()``: ``supervision.Detections(**result.detections())``.

        The keys are ``xyxy`` float32 (N, 4), ``mask`` bool (N, H, W), ``class_id`` int64 (N,), ``confidence`` float32
        (N,), or ``None`` without ``probs``, and ``data`` with ``class_name`` (N,).
        """
        labels = [label for label, _ in self._found()]
        mask = self.mask == np.array(labels, np.uint8)[:, None, None]
        confidence = np.array([self._confidence(label) or 0 for label in labels], np.float32)
        return {
            "xyxy": np.array([_box(one) for one in mask], np.float32).reshape(-1, 4),
            "mask": mask,
            "class_id": np.array(labels, np.int64),
            "confidence": None if self.probs is None else confidence,
            "data": {"class_name": np.array([self.names[k] for k in labels], str)},
        }

    def plot(self, opacity: float = 0.5, side: int = export.OVERLAY_SIDE) -> Image.Image:
        """The photo tinted with the colours of its classes, and a legend below: an RGB picture.

        ``numpy.asarray(result.plot())`` is an array, ``result.plot().save("overlay.jpg")`` a file.

        Args:
            opacity: of the tint, 0 to 1.
            side: longest side in pixels; larger photos are downsampled.

        Raises:
            TagsegError: the photo is not kept and its file cannot be read or has another size.
        """
        names = tuple(self.names[label] for label in sorted(self.names))[1:]
        return export.draw_overlay(self._pixels(), self.mask, names, side, opacity=opacity, colours=self.colours)

    def save(self, path: str | Path) -> Path:
        """Write the mask as a PNG whose pixel values are the labels, with the colours as its palette; returns its path.

        Raises:
            TagsegError: another ending than ``.png``, which would not keep labels, or a file that cannot be written.
        """
        check_path("path", path)
        path = Path(path).expanduser()
        if path.suffix.lower() != ".png":
            raise TagsegError(
                f"path is {str(path)!r}, expected one that ends in .png, as other formats do not keep labels: for a "
                "picture use result.plot().save(path)"
            )
        save_mask(path, self.mask, self.colours)
        return path

    def __repr__(self) -> str:
        found = ", ".join(
            f"{name} {share:.0%}" if share >= 0.01 else f"{name} <1%" for name, share in self.shares().items()
        )
        where = "" if self.path is None else f"path={str(self.path)!r}, "
        probs = "" if self.probs is None else ", with probs"
        return f"Result({where}orig_shape={self.orig_shape}, found: {found or 'nothing'}{probs})"

    def _repr_png_(self) -> bytes:
        """What a notebook shows: the overlay."""
        file = io.BytesIO()
        self.plot(side=_NOTEBOOK_SIDE).save(file, format="PNG")
        return file.getvalue()

    def _found(self) -> list[tuple[int, int]]:
        """Each foreground label in the mask and its number of pixels, largest first."""
        counts = np.bincount(self.mask.ravel(), minlength=256)
        labels = [label for label in self.names if label and counts[label]]
        return [(label, int(counts[label])) for label in sorted(labels, key=lambda label: (-counts[label], label))]

    def _confidence(self, label: int) -> float | None:
        if self.probs is None:
            return None
        return float(self.probs[label][self.mask == label].mean(dtype=np.float64))

    def _pixels(self) -> UInt8[ndarray, "H W 3"]:
        if self.photo is not None:
            return self.photo
        if self.path is None:
            raise TagsegError(
                "this result keeps neither its photo nor a path, expected one of them to draw: give photo"
            )
        photo = read_image(self.path)
        if photo.shape[:2] != self.mask.shape:
            raise TagsegError(
                f"{self.path} is {photo.shape[1]}×{photo.shape[0]} now, expected {self.mask.shape[1]}×"
                f"{self.mask.shape[0]} as when it was labelled: label it again"
            )
        return photo


def _box(mask: Bool[ndarray, "H W"]) -> tuple[int, int, int, int]:
    """Left, upper, right and lower edge of what is True, in pixels; the last two exclusive."""
    (columns,), (rows,) = np.nonzero(mask.any(axis=0)), np.nonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
