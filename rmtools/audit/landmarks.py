"""Landmarks of a building raster: corners, and what the city looks like around them.

The surroundings are described twice: by the samples themselves, and by numbers that the eight
symmetries of the square do not change. The latter are the samples sorted within each orbit of the
symmetries. Sorting brings two lists as close together as any order of them can be, so the
distance of the sorted samples is never above that of the samples under the best symmetry: a
search by it misses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from rmtools.types import BoolArray, FloatArray, IntArray

CELLS = 128
"""Rasters are reduced to about so many cells a side before anything is looked for."""

STEPS = 3
"""A landmark's surroundings are (2 STEPS + 1)² samples."""

SPACING = 1 / 32
"""Distance between two samples, as a share of the scene's side: 8 m where it has 256 m."""

MOST = 64
"""Landmarks kept of a scene, the sharpest corners."""

_WEAKEST = 1e-4
_SIDE = 2 * STEPS + 1


@dataclass(frozen=True)
class Landmarks:
    """Landmarks of one scene or of several, one below the other.

    Attributes
    ----------
    at
        Row and column in cells, shape (k, 2).
    samples
        Surroundings, of mean 0 and length 1, shape (k, (2 STEPS + 1)²).
    """

    at: IntArray
    samples: FloatArray

    def __len__(self) -> int:
        return len(self.at)

    @property
    def invariants(self) -> FloatArray:
        """Samples sorted within each orbit of the symmetries, of the same shape."""
        return np.concatenate([np.sort(self.samples[:, orbit], axis=1) for orbit in _ORBITS], 1)


def symmetry(raster: np.ndarray, number: int) -> np.ndarray:
    """A square raster under one of its eight symmetries, the last two axes being row and column.

    0 to 3 turn it counter-clockwise by so many quarters, 4 to 7 do the same and then swap east
    and west.
    """
    turned = np.rot90(raster, number % 4, axes=(-2, -1))
    return turned[..., ::-1] if number >= 4 else turned


def symmetry_name(number: int) -> str:
    """A symmetry in words."""
    turn = f"turned by {90 * (number % 4)} degrees" if number % 4 else ""
    return " and ".join(part for part in (turn, "mirrored" if number >= 4 else "") if part)


def reduced(mask: BoolArray) -> tuple[FloatArray, int]:
    """Share of building pixels in every cell, float32, and how many pixels wide a cell is."""
    factor = max(1, round(len(mask) / CELLS))
    cells = len(mask) // factor
    kept = mask[: cells * factor, : cells * factor]
    return kept.reshape(cells, factor, cells, factor).mean((1, 3), dtype=np.float32), factor


def without_specks(mask: BoolArray, factor: int) -> BoolArray:
    """What the majority of the pixels around each says, in a window of 2 `factor` + 1 pixels."""
    window = 2 * factor + 1
    return ndimage.uniform_filter(mask.astype(np.float32), window, mode="nearest") > 0.5


def find_landmarks(cells: FloatArray) -> Landmarks:
    """Corners of a reduced raster that lie far enough from its border, the sharpest first.

    The corner measure is det/trace of the structure tensor (C. Harris, M. Stephens, "A combined
    corner and edge detector", 1988; without a constant as A. Noble, 1988, has it).
    """
    spacing = max(1, round(len(cells) * SPACING))
    margin, scale = STEPS * spacing, spacing / 2
    smooth = ndimage.gaussian_filter(cells, scale, mode="nearest")
    down, across = np.gradient(smooth)
    aa, ab, bb = (
        ndimage.gaussian_filter(product, scale, mode="nearest")
        for product in (down * down, down * across, across * across)
    )
    measure = (aa * bb - ab * ab) / (aa + bb + 1e-6)
    corner = (measure == ndimage.maximum_filter(measure, 2 * spacing + 1)) & (measure > _WEAKEST)
    inside = np.zeros_like(corner)
    inside[margin:-margin, margin:-margin] = True
    row, col = np.nonzero(corner & inside)
    sharpest = np.argsort(-measure[row, col], kind="stable")[:MOST]
    row, col = row[sharpest], col[sharpest]
    offset = np.arange(-STEPS, STEPS + 1) * spacing
    samples = smooth[row[:, None, None] + offset[:, None], col[:, None, None] + offset]
    samples = samples.reshape(len(row), _SIDE**2)
    samples = samples - samples.mean(1, keepdims=True)
    samples /= np.linalg.norm(samples, axis=1, keepdims=True) + 1e-6
    return Landmarks(np.stack([row, col], axis=1), samples)


def best_symmetry(first: Landmarks, second: Landmarks) -> tuple[IntArray, FloatArray]:
    """Symmetry under which each landmark of `second` looks most like that of `first`.

    Returns
    -------
    number, distance
        Of the symmetry, and Euclidean between the samples under it; shape (k,) each.
    """
    squares = [
        ((first.samples - second.samples[:, order]) ** 2).sum(axis=1) for order in SAMPLE_ORDERS
    ]
    best = np.argmin(squares, axis=0)
    return best, np.sqrt(np.min(squares, axis=0))


def moved(at: IntArray, number: IntArray, cells: int) -> IntArray:
    """Where cells (row, col) come to lie under their symmetries, shape (k, 2)."""
    result = np.empty_like(at)
    for k in range(8):
        chosen = number == k
        row, col = at[chosen].T
        for _ in range(k % 4):
            row, col = cells - 1 - col, row
        result[chosen] = np.stack([row, cells - 1 - col if k >= 4 else col], axis=1)
    return result


def _orders() -> list[IntArray]:
    places = np.arange(_SIDE**2).reshape(_SIDE, _SIDE)
    return [symmetry(places, number).ravel() for number in range(8)]


def _orbits() -> list[IntArray]:
    """Samples that the symmetries exchange with each other, in a fixed order."""
    orbits = {tuple(sorted(set(row))) for row in np.stack(SAMPLE_ORDERS, axis=1).tolist()}
    return [np.array(orbit) for orbit in sorted(orbits)]


SAMPLE_ORDERS = _orders()
"""For every symmetry, the sample that stands at each place afterwards."""

_ORBITS = _orbits()
