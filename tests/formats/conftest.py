"""Photos with label maps that are hard to write: holes, corners that touch, single pixels, nothing, everything."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tagseg.data.masks import MaskFile
from tagseg.data.palette import palette
from tagseg.data.voc import CLASSES as VOC_CLASSES
from tagseg.formats.format import Plan
from tagseg.formats.settings import FormatSettings
from tagseg.formats.table import Formats

SHARED = Path(os.environ.get("TAGSEG_SHARED", Path(__file__).parents[3] / "shared"))
CLASSES = ("cat", "traffic light", 'say "é" <&>')


@dataclass(frozen=True, eq=False)
class Photo:
    """What formats read of a result."""

    mask: np.ndarray
    path: Path | None = None
    probs: np.ndarray | None = None


def drawn(text: str) -> np.ndarray:
    """A label map from rows of digits."""
    return np.array([[int(digit) for digit in row] for row in text.split()], np.uint8)


def nasty() -> dict[str, np.ndarray]:
    """Label maps by name, some in sub-folders."""
    rng = np.random.default_rng(0)
    ring = np.zeros((23, 31), np.uint8)
    ring[2:20, 3:28] = 1
    ring[5:17, 6:25] = 0
    ring[7:15, 8:22] = 2
    ring[9:12, 10:20] = 1  # within a hole of the second, within a hole of the first
    spots = np.zeros((9, 12), np.uint8)
    spots[0, 0] = spots[8, 11] = spots[4, 4] = spots[5, 5] = 3
    spots[2, 2:9] = spots[3:9, 8] = 1
    return {
        "ring": ring,
        "spots": spots,
        "one": drawn("2"),
        "column": drawn("1 1 0 2 2"),
        "row": drawn("0110223"),
        "diagonals": drawn("1020 0102 2010 0201"),
        "holes that touch": drawn("11111 10111 11011 11101 11111"),
        "sub/open corner": drawn("1111 1001 1010 1100"),
        "sub/full": np.full((6, 5), 3, np.uint8),
        "nothing": np.zeros((7, 4), np.uint8),
        "ignored": drawn("112 112 112") + np.array([[0, 0, 253]], np.uint8),
        "noise é": rng.integers(0, 4, (13, 11)).astype(np.uint8),
        "patches": np.kron(rng.integers(0, 4, (13, 8)), np.ones((5, 7))).astype(np.uint8)[:61, :53],
    }


def with_files(masks: dict[str, np.ndarray], folder: Path) -> dict[str, Photo]:
    """Photos of the label maps, each with a file of its size."""
    photos = {}
    for name, mask in masks.items():
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", mask.shape[::-1], (90, 120, 60)).save(path)
        photos[name] = Photo(mask, path)
    return photos


def plan_of(photos: dict[str, Photo], output: Path, classes: tuple[str, ...] = CLASSES, **settings: str) -> Plan:
    names = dict(enumerate(("background", *classes)))
    colours = tuple((int(r), int(g), int(b)) for r, g, b in palette()[: len(names)])
    return Plan(output, names, colours, tuple(photos), FormatSettings(**settings))


def write(
    formats: str, photos: dict[str, Photo], output: Path, classes: tuple[str, ...] = CLASSES, **settings: str
) -> Path:
    """All photos in these formats, added from the last to the first; the folder they are in."""
    plan = plan_of(photos, output, classes, **settings)
    writing = Formats(formats.split(","), plan)
    for name in reversed(photos):
        writing.add(photos[name], name)
    writing.close()
    return output


@pytest.fixture
def photos(tmp_path: Path) -> dict[str, Photo]:
    return with_files(nasty(), tmp_path / "photos")


@pytest.fixture(scope="session")
def real_masks() -> Callable[[int], tuple[dict[str, Photo], tuple[str, ...]]]:
    """So many photos of voc20mix with their ground truth, and the classes; the test is skipped where there are none."""
    root = SHARED / "data" / "voc20mix"
    if not root.is_dir():
        pytest.skip(f"no photos at {root}: set TAGSEG_SHARED to the folder above data/")
    return lambda count: voc20mix(root, count)


def voc20mix(root: Path, count: int) -> tuple[dict[str, Photo], tuple[str, ...]]:
    ids = (root / "ImageSets" / "Segmentation" / "val.txt").read_text().split()
    photos = {}
    for name in ids[:: max(1, len(ids) // count)][:count]:
        image = root / "JPEGImages" / f"{name}.jpg"
        photos[name] = Photo(MaskFile(root / "SegmentationClass" / f"{name}.png", image, len(VOC_CLASSES))(), image)
    return photos, VOC_CLASSES


def expected(photo: Photo) -> np.ndarray:
    """The label map without ignored pixels, which no format but PNG keeps."""
    return np.where(photo.mask == 255, 0, photo.mask)
