"""RadioMapSeer's images drawn from RadioMapSeer's geometry, pixel for pixel.

The images are those of MATLAB's ``poly2mask`` and of its integer line, found by trying: building
images equal ours in every pixel on maps 0 and 508, the road image on map 0 (the only ones whose
geometry is at hand together with the image). The rule, in our words:

- Every pixel is divided into 5 by 5. Corners of rings lie on corners of these subpixels.
- A straight edge becomes a staircase over corners of subpixels: one step along its longer axis at
  a time, the other coordinate rounded to the nearest, halves up.
- A pixel is inside when its middle subpixel is. Seen along a column of pixels, every edge that
  passes below the middle of the middle subpixels toggles inside and outside; where a step is
  diagonal its lower end counts.

A road is the same staircase on whole pixels. Images and JSON are put in register by
:mod:`rmtools.layouts.seer_format`, which also says what lies half a pixel away from what.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from rmtools.city.seer import N

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rmtools.types import BoolArray, FloatArray

Point: TypeAlias = "tuple[float, float]"
Ring: TypeAlias = "Sequence[Point]"
Segment: TypeAlias = "tuple[Point, Point]"

SUBPIXELS = 5
"""Subpixels along a side of a pixel."""

MIDDLE = SUBPIXELS // 2
"""The one whose inside decides."""


def ring_masks(rings: Sequence[Ring]) -> BoolArray:
    """Building pixels of every ring by itself.

    Parameters
    ----------
    rings
        Corners (x, y) in the polygon frame, 1-based and y north. It does not matter whether the
        last corner repeats the first. A ring may lead along a seam to a courtyard and back.

    Returns
    -------
    BoolArray
        Shape (ring, 256, 256), row 0 north: the building image of any subset of the rings is the
        union of their masks.
    """
    masks = np.zeros((len(rings), N, N), bool)
    for mask, ring in zip(masks, rings, strict=True):
        _fill(mask, ring)
    return masks


def building_mask(rings: Iterable[Ring]) -> BoolArray:
    """Pixels of a building image, shape (256, 256), of rings as in :func:`ring_masks`."""
    return _union(rings)


def car_mask(rings: Iterable[Ring]) -> BoolArray:
    """Pixels of a car image, shape (256, 256), of rings as in :func:`ring_masks`.

    They are drawn like buildings, one pixel to the east and north. For upright cars this is what
    a reader found on the published data; that oblique ones follow the same rule is not verified.
    """
    return _union([(x + 1, y + 1) for x, y in ring] for ring in rings)


def road_mask(segments: Iterable[Segment]) -> BoolArray:
    """Pixels of a road image, shape (256, 256): lines one pixel wide.

    Parameters
    ----------
    segments
        Start and end (x, y) in the polygon frame; (1, 256) is the pixel in the north-west.
    """
    mask = np.zeros((N, N), bool)
    for start, end in segments:
        x, y = _staircase(np.array([start, end], float)).astype(int).T
        on = (x >= 1) & (x <= N) & (y >= 1) & (y <= N)
        mask[N - y[on], x[on] - 1] = True
    return mask


def transmitter_mask(row: int, col: int) -> BoolArray:
    """The one pixel of an antenna image, shape (256, 256)."""
    mask = np.zeros((N, N), bool)
    mask[row, col] = True
    return mask


def _union(rings: Iterable[Ring]) -> BoolArray:
    mask, one = np.zeros((N, N), bool), np.zeros((N, N), bool)
    for ring in rings:
        one[:] = False
        _fill(one, ring)
        mask |= one
    return mask


def _fill(mask: BoolArray, ring: Ring) -> None:
    """Set the pixels of one ring in an empty mask."""
    corners = SUBPIXELS * (np.asarray(ring, float) - 1)  # subpixels from the south-west
    corners = np.floor(np.concatenate([corners, corners[:1]]) + 0.5)
    x, y = np.concatenate([_staircase(edge) for edge in _pairs(corners)]).T
    step = np.flatnonzero(np.diff(x))  # a row of steps that go east or west
    west = np.minimum(x[step], x[step + 1])
    south = np.minimum(y[step], y[step + 1])
    col, subpixel = np.divmod(west, SUBPIXELS)
    first = np.ceil((south - MIDDLE) / SUBPIXELS)  # lowest pixel with its middle above the edge
    counts = (subpixel == MIDDLE) & (col >= 0) & (col < N) & (first < N)
    if not counts.any():
        return
    row_up, col = np.maximum(first[counts], 0).astype(int), col[counts].astype(int)
    left, right = col.min(), col.max() + 1
    toggles = np.zeros((N, right - left), np.uint8)
    np.add.at(toggles, (row_up, col - left), 1)  # an overflow would not change even and odd
    mask[::-1, left:right] = np.bitwise_xor.accumulate(toggles % 2, axis=0)


def _pairs(corners: FloatArray) -> FloatArray:
    """Edges between consecutive corners, shape (edge, 2, 2)."""
    return np.stack([corners[:-1], corners[1:]], axis=1)


def _staircase(edge: FloatArray) -> FloatArray:
    """Whole-number points from one end of an edge to the other, shape (points, 2)."""
    start, end = edge
    along = int(np.argmax(np.abs(end - start)))  # x where both are equally long
    if start[along] > end[along]:  # the same points in either direction
        return _staircase(edge[::-1])[::-1]
    position = np.arange(start[along], end[along] + 1)
    slope = 0.0
    if end[along] > start[along]:
        slope = (end[1 - along] - start[1 - along]) / (end[along] - start[along])
    # In this order of operations: which side a half falls on is decided by rounding errors.
    across = np.floor(start[1 - along] + slope * (position - start[along]) + 0.5)
    return np.stack([position, across] if along == 0 else [across, position], axis=1)
