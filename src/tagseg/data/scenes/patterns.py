"""Two-coloured patterns for painted surfaces, as signed distances so that their edges can be drawn soft."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin, tau

import numpy as np
from jaxtyping import Float
from numpy import ndarray

Pattern = Callable[[Float[ndarray, "h w"], Float[ndarray, "h w"]], Float[ndarray, "h w"]]
"""Signed distance, in the figure's units, to the pattern's edge at (u, v); positive where the accent colour shows."""


def _wave(value: ndarray, period: float) -> ndarray:
    """Signed distance to the edges of bands, half a period wide each."""
    return (0.25 - np.abs((value / period) % 1 - 0.5)) * period


def stripes(period: float, angle: float = 0.0) -> Pattern:
    """Bands of two colours."""
    return lambda u, v: _wave(u * cos(angle) + v * sin(angle), period)


def checks(period: float, angle: float = 0.0) -> Pattern:
    """A chessboard."""

    def pattern(u: ndarray, v: ndarray) -> ndarray:
        one = _wave(u * cos(angle) + v * sin(angle), period)
        other = _wave(v * cos(angle) - u * sin(angle), period)
        return np.sign(one * other) * np.minimum(np.abs(one), np.abs(other))

    return pattern


def dots(period: float, share: float = 0.32) -> Pattern:
    """A grid of dots of radius ``share`` periods."""
    return lambda u, v: (share - np.hypot((u / period) % 1 - 0.5, (v / period) % 1 - 0.5)) * period


def rings(x: float, y: float, period: float) -> Pattern:
    """Rings around (x, y)."""
    return lambda u, v: _wave(np.hypot(u - x, v - y), period)


def spiral(x: float, y: float, period: float) -> Pattern:
    """A spiral around (x, y)."""
    return lambda u, v: _wave(np.hypot(u - x, v - y) + np.arctan2(v - y, u - x) * (period / tau), period)


def spokes(x: float, y: float, count: int, width: float = 0.5) -> Pattern:
    """Rays from (x, y)."""

    def pattern(u: ndarray, v: ndarray) -> ndarray:
        turn = np.arctan2(v - y, u - x) * (count / tau) % 1
        return (width / 2 - np.abs(turn - 0.5)) * np.hypot(u - x, v - y) * (2 * pi / count)

    return pattern
