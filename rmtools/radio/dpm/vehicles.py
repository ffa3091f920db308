"""Vehicles of a frame: low obstacles that paths go over."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rmtools.kernel import hot_kernel
from rmtools.radio.dpm.equation import Equation, bend_loss_db
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
        Their sides.
    discs
        Centre and radius of the circle around each, shape (V, 3).
    """

    walls: Walls
    discs: FloatArray


def make_vehicles(grid: Grid, obstacles: Obstacles) -> Vehicles:
    """Vehicles of a frame in pixels.

    Parameters
    ----------
    grid
        Of the scene.
    obstacles
        The vehicles in metres.
    """
    corners = to_pixels(grid, np.asarray(obstacles.outlines, np.float64))
    edges = edges_of(corners).reshape(-1, 8)
    walls = build_walls(edges, np.full(len(edges), obstacles.height_m / grid.resolution_m), grid.n)
    centre = corners.mean(axis=1)
    radius = np.linalg.norm(corners - centre[:, None], axis=-1).max(axis=1, initial=0.0)
    return Vehicles(walls, np.column_stack([centre, radius + DISC_MARGIN_PX]))


@hot_kernel
def first_and_last(vehicles: Walls, start: Point, at: Point) -> tuple[float, float]:
    """Shares of a straight line at which it crosses the first and the last side in its way."""
    top = vehicles.highest
    du, dv = at[0] - start[0], at[1] - start[1]
    first, last = 1.0, 0.0
    for e in range(vehicles.edges.shape[0]):
        au, av = vehicles.edges[e, 0] - start[0], vehicles.edges[e, 1] - start[1]
        bu, bv = vehicles.edges[e, 2] - start[0], vehicles.edges[e, 3] - start[1]
        side_a, side_b = du * av - dv * au, du * bv - dv * bu
        if side_a * side_b > 0.0 or side_a == side_b:
            continue
        s = side_a / (side_a - side_b)
        u, v = au + s * (bu - au), av + s * (bv - av)
        t = (u * du + v * dv) / (du * du + dv * dv)
        if 0.0 <= t <= 1.0 and start[2] + t * (at[2] - start[2]) <= top:
            first, last = min(first, t), max(last, t)
    return first, last


@hot_kernel
def over_vehicles(eq: Equation, vehicles: Walls, start: Point, at: Point) -> tuple[int, float]:
    """Bends of a straight path that is lifted over all vehicles on it, and their loss in dB.

    Parameters
    ----------
    eq
        Constants.
    vehicles
        Sides of the vehicles; some of them stand in the way.
    start, at
        Ends of the path.

    Notes
    -----
    The path is the shortest over the first and the last side that it crosses. Vehicles that are
    no higher than both ends cost one bend of 0 degrees, however many there are.
    """
    top = vehicles.highest
    if top <= min(start[2], at[2]):
        return 1, bend_loss_db(eq, 0.0)
    first, last = first_and_last(vehicles, start, at)
    length = math.hypot(at[0] - start[0], at[1] - start[1])
    up = math.atan2(max(top - start[2], 0.0), first * length)
    down = math.atan2(max(top - at[2], 0.0), (1.0 - last) * length)
    if start[2] >= top:
        return 1, bend_loss_db(eq, down - math.atan2(start[2] - top, last * length))
    if at[2] >= top:
        return 1, bend_loss_db(eq, up - math.atan2(at[2] - top, (1.0 - first) * length))
    return 2, bend_loss_db(eq, up) + bend_loss_db(eq, down)


def lifted_points(vehicles: Walls, start: FloatArray, at: FloatArray, bends: int) -> FloatArray:
    """Where a straight path that is lifted over vehicles bends, in pixels, shape (bends, 3).

    Parameters
    ----------
    vehicles, start, at
        As in :func:`over_vehicles`.
    bends
        What it returned: 1 or 2.
    """
    first, last = first_and_last(vehicles, tuple(start), tuple(at))
    shares = [last if start[2] > at[2] else first] if bends == 1 else [first, last]
    points = np.array([start + share * (at - start) for share in shares])
    points[:, 2] = np.maximum(points[:, 2], vehicles.highest)
    return points
