"""Vehicles of a frame: low obstacles that paths go over."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rmtools.kernel import hot_kernel
from rmtools.radio.dpm.visibility import STREET, stops
from rmtools.radio.dpm.walls import Walls, build_walls, edges_of, to_pixels

if TYPE_CHECKING:
    from rmtools.grid import Grid
    from rmtools.radio.dpm.visibility import Point
    from rmtools.radio.solver import Obstacles
    from rmtools.types import FloatArray

DISC_MARGIN_PX = 0.1
"""More than the tolerance of the sight-line test."""


class Vehicles(NamedTuple):
    """The vehicles of a frame in pixels.

    Attributes
    ----------
    walls
        Their sides, those of one vehicle after those of the other.
    discs
        Centre and radius of the circle around each, shape (V, 3).
    apex
        Height at which paths go over them.
    """

    walls: Walls
    discs: FloatArray
    apex: float


def make_vehicles(grid: Grid, obstacles: Obstacles, clearance_m: float) -> Vehicles:
    """Vehicles of a frame in pixels.

    Parameters
    ----------
    grid
        Of the scene.
    obstacles
        The vehicles in metres.
    clearance_m
        How far above their roofs paths go over them.
    """
    corners = to_pixels(grid, np.asarray(obstacles.outlines, np.float64))
    edges = edges_of(corners).reshape(-1, 8)
    top = obstacles.height_m / grid.resolution_m
    walls = build_walls(edges, np.full(len(edges), top), grid.n)
    centre = corners.mean(axis=1)
    radius = np.linalg.norm(corners - centre[:, None], axis=-1).max(axis=1, initial=0.0)
    discs = np.column_stack([centre, radius + DISC_MARGIN_PX])
    return Vehicles(walls, discs, top + clearance_m / grid.resolution_m)


@hot_kernel
def over_vehicles(
    vehicles: Vehicles, start: Point, start_kind: int, at: Point, at_kind: int
) -> tuple[float, float]:
    """Where a straight path bends that is lifted over the vehicles in its way, and how much.

    Parameters
    ----------
    vehicles
        All vehicles.
    start, start_kind, at, at_kind
        Ends of the path, see :func:`~rmtools.radio.dpm.visibility.blocker`.

    Returns
    -------
    share, angle
        Share of the way at which it bends, negative where no vehicle is in the way; the angle in
        radians.

    Notes
    -----
    From one bend above a vehicle the path comes down over all others on it. It bends over the
    vehicle that asks for the least angle, as near to the middle of the way as that vehicle is.
    """
    discs = vehicles.discs
    best, least = -1.0, math.inf
    if min(start[2], at[2]) > vehicles.walls.highest:
        return best, least
    du, dv = at[0] - start[0], at[1] - start[1]
    square = du * du + dv * dv
    length = math.sqrt(square)
    for d in range(discs.shape[0]):
        eu, ev, radius = discs[d, 0] - start[0], discs[d, 1] - start[1], discs[d, 2]
        across, along = du * ev - dv * eu, du * eu + dv * ev
        reach = radius * length
        if abs(across) > reach or along < -reach or along > square + reach:
            continue
        share = _over_one(vehicles, d, start, start_kind, at, at_kind, length)
        if share < 0.0:
            continue
        before, after = share * length, (1.0 - share) * length
        up, down = vehicles.apex - start[2], vehicles.apex - at[2]
        angle = math.atan2(up * after + down * before, before * after - up * down)
        if angle < least:
            best, least = share, angle
    return best, max(least, 0.0)


@hot_kernel
def _over_one(
    vehicles: Vehicles,
    d: int,
    start: Point,
    start_kind: int,
    at: Point,
    at_kind: int,
    length: float,
) -> float:
    """Share of the way at which a path goes over a vehicle, negative if it is not in the way."""
    sides = vehicles.walls.edges
    each = sides.shape[0] // vehicles.discs.shape[0]
    stopped = False
    for e in range(d * each, (d + 1) * each):
        stopped = stopped or stops(sides, e, start, start_kind, at, at_kind, length)
    if not stopped:
        return -1.0
    du, dv = at[0] - start[0], at[1] - start[1]
    first, last = 1.0, 0.0
    for e in range(d * each, (d + 1) * each):
        au, av = sides[e, 0] - start[0], sides[e, 1] - start[1]
        bu, bv = sides[e, 2] - start[0], sides[e, 3] - start[1]
        side_a, side_b = du * av - dv * au, du * bv - dv * bu
        if side_a * side_b <= 0.0 and side_a != side_b:
            s = side_a / (side_a - side_b)
            u, v = au + s * (bu - au), av + s * (bv - av)
            t = (u * du + v * dv) / (length * length)
            first, last = min(first, t), max(last, t)
    return min(max(0.5, first, 0.0), last, 1.0)


def lifted_point(vehicles: Vehicles, start: FloatArray, at: FloatArray) -> FloatArray:
    """Where a straight path that is lifted over vehicles bends, in pixels, shape (3,)."""
    share, _ = over_vehicles(vehicles, tuple(start), STREET, tuple(at), STREET)
    point = start + max(share, 0.0) * (at - start)
    point[2] = max(point[2], vehicles.apex)
    return point
