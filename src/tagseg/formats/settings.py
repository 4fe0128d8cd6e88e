"""What the formats leave open."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from tagseg.settings import Section


@dataclass(frozen=True)
class FormatSettings(Section):
    """Settings of the formats that ``predict`` writes (docs/formats.md)."""

    SECTION: ClassVar[str] = "format_settings"

    scores_as: str = "uint8"
    """npz: how probabilities are stored: ``uint8`` (in steps of 1/255), ``float16``, or ``top3``: the three largest of
    each pixel in steps of 1/255, with their labels (or another number than three)."""
    url_prefix: str = "/data/local-files/?d="
    """labelstudio: what stands before the path of each photo, which is relative to the folder that was predicted."""
    from_name: str = "tag"
    """labelstudio: ``name`` of the project's ``BrushLabels``."""
    to_name: str = "image"
    """labelstudio: ``name`` of the project's ``Image``, and of the field that holds the photo's address."""
    voc_split: str = ""
    """voc-server: file with the ids of the split, one in a line, e.g. ``VOC2012/ImageSets/Segmentation/test.txt``."""

    def __post_init__(self) -> None:
        """Raise ``TagsegError`` for a value that is not allowed."""
        super().__post_init__()
        if self.scores_as not in ("uint8", "float16") and not self.top:
            self.refuse("scores_as", self.scores_as, "uint8, float16, or top1 to top255")
        for name in ("from_name", "to_name"):
            if not re.fullmatch(r"[\w-]+", getattr(self, name)):
                self.refuse(name, getattr(self, name), "letters, digits, _ and -")

    @property
    def top(self) -> int:
        """How many probabilities of a pixel are stored; 0: all."""
        found = re.fullmatch(r"top([1-9]\d{0,2})", self.scores_as)
        return int(found[1]) if found and int(found[1]) <= 255 else 0


DEFAULT_SETTINGS = FormatSettings()
"""What is used where nothing is said."""
