"""Palette PNGs, as PASCAL VOC has them: pixel values are labels."""

from __future__ import annotations

from typing import ClassVar

from tagseg.data.masks import save_mask
from tagseg.formats.format import LabelledPhoto, Plan


class Png:
    """``masks/NAME.png``."""

    OUTPUTS: ClassVar[tuple[str, ...]] = ("masks/",)
    PROBS: ClassVar[bool] = False

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def add(self, photo: LabelledPhoto, name: str) -> None:
        """Write a photo's mask."""
        save_mask(self._plan.output / "masks" / f"{name}.png", photo.mask, self._plan.colours)

    def close(self) -> None:
        """Each file is whole already."""
