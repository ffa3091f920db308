"""Exact overlap tests for vehicles: oriented rectangles by the separating axis theorem.

Two convex shapes are disjoint exactly when their projections on the normal of one of their edges
are. Shapes that only touch do not overlap.
"""

from __future__ import annotations

from math import cos, sin
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from rmtools.grid import Grid
    from rmtools.traffic.tracks import VehicleSize
    from rmtools.types import BoolArray, FloatArray


class Pose(NamedTuple):
    """Centre in local metres and direction of travel in radians, counter-clockwise from east."""

    x: float
    y: float
    heading: float


def _half_box(heading: float, size: VehicleSize) -> tuple[float, float]:
    """Half the sides of the axis-parallel box around a vehicle, in metres."""
    c, s = abs(cos(heading)), abs(sin(heading))
    half_length, half_width = size.length_m / 2, size.width_m / 2
    return half_length * c + half_width * s, half_length * s + half_width * c


def leaves_tile(pose: Pose, size: VehicleSize, grid: Grid) -> bool:
    """Whether any part of a vehicle is outside the tile."""
    half_x, half_y = _half_box(pose.heading, size)
    return (
        min(pose.x - half_x, pose.y - half_y) < 0
        or max(pose.x + half_x, pose.y + half_y) > grid.size_m
    )


def hits_pixels(pose: Pose, size: VehicleSize, obstacle: BoolArray, grid: Grid) -> bool:
    """Whether a vehicle overlaps the square of any pixel of `obstacle`, shape (n, n)."""
    half_x, half_y = _half_box(pose.heading, size)
    r = grid.resolution_m
    row0 = max(grid.n - 1 - int((pose.y + half_y) // r), 0)
    row1 = max(grid.n - int((pose.y - half_y) // r), 0)
    col0 = max(int((pose.x - half_x) // r), 0)
    col1 = max(int((pose.x + half_x) // r) + 1, 0)
    rows, cols = np.nonzero(obstacle[row0:row1, col0:col1])
    if not rows.size:
        return False
    x, y = grid.centre(rows + row0, cols + col0)
    dx, dy = x - pose.x, y - pose.y
    c, s = cos(pose.heading), sin(pose.heading)
    half_square = r / 2 * (abs(c) + abs(s))  # of a pixel, seen along the vehicle's axes
    return bool(
        np.any(
            (np.abs(dx) < half_x + r / 2)
            & (np.abs(dy) < half_y + r / 2)
            & (np.abs(dx * c + dy * s) < size.length_m / 2 + half_square)
            & (np.abs(dy * c - dx * s) < size.width_m / 2 + half_square)
        )
    )


def hits_vehicles(
    pose: Pose, size: VehicleSize, x: FloatArray, y: FloatArray, heading: FloatArray
) -> bool:
    """Whether a vehicle overlaps any of the others of the same size.

    Parameters
    ----------
    pose, size
        The vehicle that is asked about.
    x, y, heading
        Centres in metres and directions in radians of the others, shape (V,). Entries that are
        NaN are never hit.
    """
    dx, dy = x - pose.x, y - pose.y
    # Written so that NaN counts as far away, and so that most calls end here.
    near = dx * dx + dy * dy < size.length_m**2 + size.width_m**2
    if not near.any():
        return False
    dx, dy, other = dx[near], dy[near], heading[near]
    turned = other - pose.heading
    c, s = np.abs(np.cos(turned)), np.abs(np.sin(turned))
    # Half extents of both rectangles together, along the long and the short axis of either.
    along = (size.length_m * (1 + c) + size.width_m * s) / 2
    across = (size.width_m * (1 + c) + size.length_m * s) / 2
    overlap = np.ones(dx.shape, bool)
    for axis in (np.full(dx.shape, pose.heading), other):
        cosine, sine = np.cos(axis), np.sin(axis)
        overlap &= np.abs(dx * cosine + dy * sine) < along
        overlap &= np.abs(dy * cosine - dx * sine) < across
    return bool(overlap.any())
