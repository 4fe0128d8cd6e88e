"""A clean folder of photos to plant faults in, and a check of it."""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tagseg.check.check import check
from tagseg.check.finding import Finding
from tagseg.data.config import DataConfig

CLASSES = ("cat", "dog", "horse")
SIDE = 96


def photo(seed: int, size: tuple[int, int] = (SIDE, SIDE + 16)) -> Image.Image:
    """A picture (H, W) of some coarse random colours, which looks like no other one."""
    colours = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), np.uint8)
    return Image.fromarray(colours).resize(size[::-1], Image.Resampling.BICUBIC)


@dataclass
class Photos:
    """A folder of photos, of which each class is in a third and in a fourth of the others; a mask each.

    Attributes:
        root: the folder.
        rows: name → tags and split; written by ``check``.
        classes: the class list; ``None`` writes none.
    """

    root: Path
    rows: dict[str, tuple[list[str], str]] = field(default_factory=dict)
    classes: tuple[str, ...] | None = CLASSES

    def add(self, name: str, tags: list[str], split: str = "train", image: Image.Image | None = None) -> Path:
        """A photo with its row and its mask: a stripe of each class."""
        path = self.root / "images" / f"{name}.jpg"
        image = image or photo(len(self.rows) + 1)
        image.save(path, quality=90)
        mask = np.zeros((image.height, image.width), np.uint8)
        for tag in tags:
            label = CLASSES.index(tag) + 1 if tag in CLASSES else 0
            mask[10 * label : 10 * label + 8] = label
        Image.fromarray(mask).save(self.root / "masks" / f"{name}.png")
        self.rows[f"{name}.jpg"] = (tags, split)
        return path

    def check(self, **settings) -> dict[str, Finding]:
        """The findings by their codes, each of which must be there once."""
        self.write()
        result = check(DataConfig(root=str(self.root), **settings), quiet=True)
        codes = [finding.code for finding in result.findings]
        assert len(codes) == len(set(codes))
        return {finding.code: finding for finding in result.findings}

    def write(self) -> None:
        """Write the tag file and the class list."""
        with (self.root / "labels.csv").open("w", newline="") as file:
            rows = ((name, ";".join(tags), split) for name, (tags, split) in self.rows.items())
            csv.writer(file).writerows([("image", "labels", "split"), *rows])
        if self.classes is not None:
            (self.root / "classes.txt").write_text("\n".join(self.classes))


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    """27 photos to train on and 6 to score, in which there is nothing to be found; not to be changed."""
    root = tmp_path_factory.mktemp("clean")
    for name in ("images", "masks"):
        (root / name).mkdir()
    made = Photos(root)
    for index in range(33):
        tags = [CLASSES[index % 3]] + ([CLASSES[(index + 1) % 3]] if index % 4 == 3 else [])
        made.add(f"p{index:02}", sorted(tags), "train" if index < 27 else "val")
    return made


@pytest.fixture
def photos(clean: Photos, tmp_path: Path) -> Photos:
    """A copy of the clean folder to plant faults in."""
    shutil.copytree(clean.root, tmp_path / "photos")
    return Photos(tmp_path / "photos", dict(clean.rows))
