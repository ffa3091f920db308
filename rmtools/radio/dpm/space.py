"""The space that paths go through, and its geometry."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from rmtools.kernel import hot_kernel
from rmtools.radio.dpm.visibility import ROOF, Point

if TYPE_CHECKING:
    from rmtools.radio.dpm.equation import Equation
    from rmtools.radio.dpm.labels import Raster
    from rmtools.radio.dpm.vehicles import Vehicles
    from rmtools.radio.dpm.walls import Walls
    from rmtools.types import FloatArray, LabelArray

ROOF_STEP_PX = 0.5
"""WinProp's roof loss comes in steps of half a metre."""


class Source(NamedTuple):
    """The transmitter in pixels.

    Attributes
    ----------
    at
        Where it stands.
    sideways
        Turns RadioMapSeer's near-field rule on.
    gain
        Gain of the antenna in dB, see :func:`~rmtools.radio.dpm.equation.gain_db`.
    """

    at: Point
    sideways: bool
    gain: FloatArray


class Air(NamedTuple):
    """The space that paths go through.

    Attributes
    ----------
    raster
        Its nodes.
    walls, vehicles
        What stands in the way.
    eq
        What paths cost.
    """

    raster: Raster
    walls: Walls
    vehicles: Vehicles
    eq: Equation


@hot_kernel
def distance(a: Point, b: Point) -> float:
    """Distance of two points."""
    du, dv, dz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    return math.sqrt(du * du + dv * dv + dz * dz)


@hot_kernel
def straight(source: Source, q: Point) -> float:
    """Distance from the transmitter in pixels, with RadioMapSeer's near-field rule."""
    du, dv = abs(q[0] - source.at[0]), abs(q[1] - source.at[1])
    away = distance(source.at, q)
    if not source.sideways or (du == 0.0 and dv == 0.0):
        return away
    if du == 0.0 or dv == 0.0:
        return math.sqrt(away * away + 1.0)
    return math.sqrt(away * away + 2.0) if du == dv else away


@hot_kernel
def turn(a: Point, b: Point, c: Point, leg: float) -> float:
    """Angle by which the path a, b, c turns at b, in radians; 0 if a leg has no length.

    `leg` is the distance from b to c.
    """
    lengths = distance(a, b) * leg
    if lengths <= 0.0:
        return 0.0
    dot = (
        (b[0] - a[0]) * (c[0] - b[0])
        + (b[1] - a[1]) * (c[1] - b[1])
        + (b[2] - a[2]) * (c[2] - b[2])
    )
    return math.acos(min(max(dot / lengths, -1.0), 1.0))


@hot_kernel
def over_roofs(side: int, labels: LabelArray, a: Point, b: Point) -> float:
    """Pixels of a leg that lie over buildings."""
    du, dv = b[0] - a[0], b[1] - a[1]
    steps = math.ceil(math.sqrt(du * du + dv * dv) / ROOF_STEP_PX)
    hits = 0
    for i in range(steps):
        t = (i + 0.5) / steps
        col, row = math.floor(a[0] + t * du + 1.5), math.floor(a[1] + t * dv + 1.5)
        if 0 < row < side - 1 and 0 < col < side - 1 and labels[row * side + col].kind == ROOF:
            hits += 1
    return hits * ROOF_STEP_PX
