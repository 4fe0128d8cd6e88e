"""One procedural photo with its exact mask: objects and clutter on a background, with camera effects.

``draw_scene(seed, index)`` is a pure function: the same in any order and in any process.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin, tau

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy import ndarray

from tagseg.data.dataset import IGNORE
from tagseg.data.scenes.objects import CLASSES, CLUTTER, TILT, body_paint
from tagseg.data.scenes.painting import Colour, Layer, Pose, Stamp, noise, put, render

NAMES = tuple(CLASSES)
SIZE = 160
"""Side of a scene in pixels."""
LEAST_VISIBLE = 0.6
"""Least visible share of an object; the rest may be hidden or outside the frame."""

_GROUNDS: tuple[Colour, ...] = (
    (0.84, 0.76, 0.58),
    (0.50, 0.64, 0.34),
    (0.64, 0.78, 0.90),
    (0.46, 0.46, 0.50),
    (0.76, 0.58, 0.42),
    (0.88, 0.87, 0.82),
    (0.46, 0.36, 0.30),
    (0.58, 0.68, 0.72),
    (0.80, 0.66, 0.66),
)
"""Sand, grass, sky, asphalt, wood, plaster, soil, stone, cloth."""


@dataclass(frozen=True)
class Scene:
    """One drawn photo.

    Attributes:
        image: uint8 (H, W, 3).
        mask: uint8 (H, W): 0 background and clutter, k+1 for class ``NAMES[k]``, 255 on mixed pixels at boundaries.
        part: bool (H, W): where discriminative parts are visible.
        tags: indices of the classes in it, ascending.
    """

    image: UInt8[ndarray, "H W 3"]
    mask: UInt8[ndarray, "H W"]
    part: Bool[ndarray, "H W"]
    tags: tuple[int, ...]


class Canvas:
    """An unfinished picture, its mask, and which object is on top at each pixel.

    Attributes:
        picture: float32 (size, size, 3), about 0 to 1.
        ground: mean colour of the background.
        mask: uint8 (size, size), as in ``Scene``.
        part: bool (size, size), as in ``Scene``.
    """

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.rng = rng
        self.size = size
        self.light = float(rng.uniform(-pi, 0))  # from above
        self.picture, self.ground = ground(rng, size, self.light)
        self.mask = np.zeros((size, size), np.uint8)
        self.part = np.zeros((size, size), bool)
        self.owner = np.full((size, size), -1)  # object on top of each pixel; -1 background and clutter
        self.areas: list[float] = []

    def lay(self, figure: list[Layer], pose: Pose, label: int, visible: float = LEAST_VISIBLE) -> bool:
        """Put a figure on top unless less than ``visible`` of any object would remain visible; whether it was put."""
        stamp = render(figure, pose, self.size, self.light, self.rng)
        if stamp is None or (label and (stamp.alpha > 0.5).sum() < max(visible, 0.8) * stamp.area):
            return False
        owner = self.owner.copy()
        owner[stamp.window][stamp.alpha > 0.5] = len(self.areas) if label else -1
        left = np.bincount(owner.ravel() + 1, minlength=len(self.areas) + 1)[1:]
        if any(count < visible * area for count, area in zip(left, self.areas, strict=False)):
            return False
        self.owner = owner
        if label:
            self.areas.append(stamp.area)
        put(self.picture, stamp, self.light, reach=0.08 * pose.scale + 1)
        self._label(stamp, label)
        return True

    def _label(self, stamp: Stamp, label: int) -> None:
        old = self.mask[stamp.window]
        mixed = np.where(old == label, label, IGNORE)
        self.mask[stamp.window] = np.where(stamp.alpha > 0.95, label, np.where(stamp.alpha > 0.05, mixed, old))
        self.part[stamp.window] = np.where(stamp.alpha > 0.5, stamp.part, self.part[stamp.window])


def ground(rng: np.random.Generator, size: int, light: float) -> tuple[Float32[ndarray, "size size 3"], Colour]:
    """A textured, unevenly lit background and its mean colour; half of them have a horizon."""
    first, second = rng.permutation(np.array(_GROUNDS))[:2]
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
    if rng.random() < 0.5:
        edge = y + 0.06 * rng.uniform(-1, 1) - 0.15 * rng.uniform(-1, 1) * x + float(rng.uniform(0.0, 0.2))
        share = 0.5 + edge * size / float(rng.uniform(1.0, 12.0))
    else:
        second = first * 0.7 + second * 0.3
        turn = rng.uniform(0, tau)
        share = 0.5 + x * cos(turn) + y * sin(turn)
    picture = np.float32(first) + np.float32(second - first) * np.clip(share, 0, 1)[..., None]
    stretch = float(rng.uniform(1, 5))
    grain = 0.10 * noise(rng, size, size, (size / 3, size / 3))
    grain += rng.uniform(0.02, 0.07) * noise(rng, size, size, (size / 24 / stretch, size / 12))
    grain += rng.uniform(0.01, 0.05) * noise(rng, size, size, (1.6, 1.6 * stretch))
    glow = 0.3 * (x * cos(light) + y * sin(light))
    picture = picture * (1 + grain + glow)[..., None]
    red, green, blue = (float(value) for value in picture.mean(axis=(0, 1)))
    return picture.astype(np.float32), (red, green, blue)


def photograph(rng: np.random.Generator, picture: Float32[ndarray, "H W 3"]) -> UInt8[ndarray, "H W 3"]:
    """Camera effects: exposure, white balance, vignette and sensor noise."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    tone = rng.uniform(0.92, 1.15) * rng.uniform(0.95, 1.05, 3).astype(np.float32)
    picture = picture * np.float32(tone) * (1 - rng.uniform(0.0, 0.14) * (x * x + y * y))[..., None]
    picture = picture + rng.uniform(0.008, 0.025) * rng.standard_normal(picture.shape, np.float32)
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def random_pose(rng: np.random.Generator, size: int, scale: tuple[float, float], tilt: float, edge: float) -> Pose:
    """A random pose at least ``edge`` (share of the side) inside the frame, rotated by at most ``tilt`` radians."""
    x, y = rng.uniform(edge * size, (1 - edge) * size, 2)
    angle, flip = rng.uniform(-tilt, tilt), rng.random() < 0.5
    return Pose(float(x), float(y), float(rng.uniform(*scale)) * size, float(angle), bool(flip))


def draw_scene(seed: int, index: int, size: int = SIZE) -> Scene:
    """Draw a scene: one to three classes, one to four objects, clutter between and over them.

    Args:
        seed: of a series of scenes, 0 or more.
        index: number of the scene in the series, 0 or more.
        size: side in pixels.
    """
    rng = np.random.default_rng((seed, index))
    canvas = Canvas(rng, size)
    kinds = rng.permutation(len(NAMES))[: rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2])]
    objects = [*kinds, *kinds[: int(rng.random() < 0.25)]]
    # from one object to four: its half-length as a share of the side
    scale = {1: (0.24, 0.38), 2: (0.20, 0.30), 3: (0.17, 0.24), 4: (0.15, 0.21)}[len(objects)]
    scatter(canvas, int(rng.integers(1, 4)), (0.04, 0.13))
    present = set()
    for kind in objects:
        apart = rng.random() < 0.6
        for attempt in range(8):
            visible = 0.97 if apart and attempt < 5 else LEAST_VISIBLE
            figure = CLASSES[NAMES[kind]](rng, body_paint(rng, canvas.ground))
            edge = 0.2 + 0.04 * attempt  # the last attempt is near the centre, where a first object always fits
            if canvas.lay(figure, random_pose(rng, size, scale, TILT[NAMES[kind]], edge), int(kind) + 1, visible):
                present.add(int(kind))
                break
    scatter(canvas, int(rng.integers(1, 4)), (0.04, 0.10))
    return Scene(photograph(rng, canvas.picture), canvas.mask, canvas.part, tuple(sorted(present)))


def scatter(canvas: Canvas, count: int, scale: tuple[float, float]) -> None:
    """Put clutter on the canvas; ``scale`` is the range of its size as a share of the side."""
    for _ in range(count):
        figure = CLUTTER[int(canvas.rng.integers(len(CLUTTER)))](canvas.rng, body_paint(canvas.rng, canvas.ground))
        canvas.lay(figure, random_pose(canvas.rng, canvas.size, scale, pi, 0.05), 0)
