"""Vehicles of a frame: low obstacles that paths go over."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rmtools.kernel import hot_kernel
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
def over_vehicles(vehicles: Vehicles, start: Point, at: Point) -> tuple[float, float]:
    """Where a straight path that is lifted over the vehicles on it bends, and by which angle.

    Parameters
    ----------
    vehicles
        Some of them stand in the way.
    start, at
        Ends of the path.

    Returns
    -------
    share, angle
        Share of the way at which it bends, and the angle in radians.

    Notes
    -----
    From one bend above a vehicle the path comes down over all others on it. It bends over the
    vehicle that asks for the least angle, as near to the middle of the way as that vehicle is.
    """
    sides, discs = vehicles.walls.edges, vehicles.discs
    du, dv = at[0] - start[0], at[1] - start[1]
    square = du * du + dv * dv
    length = math.sqrt(square)
    best_share, least = 0.5, math.inf
    for d in range(discs.shape[0]):
        eu, ev, radius = discs[d, 0] - start[0], discs[d, 1] - start[1], discs[d, 2]
        across = du * ev - dv * eu
        if across * across > radius * radius * square:
            continue
        each = sides.shape[0] // discs.shape[0]
        first, last = math.inf, -math.inf
        for e in range(d * each, (d + 1) * each):
            au, av = sides[e, 0] - start[0], sides[e, 1] - start[1]
            bu, bv = sides[e, 2] - start[0], sides[e, 3] - start[1]
            side_a, side_b = du * av - dv * au, du * bv - dv * bu
            if side_a * side_b > 0.0 or side_a == side_b:
                continue
            s = side_a / (side_a - side_b)
            u, v = au + s * (bu - au), av + s * (bv - av)
            t = (u * du + v * dv) / square
            first, last = min(first, t), max(last, t)
        if first > 1.0 or last < 0.0:
            continue
        first, last = max(first, 0.0), min(last, 1.0)
        rise = at[2] - start[2]
        if start[2] + min(first * rise, last * rise) > vehicles.walls.highest:
            continue
        share = min(max(first, 0.5), last)
        up = math.atan2(vehicles.apex - start[2], share * length)
        down = math.atan2(vehicles.apex - at[2], (1.0 - share) * length)
        if up + down < least:
            best_share, least = share, up + down
    return best_share, (max(least, 0.0) if least < math.inf else 0.0)


def lifted_point(vehicles: Vehicles, start: FloatArray, at: FloatArray) -> FloatArray:
    """Where a straight path that is lifted over vehicles bends, in pixels, shape (3,)."""
    share, _ = over_vehicles(vehicles, tuple(start), tuple(at))
    point = start + share * (at - start)
    point[2] = max(point[2], vehicles.apex)
    return point
