"""Probabilities of each photo on bounded disk: in steps of 1/255, or the largest few of each pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Float16
from numpy import ndarray

from tagseg.errors import TagsegError
from tagseg.files import replacing
from tagseg.formats.format import LabelledPhoto, Plan

LEVELS = 255


class Npz:
    """``scores/NAME.npz``, which ``read_scores`` reads; see ``FormatSettings.scores_as``."""

    OUTPUTS: ClassVar[tuple[str, ...]] = ("scores/",)
    PROBS: ClassVar[bool] = True

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def add(self, photo: LabelledPhoto, name: str) -> None:
        """Write a photo's probabilities."""
        assert photo.probs is not None
        arrays: dict[str, Any] = _stored(photo.probs, self._plan.settings.scores_as, self._plan.settings.top)
        classes = np.array([self._plan.names[label] for label in sorted(self._plan.names)])
        path = self._plan.output / "scores" / f"{name}.npz"
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, classes=classes, **arrays)

    def close(self) -> None:
        """Each file is whole already."""


def read_scores(path: str | Path) -> tuple[Float[ndarray, "C H W"], tuple[str, ...]]:
    """The probabilities of a photo, float32 (C, H, W), and the C names of its labels.

    Those that were not among the stored largest ones are 0.

    Raises:
        TagsegError: the file is missing or is another one.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            scores, classes = stored["scores"], tuple(stored["classes"].tolist())
            labels = stored.get("labels")
    except (OSError, ValueError, KeyError) as error:
        raise TagsegError(f"{path} is not readable ({error}), expected scores that tagseg predict wrote") from error
    values = scores.astype(np.float32) / (LEVELS if scores.dtype == np.uint8 else 1)
    if labels is None:
        return values, classes
    every = np.zeros((len(classes), *values.shape[1:]), np.float32)
    np.put_along_axis(every, labels.astype(np.intp), values, axis=0)
    return every, classes


def _stored(probs: Float16[ndarray, "C H W"], scores_as: str, top: int) -> dict[str, ndarray]:
    if scores_as == "float16":
        return {"scores": probs.astype(np.float16)}
    levels = np.rint(probs.astype(np.float32) * LEVELS).astype(np.uint8)
    if not top:
        return {"scores": levels}
    order = np.argsort(-probs, axis=0, kind="stable")[:top]
    return {"scores": np.take_along_axis(levels, order, axis=0), "labels": order.astype(np.uint8)}
