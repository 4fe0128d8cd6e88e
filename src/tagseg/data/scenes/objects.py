"""The objects of the procedural scenes: six classes, and clutter of no class.

Each object is a large plain body, in colours that all classes and the clutter share, and one small discriminative part
with colours and a pattern that no other class has. Without that part, only the shape of the body identifies the class.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin, tau

import numpy as np

from tagseg.data.scenes.painting import Colour, Layer, Paint, Points, ellipse, smooth, stroke
from tagseg.data.scenes.patterns import checks, dots, rings, spiral, spokes, stripes

BODY_COLOURS: tuple[Colour, ...] = (
    (0.72, 0.36, 0.26),
    (0.80, 0.62, 0.28),
    (0.50, 0.58, 0.40),
    (0.36, 0.48, 0.62),
    (0.78, 0.56, 0.56),
    (0.46, 0.36, 0.54),
    (0.86, 0.80, 0.68),
    (0.46, 0.36, 0.28),
    (0.30, 0.52, 0.52),
    (0.60, 0.60, 0.60),
)
"""Shared by all classes and the clutter, so that body colour does not identify a class."""

_DARK: Colour = (0.16, 0.13, 0.12)
_Figure = list[Layer]


def body_paint(rng: np.random.Generator, ground: Colour) -> Paint:
    """A random plain paint in contrast to a background colour."""
    palette = rng.permutation(np.array(BODY_COLOURS))
    contrast = np.abs(palette - np.array(ground)).sum(axis=1)
    colour = palette[np.argmax(contrast > 0.42)] if contrast.max() > 0.42 else palette[np.argmax(contrast)]
    colour = np.clip(colour * rng.uniform(0.9, 1.1) + rng.uniform(-0.05, 0.05, 3), 0.05, 0.95)
    return Paint(_rgb(colour), grain=float(rng.uniform(0.03, 0.08)))


def darker(paint: Paint, factor: float) -> Paint:
    """The same paint with its colour multiplied by a factor."""
    return Paint(_rgb(np.clip(np.array(paint.colour) * factor, 0, 1)), paint.grain)


def _rgb(colour: np.ndarray) -> Colour:
    red, green, blue = (float(value) for value in colour)
    return red, green, blue


def _wobble(rng: np.random.Generator, points: Points, amount: float) -> Points:
    """The smooth outline through randomly perturbed points."""
    return smooth(points + rng.normal(0, amount, points.shape))


def beetle(rng: np.random.Generator, body: Paint) -> _Figure:
    """From above, head to the right; the part is a yellow neck shield with black dots."""
    legs = []
    for foot in (-0.55, -0.02, 0.42):
        for side in (-1, 1):
            reach = foot + float(rng.uniform(-0.12, 0.12))
            knee = (foot * 0.8 + 0.05, side * 0.66)
            legs.append(stroke([(foot * 0.7, side * 0.3), knee, (reach, side * 0.92)], 0.11, 0.06))
    feelers = [stroke([(0.9, 0.1 * s), (1.1, 0.2 * s), (1.2, 0.36 * s)], 0.06, 0.05) for s in (-1, 1)]
    long, wide = rng.uniform(0.92, 1.08), rng.uniform(0.9, 1.05)
    outline = [(0.52, 0.38), (0.0, 0.56), (-0.62, 0.46), (-0.98, 0.0), (-0.62, -0.46), (0.0, -0.56), (0.52, -0.38)]
    back = smooth(np.array(outline) * (long, wide))
    neck = smooth([(0.36, 0.36), (0.62, 0.36), (0.8, 0.18), (0.8, -0.18), (0.62, -0.36), (0.36, -0.36), (0.44, 0.0)])
    shield = Paint((0.96, 0.80, 0.12), 0.03, (0.06, 0.05, 0.05), dots(0.24, 0.34))
    return [
        Layer(legs + feelers, Paint(_DARK), relief=0.0),
        Layer([ellipse(0.84, 0.0, 0.18, 0.2)], darker(body, 0.6)),
        Layer([back], body, relief=1.0),
        Layer([stroke([(-0.95 * long, 0.0), (0.0, 0.0), (0.5, 0.0)], 0.05)], darker(body, 0.55), relief=0.0),
        Layer([neck], shield, part=True, relief=0.5),
    ]


def car(rng: np.random.Generator, body: Paint) -> _Figure:
    """From the side, front to the right; the parts are black tyres with silver spokes."""
    roof, nose = float(rng.uniform(-0.55, -0.42)), float(rng.uniform(-0.12, -0.02))
    hull = smooth(
        [(-1.0, 0.2), (-1.0, -0.06), (-0.78, -0.14), (0.5, -0.12), (0.9, nose), (1.02, 0.16), (0.98, 0.3), (-0.95, 0.3)]
    )
    cabin = smooth([(-0.8, -0.05), (-0.58, roof), (-0.3, roof - 0.05), (0.1, roof), (0.5, -0.05), (0.0, 0.0)])
    pane = np.array([(-0.62, -0.12), (-0.5, roof + 0.1), (-0.2, roof + 0.06), (-0.2, -0.12)])
    front = np.array([(-0.12, -0.12), (-0.12, roof + 0.06), (0.06, roof + 0.1), (0.34, -0.12)])
    layers = [
        Layer([cabin], body, relief=0.5),
        Layer([hull], body, relief=0.9),
        Layer([pane, front], darker(body, 0.45), relief=0.0),
        Layer([stroke([(-0.97, 0.24), (0.0, 0.25), (0.97, 0.24)], 0.06)], darker(body, 0.6), relief=0.0),
    ]
    for x in (-0.58, 0.6):
        hub = Paint((0.90, 0.92, 0.95), 0.02, (0.25, 0.25, 0.28), spokes(x, 0.3, 5, 0.4))
        layers += [
            Layer([ellipse(x, 0.3, 0.235, 0.235)], Paint((0.07, 0.07, 0.08), 0.03), part=True, relief=0.4),
            Layer([ellipse(x, 0.3, 0.145, 0.145)], hub, part=True, relief=0.2),
        ]
    return layers


def fish(rng: np.random.Generator, body: Paint) -> _Figure:
    """From the side, head to the right; the part is a red and white eye."""
    belly = float(rng.uniform(0.36, 0.5))
    outline = [(1.0, 0.04), (0.74, -0.24), (0.28, -belly), (-0.24, -0.34), (-0.66, -0.1)]
    outline += [(-0.66, 0.1), (-0.24, 0.34), (0.28, belly), (0.74, 0.26)]
    spread = float(rng.uniform(0.36, 0.5))
    tail = smooth([(-0.56, 0.0), (-0.8, -0.2), (-1.06, -spread), (-0.94, 0.0), (-1.06, spread), (-0.8, 0.2)])
    back_fin = smooth([(0.34, -belly + 0.1), (0.16, -belly - 0.2), (-0.26, -0.5), (-0.36, -0.24), (0.0, -0.3)])
    low_fin = smooth([(0.2, belly - 0.1), (0.02, belly + 0.2), (-0.16, belly + 0.12), (-0.1, 0.28)])
    side_fin = smooth([(0.22, 0.06), (-0.08, 0.2), (-0.14, 0.08), (0.0, 0.0)])
    eye = (0.62, -0.08)
    return [
        Layer([tail, back_fin, low_fin], darker(body, 0.85), relief=0.3),
        Layer([_wobble(rng, np.array(outline), 0.012)], body, relief=1.0),
        Layer([side_fin], darker(body, 0.75), relief=0.3),
        Layer([ellipse(*eye, 0.2, 0.2)], Paint((0.98, 0.97, 0.94), 0.02), part=True, relief=0.2),
        Layer([ellipse(*eye, 0.15, 0.15)], Paint((0.90, 0.12, 0.10), 0.02), part=True, relief=0.0),
        Layer([ellipse(*eye, 0.08, 0.08)], Paint((0.03, 0.03, 0.03), 0.0), part=True, relief=0.0),
    ]


def snail(rng: np.random.Generator, body: Paint) -> _Figure:
    """From the side, head to the right; the part is the spiral at the heart of its shell."""
    head = float(rng.uniform(-0.25, -0.1))
    outline = [(-1.06, 0.56), (-0.6, 0.34), (0.0, 0.3), (0.46, 0.2), (0.6, head), (0.8, head - 0.12)]
    foot = smooth([*outline, (0.98, head), (0.96, 0.3), (0.8, 0.56), (0.0, 0.58)])
    stalks = [
        stroke([(0.76, head), (0.8, head - 0.3), (0.74, head - 0.44)], 0.08, 0.06),
        stroke([(0.88, head), (0.98, head - 0.26), (1.08, head - 0.38)], 0.08, 0.06),
    ]
    x, y, radius = -0.16, -0.12, float(rng.uniform(0.56, 0.64))
    shell = Paint(darker(body, float(rng.uniform(0.8, 1.15))).colour, body.grain)
    curl = Paint((0.97, 0.92, 0.80), 0.03, (0.45, 0.10, 0.42), spiral(x, y, 0.2))
    return [
        Layer([foot, *stalks], darker(body, 0.9), relief=0.7),
        Layer([_wobble(rng, ellipse(x, y, radius, radius, corners=8), 0.015)], shell, relief=1.0),
        Layer([ellipse(x, y, 0.29, 0.29)], curl, part=True, relief=0.3),
    ]


def teapot(rng: np.random.Generator, body: Paint) -> _Figure:
    """From the side, spout to the right; the part is a lid with blue and white checks."""
    wide = float(rng.uniform(0.94, 1.08))
    base = [
        (-0.3, -0.36),
        (0.3, -0.36),
        (0.56, -0.1),
        (0.6, 0.2),
        (0.36, 0.52),
        (-0.36, 0.52),
        (-0.6, 0.2),
        (-0.56, -0.1),
    ]
    belly = smooth(np.array(base) * (wide, 1.0))
    spout = smooth([(0.4, 0.3), (0.78, 0.0), (0.86, -0.36), (1.06, -0.42), (1.0, -0.1), (0.86, 0.2), (0.5, 0.46)])
    grip = np.linspace(pi * 0.5, pi * 1.5, 12)
    handle = stroke([(-0.5 + 0.46 * cos(t), 0.06 + 0.3 * sin(t)) for t in grip], 0.13, 0.13)
    dome = [(-0.4, -0.32), (-0.37, -0.45), (-0.2, -0.52), (0.2, -0.52), (0.37, -0.45), (0.4, -0.32), (0.0, -0.26)]
    tiles = Paint((0.97, 0.97, 0.99), 0.02, (0.08, 0.20, 0.80), checks(0.22))
    return [
        Layer([handle, spout], body, relief=0.5),
        Layer([belly], body, relief=1.0),
        Layer([stroke([(-0.4, 0.5), (0.0, 0.54), (0.4, 0.5)], 0.1)], darker(body, 0.7), relief=0.0),
        Layer([smooth(dome), ellipse(0.0, -0.58, 0.1, 0.1)], tiles, part=True, relief=0.4),
    ]


def tree(rng: np.random.Generator, body: Paint) -> _Figure:
    """A round crown; the part is a white birch trunk with black bands."""
    lobes = np.arange(7) * tau / 7 + rng.uniform(0, 1)
    crown = [
        ellipse(
            0.5 * cos(t) * rng.uniform(0.8, 1.1), -0.3 + 0.4 * sin(t), rng.uniform(0.26, 0.36), rng.uniform(0.26, 0.36)
        )
        for t in lobes
    ]
    leaves = [ellipse(rng.normal(0, 0.24), rng.normal(-0.3, 0.24), 0.09, 0.07) for _ in range(7)]
    lean = float(rng.uniform(-0.06, 0.06))
    trunk = stroke([(lean, 0.2), (0.0, 0.6), (0.0, 1.0)], 0.2, 0.26)
    bark = Paint((0.96, 0.95, 0.92), 0.04, (0.06, 0.06, 0.06), stripes(0.2, pi / 2 + float(rng.uniform(-0.3, 0.3))))
    return [
        Layer([trunk], bark, part=True, relief=0.5),
        Layer([ellipse(0.0, -0.3, 0.52, 0.44), *crown], body, relief=1.0),
        Layer(leaves, darker(body, 0.85), relief=0.6),
    ]


CLASSES: dict[str, Callable[[np.random.Generator, Paint], _Figure]] = {
    "beetle": beetle,
    "car": car,
    "fish": fish,
    "snail": snail,
    "teapot": teapot,
    "tree": tree,
}
"""Name → function that draws the class; label k+1 in a mask is the k-th, from 0."""

TILT: dict[str, float] = {"beetle": pi, "car": 0.3, "fish": 0.6, "snail": 0.35, "teapot": 0.3, "tree": 0.25}
"""Largest rotation of each class to either side, radians."""


def pebble(rng: np.random.Generator, body: Paint) -> _Figure:
    """A round stone."""
    corners = int(rng.integers(5, 9))
    turn = np.arange(corners) * tau / corners
    radius = rng.uniform(0.6, 1.0, corners) * (1.0, rng.uniform(0.6, 1.0))[int(rng.integers(2))]
    return [Layer([smooth(np.stack((radius * np.cos(turn), radius * np.sin(turn)), axis=1))], body, relief=1.0)]


def block(rng: np.random.Generator, body: Paint) -> _Figure:
    """A wooden block with three visible faces."""
    wide, high, deep = rng.uniform(0.5, 0.9, 3) * (1, 1, 0.6)
    face = np.array([(-wide, -high), (wide, -high), (wide, high), (-wide, high)])
    top = np.array([(-wide, -high), (wide, -high), (wide + deep, -high - deep), (-wide + deep, -high - deep)])
    side = np.array([(wide, -high), (wide, high), (wide + deep, high - deep), (wide + deep, -high - deep)])
    return [
        Layer([top], darker(body, 1.15), relief=0.0),
        Layer([side], darker(body, 0.7), relief=0.0),
        Layer([face], body, relief=0.1),
    ]


def leaf(rng: np.random.Generator, body: Paint) -> _Figure:
    """A leaf with its vein."""
    wide = float(rng.uniform(0.25, 0.45))
    outline = smooth([(1.0, 0.0), (0.4, wide), (-0.4, wide * 0.9), (-0.9, 0.0), (-0.4, -wide * 0.9), (0.4, -wide)])
    vein = stroke([(-1.15, 0.0), (0.0, 0.03), (0.9, 0.0)], 0.09, 0.04)
    return [Layer([outline], body, relief=0.5), Layer([vein], darker(body, 0.7), relief=0.0)]


def stick(rng: np.random.Generator, body: Paint) -> _Figure:
    """A twig with one fork."""
    bend = float(rng.uniform(-0.2, 0.2))
    twig = stroke([(-1.1, 0.0), (0.0, bend), (1.1, 0.0)], 0.2, 0.13)
    fork = stroke([(0.0, bend), (0.3, bend - 0.3), (0.45, bend - 0.5)], 0.13, 0.09)
    return [Layer([twig, fork], body, relief=0.8)]


def dish(rng: np.random.Generator, body: Paint) -> _Figure:
    """A plain dish from above."""
    rim = Paint(body.colour, body.grain, darker(body, 0.8).colour, rings(0.0, 0.0, 1.3))
    return [Layer([ellipse(0.0, 0.0, 1.0, float(rng.uniform(0.7, 1.0)))], rim, relief=0.7)]


CLUTTER: tuple[Callable[[np.random.Generator, Paint], _Figure], ...] = (pebble, block, leaf, stick, dish)
"""Objects of no class: background in the masks."""
