"""The network as a step of anybody's Ray Data pipeline. Imports nothing of Ray."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

from PIL import Image

from tagseg.data.palette import palette_of
from tagseg.errors import TagsegError
from tagseg.inference.attempt import attempt
from tagseg.inference.predictor import Predictor
from tagseg.inference.result import Result
from tagseg.model.network import Network


class LabelPhotos:
    """Labels the photos of a batch: ``dataset.map_batches(LabelPhotos, fn_constructor_args=("runs/photos",), …)``.

    Args:
        model: run or exported folder, ``.safetensors`` file, ``hf://OWNER/NAME``, or a network.
        column: of the photos: paths, as text or bytes, or arrays uint8 (H, W, 3) in RGB order.
        settings: of ``tagseg.load``, e.g. ``scales``, ``crf`` or ``device``.

    Raises:
        TagsegError: no such model or device, or bad settings.
    """

    def __init__(self, model: str | Path | Network, *, column: str = "path", **settings: Any) -> None:
        self._predictor = Predictor(model, **settings)
        self._predictor.label_files([])  # refuses a network that does not segment
        self._column = column

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch with three columns more.

        These are ``mask`` (bytes of a palette PNG at the photo's size, whose pixel values are labels: 0 background,
        k+1 class k), ``shares`` (JSON: share of the pixels, 0 to 1, of each class found) and ``error`` (empty, or what
        is wrong with a photo that could not be read; its mask is then empty).

        Args:
            batch: columns by name; Ray's ``batch_format="numpy"``, its default.

        Raises:
            TagsegError: the batch has no such column.
        """
        if self._column not in batch:
            raise TagsegError(
                f"the batch has no column {self._column!r}, expected one of photos among {', '.join(batch)}: name it "
                "with LabelPhotos(…, column=…)"
            )
        found = self._found(list(batch[self._column]))
        good = [None if isinstance(one, str) else one for one in found]
        return {
            **batch,
            "mask": [b"" if one is None else _png(one) for one in good],
            "shares": ["" if one is None else json.dumps(one.shares()) for one in good],
            "error": [one if isinstance(one, str) else "" for one in found],
        }

    def _found(self, photos: list[Any]) -> list[Result | str]:
        if all(isinstance(photo, str | bytes | os.PathLike) for photo in photos):
            paths = [Path(os.fsdecode(photo)) for photo in photos]
            return [result for _, result in sorted(self._predictor.label_files(paths), key=lambda item: item[0])]
        return [self._one(photo, f"photo {index} of the batch") for index, photo in enumerate(photos)]

    def _one(self, photo: Any, name: str) -> Result | str:
        return attempt(lambda: self._predictor(photo), name)


def _png(result: Result) -> bytes:
    picture = Image.fromarray(result.mask)
    picture.putpalette(palette_of(result.colours).tobytes())
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=False)
    return file.getvalue()
