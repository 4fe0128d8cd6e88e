"""Drawing anti-aliased shapes with pattern, relief and cast shadow (numpy and Pillow only).

A *figure* is a list of layers in its own units, y down, about -1 to 1. ``render`` draws it at a pose as a *stamp*:
colours and one coverage of the whole figure, from which its mask follows exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, sin, tau

import numpy as np
from jaxtyping import Bool, Float, Float32
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFilter

from tagseg.data.scenes.patterns import Pattern

SUPERSAMPLE = 4
"""Shapes are drawn this many times larger and averaged: 17 levels of coverage of an edge pixel."""

Points = Float[ndarray, "_ 2"]
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Pose:
    """Position, size and rotation of a figure.

    Attributes:
        x: of its centre, pixels from the left.
        y: of its centre, pixels from the top.
        scale: pixels of one unit of the figure.
        angle: rotation in radians, clockwise.
        flip: horizontal flip before the rotation.
    """

    x: float
    y: float
    scale: float
    angle: float = 0.0
    flip: bool = False

    def place(self, points: Points) -> Points:
        """Figure units to pixels."""
        u = -points[:, 0] if self.flip else points[:, 0]
        v = points[:, 1]
        c, s = cos(self.angle) * self.scale, sin(self.angle) * self.scale
        return np.stack((self.x + c * u - s * v, self.y + s * u + c * v), axis=1)

    def local(self, x: Float[ndarray, "1 w"], y: Float[ndarray, "h 1"]) -> tuple[ndarray, ndarray]:
        """Pixels to figure units: two (h, w) arrays."""
        c, s = cos(self.angle) / self.scale, sin(self.angle) / self.scale
        u = c * (x - self.x) + s * (y - self.y)
        v = c * (y - self.y) - s * (x - self.x)
        return (-u if self.flip else u), v


@dataclass(frozen=True)
class Paint:
    """Colour and pattern of a layer.

    Attributes:
        colour: RGB, 0 to 1.
        grain: strength of its mottling, as a share of the brightness.
        accent: second colour, of the pattern.
        pattern: where the accent is visible; ``None``: nowhere.
    """

    colour: Colour
    grain: float = 0.06
    accent: Colour = (0.0, 0.0, 0.0)
    pattern: Pattern | None = None


@dataclass(frozen=True)
class Layer:
    """Outlines filled with one paint.

    Attributes:
        outlines: polygons in figure units, filled as their union.
        paint: of all of them.
        part: whether it belongs to the discriminative part.
        relief: 0 flat to 1 strongly rounded.
    """

    outlines: Sequence[Points]
    paint: Paint
    part: bool = False
    relief: float = 0.6


@dataclass(frozen=True)
class Stamp:
    """A figure drawn at a pose, cropped to the frame.

    Attributes:
        window: rows and columns of the frame that it covers.
        colour: float32 (h, w, 3), 0 to 1.
        alpha: its coverage, float32 (h, w), 0 to 1.
        part: where the discriminative part is visible, bool (h, w).
        area: in pixels, including what lies outside the frame.
    """

    window: tuple[slice, slice]
    colour: Float32[ndarray, "h w 3"]
    alpha: Float32[ndarray, "h w"]
    part: Bool[ndarray, "h w"]
    area: float


def ellipse(x: float, y: float, rx: float, ry: float, corners: int = 32) -> Points:
    """Outline of an upright ellipse around (x, y)."""
    turn = np.linspace(0, tau, corners, endpoint=False)
    return np.stack((x + rx * np.cos(turn), y + ry * np.sin(turn)), axis=1)


def smooth(points: Sequence[tuple[float, float]] | Points, steps: int = 8) -> Points:
    """The closed round outline (Catmull-Rom) through some points."""
    b = np.asarray(points, dtype=np.float64)[:, None]
    a, c, d = np.roll(b, 1, axis=0), np.roll(b, -1, axis=0), np.roll(b, -2, axis=0)
    t = (np.arange(steps) / steps)[None, :, None]
    curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return curve.reshape(-1, 2)


def stroke(points: Sequence[tuple[float, float]], start: float, end: float | None = None) -> Points:
    """Outline of a brush stroke along some points, its width going from ``start`` to ``end`` (default: the same)."""
    line = np.asarray(points, dtype=np.float64)
    along: ndarray = np.asarray(np.gradient(line, axis=0))
    normal = np.stack((-along[:, 1], along[:, 0]), axis=1) / np.maximum(np.linalg.norm(along, axis=1), 1e-9)[:, None]
    half = np.linspace(start, start if end is None else end, len(line))[:, None] / 2
    return np.concatenate((line + normal * half, (line - normal * half)[::-1]))


def noise(rng: np.random.Generator, height: int, width: int, cells: tuple[float, float]) -> Float32[ndarray, "h w"]:
    """Soft random field, about -1 to 1, whose lumps are ``cells`` = (rows, columns) pixels large."""
    rows, columns = (max(2, round(length / cell) + 1) for length, cell in zip((height, width), cells, strict=True))
    grid = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
    return np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))


def coverage(outlines: Sequence[Points], height: int, width: int) -> Float32[ndarray, "h w"]:
    """Share of each pixel inside the union of some outlines (in pixels)."""
    fine = Image.new("L", (width * SUPERSAMPLE, height * SUPERSAMPLE))
    pen = ImageDraw.Draw(fine)
    for outline in outlines:
        pen.polygon((outline * SUPERSAMPLE).ravel().tolist(), fill=255)
    return np.asarray(fine.reduce(SUPERSAMPLE), dtype=np.float32) / 255


def blurred(alpha: Float32[ndarray, "h w"], radius: float) -> Float32[ndarray, "h w"]:
    """Gaussian blur of a coverage."""
    soft = Image.fromarray((alpha * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(soft, dtype=np.float32) / 255


def _bounds(outlines: Sequence[Points], margin: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in whole pixels."""
    points = np.concatenate(outlines)
    left, top = np.floor(points.min(axis=0)).astype(int) - margin
    right, bottom = np.ceil(points.max(axis=0)).astype(int) + margin
    return int(left), int(top), int(right), int(bottom)


def _colours(
    layer: Layer,
    pose: Pose,
    corner: tuple[int, int],
    alpha: Float32[ndarray, "h w"],
    light: float,
    rng: np.random.Generator,
) -> Float32[ndarray, "h w 3"]:
    """The layer's paint under the light that comes from direction ``light`` (radians)."""
    height, width = alpha.shape
    colour = np.broadcast_to(np.array(layer.paint.colour, np.float32), (height, width, 3))
    if layer.paint.pattern is not None:
        x = np.arange(width)[None] + (corner[0] + 0.5)
        y = np.arange(height)[:, None] + (corner[1] + 0.5)
        edge = layer.paint.pattern(*pose.local(x, y))
        share = np.clip(0.5 + edge * pose.scale, 0, 1).astype(np.float32)[..., None]
        colour = colour * (1 - share) + np.array(layer.paint.accent, np.float32) * share
    shade = 1 + layer.paint.grain * noise(rng, height, width, (pose.scale / 7, pose.scale / 7))
    shade += layer.paint.grain / 2 * rng.standard_normal((height, width), np.float32)
    if layer.relief:
        radius = 1 + 0.13 * pose.scale
        down, right = np.gradient(blurred(alpha, radius))
        # the blurred edge falls by 1 over about 2.5 radii: the slope says which way the surface faces
        facing = (right * cos(light) + down * sin(light)) * (2.5 * radius)
        shade -= 0.55 * layer.relief * facing
    return colour * shade[..., None]


def render(figure: Sequence[Layer], pose: Pose, size: int, light: float, rng: np.random.Generator) -> Stamp | None:
    """Draw a figure.

    Args:
        figure: its layers, the lowest first.
        pose: where it stands.
        size: side of the square frame in pixels.
        light: direction the light comes from, radians, clockwise from the right.
        rng: for the grain of its surface.

    Returns:
        The stamp, or ``None`` if the frame has nothing of it.
    """
    placed = [[pose.place(outline) for outline in layer.outlines] for layer in figure]
    left, top, right, bottom = _bounds([outline for outlines in placed for outline in outlines], margin=1)
    colour = np.zeros((bottom - top, right - left, 3), np.float32)
    alpha = np.zeros(colour.shape[:2], np.float32)
    part = np.zeros(colour.shape[:2], np.float32)
    for layer, outlines in zip(figure, placed, strict=True):
        x0, y0, x1, y1 = _bounds(outlines, margin=1)
        inside = coverage([outline - (x0, y0) for outline in outlines], y1 - y0, x1 - x0)
        paint = _colours(layer, pose, (x0, y0), inside, light, rng)
        here = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
        below = alpha[here]
        alpha[here] = np.maximum(below, inside)  # layers of one figure overlap, so their seams stay closed
        share = inside / np.maximum(np.maximum(below, inside), 1e-6)
        colour[here] += (paint - colour[here]) * share[..., None]
        part[here] += (float(layer.part) - part[here]) * share
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, size), min(bottom, size)
    if x0 >= x1 or y0 >= y1:
        return None
    cut = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
    shown = (part[cut] > 0.5) & (alpha[cut] > 0.5)
    return Stamp((slice(y0, y1), slice(x0, x1)), colour[cut], alpha[cut], shown, float(alpha.sum()))


def put(picture: Float32[ndarray, "H W 3"], stamp: Stamp, light: float, reach: float) -> None:
    """Paint a stamp on a picture, in place, its soft shadow below it falling ``reach`` pixels away from the light."""
    height, width = picture.shape[:2]
    rows, columns = stamp.window
    shadow = Image.new("L", (width, height))
    offset = columns.start - round(reach * cos(light)), rows.start - round(reach * sin(light))
    shadow.paste(Image.fromarray((stamp.alpha * 255).astype(np.uint8)), offset)
    soft = np.asarray(shadow.filter(ImageFilter.GaussianBlur(0.6 * reach + 0.5)), dtype=np.float32)
    picture *= 1 - (0.5 / 255) * soft[..., None]
    picture[stamp.window] += (stamp.colour - picture[stamp.window]) * stamp.alpha[..., None]
