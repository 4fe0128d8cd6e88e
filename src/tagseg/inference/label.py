"""Photos → label maps, several at once; one that cannot be read or does not fit does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Float16, UInt8
from numpy import ndarray

from tagseg.config import CrfConfig
from tagseg.data.images import read_image
from tagseg.errors import TagsegError
from tagseg.inference.look import Look, crf_label_maps, look
from tagseg.inference.segment import Sizing
from tagseg.model.network import Network

T = TypeVar("T")


@dataclass(frozen=True)
class Labelled:
    """What was found in a photo.

    Attributes:
        photo: uint8 (H, W, 3).
        labels: each pixel's class, 0 to C-1.
        scores: where they are asked for, every class's score before a CRF.
    """

    photo: UInt8[ndarray, "H W 3"]
    labels: UInt8[ndarray, "H W"]
    scores: Float16[ndarray, "C H W"] | None


@dataclass(frozen=True)
class Labeller:
    """How photos are looked at and labelled; the attributes are arguments of ``predict``, ``crf`` is its settings."""

    scales: tuple[float, ...]
    mirror: bool
    sizing: Sizing
    crf: CrfConfig | None
    scored: bool

    def label(self, network: Network, images: Sequence[Path]) -> list[Labelled | str]:
        """What was found in each image, or why nothing was."""
        looks = [self._attempt(partial(self._look, network, image), image) for image in images]
        seen = {image: found for image, found in zip(images, looks, strict=True) if isinstance(found, Look)}
        labelled = dict(zip(seen, self._label_all(list(seen.items())), strict=True))
        return [labelled[i] if isinstance(found, Look) else found for i, found in zip(images, looks, strict=True)]

    def _look(self, network: Network, image: Path) -> Look:
        return look(network, read_image(image), self.scales, self.mirror, self.sizing)

    def _label_all(self, looks: Sequence[tuple[Path, Look]]) -> list[Labelled | str]:
        """All together; where that fails, one by one, to find the one that does."""
        if not looks:
            return []
        found = self._attempt(partial(self._labelled, [seen for _, seen in looks]), looks[0][0])
        if not isinstance(found, str):
            return list(found)
        return [found] if len(looks) == 1 else [self._label_all([single])[0] for single in looks]

    def _labelled(self, looks: Sequence[Look]) -> list[Labelled]:
        maps = crf_label_maps(looks, self.sizing, self.crf) if self.crf else [seen.labels() for seen in looks]
        scores = [seen.probabilities().half().cpu().numpy() if self.scored else None for seen in looks]
        return [Labelled(seen.photo, *found) for seen, found in zip(looks, zip(maps, scores, strict=True), strict=True)]

    def _attempt(self, work: Callable[[], T], image: Path) -> T | str:
        """The result, or what is wrong with the image."""
        try:
            return work()
        except TagsegError as error:
            return str(error) if str(image) in str(error) else f"{image}: {error}"
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            return f"{image} does not fit into memory: lower max_side (now {self.sizing.max_side})"


def _is_out_of_memory(error: Exception) -> bool:
    """On the CPU, PyTorch raises a plain ``RuntimeError`` that only its text tells apart."""
    known = isinstance(error, MemoryError | torch.cuda.OutOfMemoryError)
    return known or "can't allocate memory" in str(error) or "not enough memory" in str(error)
