"""Equals ``pairwise.mean_field`` with the lattice, for one image, in compiled loops; one thread.

A pixel's classes lie side by side, so that every loop runs over them. One iteration spreads Q over the lattice and
blurs it there, then goes through the image row by row: smooth Q in position, read the lattice, softmax.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from numpy import ndarray

from tagseg.fast.compiled import compiled
from tagseg.fast.lattice import FEATURES, LANES, CpuLattice, read
from tagseg.fast.workspace import Workspace
from tagseg.pairwise.config import CrfConfig
from tagseg.pairwise.lattice import slice_scale
from tagseg.pairwise.relevant import LEAST, reach_of, relevant_classes
from tagseg.pairwise.spatial import normaliser, taps

_LARGE = 60.0  # messages up to here can be exponentiated as they are
_TILE = 1024  # elements of a row that are smoothed at a time, so that ten rows of them stay in the first-level cache


@dataclass(frozen=True)
class CpuMarginals:
    """The marginals of one image.

    Attributes:
        classes: (k,) the classes that were filtered, rising.
        q: (N, k') their marginals; k' is k, filled up to whole vectors with zeros.
        rest: (N,) what all other classes have together.
    """

    classes: Int64[ndarray, " k"]
    q: Float32[ndarray, "N kp"]
    rest: Float32[ndarray, " N"]

    def labels(self) -> UInt8[ndarray, " N"]:
        """The most probable class of each pixel; the others cannot win (``relevant_classes``)."""
        labels = np.empty(len(self.q), np.uint8)
        _argmax(self.q, self.classes.astype(np.uint8), labels)
        return labels

    def planes(self, probabilities: Float32[ndarray, "C N"]) -> Float32[ndarray, "C N"]:
        """Every class's marginal; the classes that were not filtered share the rest as they did before."""
        result = probabilities.copy()
        result[self.classes] = 0
        result *= self.rest / np.maximum(result.sum(axis=0), np.float32(LEAST))
        result[self.classes] = self.q[:, : len(self.classes)].T
        return result


def cpu_mean_field(
    probabilities: Float32[ndarray, "C H W"],
    image: UInt8[ndarray, "H W 3"],
    config: CrfConfig,
    workspace: Workspace | None = None,
) -> CpuMarginals:
    """As ``mean_field`` with the lattice, for one image; the result lies in the workspace."""
    workspace = workspace or Workspace()
    height, width = probabilities.shape[1:]
    planes = np.ascontiguousarray(probabilities.reshape(len(probabilities), -1))
    lattice = CpuLattice(_features(image, config, workspace.array("points", (*image.shape[:2], FEATURES))), workspace)
    density = lattice.filter(np.ones((planes.shape[1], 1), np.float32))[:, 0]
    norm = 1 / np.sqrt(np.maximum(density, np.float32(1e-20)))
    reach = reach_of(config, (height, width), float(norm.max()), float(norm.min()))
    shares, best = np.zeros(len(planes), np.float32), np.empty(planes.shape[1], np.float32)
    _largest_shares(planes, shares, best)
    classes = relevant_classes(torch.from_numpy(shares), reach, config.negligible).nonzero()[:, 0].numpy()

    channels = len(classes) + -len(classes) % LANES
    q, unary = (workspace.array(name, (len(norm), channels)) for name in ("q", "unary"))
    _arrange(planes, classes, best, q, unary)
    rest_q = _rest(planes, classes)
    rest = rest_q / best
    gaussian = _gaussian(height, width, config)
    scale = norm * np.float32(config.bilateral_weight * slice_scale(FEATURES))
    tables = lattice.tables(channels)
    for _ in range(config.iterations):
        table = lattice.gather(q, norm, tables)
        _update(
            q.reshape(height, -1), unary.reshape(height, -1), rest, table, lattice.vertices, lattice.weights, scale,
            *gaussian, rest_q,
        )  # fmt: skip
    return CpuMarginals(classes, q, rest_q)


def _rest(planes: Float32[ndarray, "C N"], classes: Int64[ndarray, " k"]) -> Float32[ndarray, " N"]:
    """Sum of all other classes."""
    others = np.ones(len(planes), bool)
    others[classes] = False
    return planes[others].sum(axis=0)


def _features(
    image: UInt8[ndarray, "H W 3"], config: CrfConfig, points: Float32[ndarray, "H W 5"]
) -> Float32[ndarray, "N 5"]:
    """As ``pairwise.lattice.pixel_features``, written to ``points``."""
    height, width = image.shape[:2]
    points[..., 0] = np.arange(width) / np.float32(config.bilateral_sigma_xy)
    points[..., 1] = np.arange(height)[:, None] / np.float32(config.bilateral_sigma_xy)
    points[..., 2:] = image / np.float32(config.bilateral_sigma_rgb)
    return points.reshape(-1, FEATURES)


def _gaussian(
    height: int, width: int, config: CrfConfig
) -> tuple[Float32[ndarray, "H t"], Float32[ndarray, " r"], Float32[ndarray, " W"]]:
    """Weights of the rows around each row (normalised, times the kernel's weight), of the columns, and their norm."""
    weights = taps(config.gaussian_sigma).numpy()
    weights = np.pad(weights, (0, -(len(weights) - 1) % 4))  # the loops take two or four distances at a time
    norm = normaliser(height, config.gaussian_sigma).numpy()
    reach = len(weights) - 1
    place = np.arange(height)[:, None] + np.arange(-reach, reach + 1)
    inside = (place >= 0) & (place < height)
    around = np.concatenate([weights[:0:-1], weights]) * np.where(inside, norm[place.clip(0, height - 1)], 0)
    rows = config.gaussian_weight * norm[:, None] * around
    columns = normaliser(width, config.gaussian_sigma).numpy()
    return rows.astype(np.float32), weights.astype(np.float32), columns.astype(np.float32)


@compiled
def _largest_shares(planes, shares, best):  # type: ignore[no-untyped-def]
    """As ``relevant.largest_shares``, for planes (C, N), and the largest of each pixel; a cacheful at a time."""
    step = 4096
    inverse = np.empty(step, np.float32)
    for start in range(0, planes.shape[1], step):
        highest = best[start : start + step]
        highest[:] = 0
        for k in range(len(planes)):
            plane = planes[k, start : start + step]
            for i in range(len(plane)):
                highest[i] = plane[i] if plane[i] > highest[i] else highest[i]
        for i in range(len(highest)):
            inverse[i] = np.float32(1) / highest[i]
        for k in range(len(planes)):
            plane, largest = planes[k, start : start + step], shares[k]
            for i in range(len(plane)):
                share = plane[i] * inverse[i]
                largest = share if share > largest else largest
            shares[k] = largest


@compiled
def _arrange(planes, classes, best, q, unary):  # type: ignore[no-untyped-def]
    """Planes (C, N) → Q and the unary factors, relative to the best, (N, k'): each pixel's classes side by side."""
    for n in range(len(q)):
        inverse = np.float32(1) / best[n]
        for k in range(len(classes)):
            p = max(planes[classes[k], n], np.float32(LEAST))
            q[n, k] = p
            unary[n, k] = p * inverse
        for k in range(len(classes), q.shape[1]):
            q[n, k] = 0
            unary[n, k] = 0


@compiled
def _exp(x):  # type: ignore[no-untyped-def]
    """exp of x ≤ 80 to float32's rounding of x, in operations that a CPU does eight at a time; 0 below −60.

    2^whole from the exponent's bits, times a polynomial for the rest.
    """
    y = max(x, np.float32(-60)) * np.float32(1.4426950408889634)
    whole = np.floor(y + np.float32(0.5))
    f = (y - whole) * np.float32(0.6931471805599453)
    p = np.float32(1 / 720) * f + np.float32(1 / 120)
    p = p * f + np.float32(1 / 24)
    p = p * f + np.float32(1 / 6)
    p = p * f + np.float32(1 / 2)
    p = p * f + np.float32(1)
    p = p * f + np.float32(1)
    power = np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)
    return p * power if x > np.float32(-60) else np.float32(0)


@compiled
def _smooth_row(rows, above, y, row_taps, taps, column_norm, channels, padded, result):  # type: ignore[no-untyped-def]
    """Row y of Q (H, W·k') smoothed over position, without the factor ``column_norm``; ``padded`` is scratch.

    ``above`` holds the rows before y as they were, row i at i mod its length. Rows outside the image have weight 0.
    Several distances at a time, some pixels at a time.
    """
    reach, width, last = len(taps) - 1, len(column_norm), len(rows) - 1
    weights = row_taps[y]
    for start in range(0, width * channels, _TILE):
        n = min(_TILE, width * channels - start)
        out = padded[reach * channels + start : reach * channels + start + n]
        here, weight = rows[y, start : start + n], weights[reach]
        for i in range(n):
            out[i] = weight * here[i]
        for d in range(1, reach, 4):
            a1, b1 = above[(y - d) % reach, start : start + n], rows[min(y + d, last), start : start + n]
            a2, b2 = above[(y - d - 1) % reach, start : start + n], rows[min(y + d + 1, last), start : start + n]
            a3, b3 = above[(y - d - 2) % reach, start : start + n], rows[min(y + d + 2, last), start : start + n]
            a4, b4 = above[(y - d - 3) % reach, start : start + n], rows[min(y + d + 3, last), start : start + n]
            u1, u2, u3, u4 = weights[reach - d], weights[reach - d - 1], weights[reach - d - 2], weights[reach - d - 3]
            w1, w2, w3, w4 = weights[reach + d], weights[reach + d + 1], weights[reach + d + 2], weights[reach + d + 3]
            for i in range(n):
                out[i] += u1 * a1[i] + u2 * a2[i] + u3 * a3[i] + u4 * a4[i]
                out[i] += w1 * b1[i] + w2 * b2[i] + w3 * b3[i] + w4 * b4[i]
    for x in range(width):
        for i in range((reach + x) * channels, (reach + x + 1) * channels):
            padded[i] *= column_norm[x]
    for start in range(0, width * channels, _TILE):
        n = min(_TILE, width * channels - start)
        middle = start + reach * channels
        out, here, weight = result[start : start + n], padded[middle : middle + n], taps[0]
        for i in range(n):
            out[i] = weight * here[i]
        for d in range(1, reach, 2):
            near, far = d * channels, (d + 1) * channels
            a, b = padded[middle - near : middle - near + n], padded[middle + near : middle + near + n]
            c, e = padded[middle - far : middle - far + n], padded[middle + far : middle + far + n]
            w_near, w_far = taps[d], taps[d + 1]
            for i in range(n):
                out[i] += w_near * (a[i] + b[i]) + w_far * (c[i] + e[i])


@compiled
def _update(  # type: ignore[no-untyped-def]
    rows, unary, rest, table, vertices, weights, scale, row_taps, taps, column_norm, rest_result
):
    """Q ← unary · exp(both messages), normalised, in place for rows (H, W·k'); ``rest``: the unfiltered classes."""
    width, reach = len(column_norm), len(taps) - 1
    channels = rows.shape[1] // width
    above = np.zeros((reach, width * channels), np.float32)
    padded = np.zeros((width + 2 * reach) * channels, np.float32)
    message = np.empty(width * channels, np.float32)
    by_pixel = message.reshape(width, channels)
    for y in range(len(rows)):
        _smooth_row(rows, above, y, row_taps, taps, column_norm, channels, padded, message)
        prior, out = unary[y], rows[y]
        above[y % reach] = out
        row = slice(y * width, (y + 1) * width)
        read(table, vertices[row], weights[row], scale[row], column_norm, by_pixel)
        others = rest_result[y * width : (y + 1) * width]
        others[:] = rest[y * width : (y + 1) * width]
        _shift(message, channels, others)
        for i in range(width * channels):
            message[i] = prior[i] * _exp(message[i])
        _normalise(by_pixel, others, out.reshape(width, channels))


@compiled
def _normalise(values, rest, result):  # type: ignore[no-untyped-def]
    """Divide each row of the values (N, k') and its rest by their sum; the rest in place."""
    for n in range(len(values)):
        every = rest[n]
        for k in range(values.shape[1]):
            every += values[n, k]
        inverse = np.float32(1) / every
        rest[n] *= inverse
        for k in range(values.shape[1]):
            result[n, k] = inverse * values[n, k]


@compiled
def _shift(message, channels, rest):  # type: ignore[no-untyped-def]
    """If a message of a row is so large that its exponential would overflow, subtract each pixel's largest."""
    large = 0
    for i in range(len(message)):
        large += int(message[i] > np.float32(_LARGE))
    if large == 0:
        return
    for x in range(len(rest)):
        largest = np.float32(0)
        for i in range(x * channels, (x + 1) * channels):
            largest = max(largest, message[i])
        for i in range(x * channels, (x + 1) * channels):
            message[i] -= largest
        rest[x] *= np.exp(-largest)


@compiled
def _argmax(q, names, labels):  # type: ignore[no-untyped-def]
    """Name of the largest of each pixel's values, the first at a tie."""
    for n in range(len(q)):
        best = 0
        for k in range(1, len(names)):
            if q[n, k] > q[n, best]:
                best = k
        labels[n] = names[best]
