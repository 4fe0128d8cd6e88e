"""Probabilities of each photo on bounded disk: in steps of 1/255, or the largest few of each pixel."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Float16
from numpy import ndarray
from numpy.lib.npyio import NpzFile

from tagseg.data.file_size import refuse_too_large
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
        TagsegError: the file is missing, is another one, or holds more than the machine's memory does.
    """
    expected = "expected scores that tagseg predict wrote"
    try:
        # opened here, as numpy leaves a damaged file open; its warnings are on what a damaged header seems to say
        with Path(path).open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stored = np.load(file, allow_pickle=False)
            if not isinstance(stored, NpzFile) or stored.zip is None:
                raise ValueError("a single array")
            sizes = [int(part.file_size) for part in stored.zip.infolist()]
            refuse_too_large(Path(path), sum(sizes), expected)
            scores, classes = np.asarray(stored["scores"]), tuple(np.asarray(stored["classes"]).tolist())
            labels = np.asarray(stored["labels"]) if "labels" in stored else None
    except TagsegError:
        raise
    except Exception as error:  # damaged archives and arrays raise errors of many kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise TagsegError(f"{path} is not readable ({reason}), {expected}: write them again") from error
    wrong = _misfit(scores, classes, labels)
    if wrong:
        raise TagsegError(f"{path} holds {wrong}, {expected}: write them again")
    values = scores.astype(np.float32) / (LEVELS if scores.dtype == np.uint8 else 1)
    if labels is None:
        return values, classes
    every = np.zeros((len(classes), *values.shape[1:]), np.float32)
    np.put_along_axis(every, labels.astype(np.intp), values, axis=0)
    return every, classes


def _misfit(scores: ndarray, classes: tuple[object, ...], labels: ndarray | None) -> str:
    """What of the arrays of a file is not as it was written; empty: nothing."""
    if scores.ndim != 3 or scores.dtype not in (np.dtype(np.uint8), np.dtype(np.float16)):
        return f"scores of the type {scores.dtype} and {scores.ndim} dimensions"
    if not np.isfinite(scores).all():
        return "scores that are no numbers"
    if not all(isinstance(name, str) for name in classes):
        return "classes that are no names"
    if labels is None:
        return "" if len(scores) == len(classes) else f"scores of {len(scores)} labels and {len(classes)} names"
    if labels.shape != scores.shape or labels.dtype != np.uint8:
        return f"labels of the shape {labels.shape}, for scores of {scores.shape}"
    return "" if labels.size == 0 or labels.max() < len(classes) else f"the label {labels.max()} of {len(classes)}"


def _stored(probs: Float16[ndarray, "C H W"], scores_as: str, top: int) -> dict[str, ndarray]:
    if scores_as == "float16":
        return {"scores": probs.astype(np.float16)}
    levels = np.rint(probs.astype(np.float32) * LEVELS).astype(np.uint8)
    if not top:
        return {"scores": levels}
    order = np.argsort(-probs, axis=0, kind="stable")[:top]
    return {"scores": np.take_along_axis(levels, order, axis=0), "labels": order.astype(np.uint8)}
