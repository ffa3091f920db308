"""Exact overlap tests for vehicles: oriented rectangles by the separating axis theorem.

Two convex shapes are disjoint exactly when their projections on the normal of one of their edges
are. Shapes that only touch do not overlap.
"""

from __future__ import annotations

from math import cos, floor, sin
from typing import TYPE_CHECKING, NamedTuple

from rmtools.kernel import hot_kernel

if TYPE_CHECKING:
    from rmtools.types import BoolArray


class Pose(NamedTuple):
    """Where a vehicle is.

    Attributes
    ----------
    x, y
        Centre in local metres.
    heading
        Direction of travel in radians, counter-clockwise from east.
    cosine, sine
        Of the heading, kept because most steps do not change it.
    """

    x: float
    y: float
    heading: float
    cosine: float
    sine: float


@hot_kernel
def pose_at(x: float, y: float, heading: float) -> Pose:
    """Pose with the given centre in metres and direction in radians."""
    return Pose(x, y, heading, cos(heading), sin(heading))


@hot_kernel
def half_box(pose: Pose, length: float, width: float) -> tuple[float, float]:
    """Half the sides of the axis-parallel box around a vehicle, in metres."""
    c, s = abs(pose.cosine), abs(pose.sine)
    return length / 2 * c + width / 2 * s, length / 2 * s + width / 2 * c


@hot_kernel
def leaves_tile(pose: Pose, length: float, width: float, side: float) -> bool:
    """Whether any part of a vehicle is outside the tile, a square with sides of `side` metres."""
    half_x, half_y = half_box(pose, length, width)
    return bool(
        pose.x - half_x < 0
        or pose.y - half_y < 0
        or pose.x + half_x > side
        or pose.y + half_y > side
    )


@hot_kernel
def hits_pixels(pose: Pose, length: float, width: float, obstacle: BoolArray, r: float) -> bool:
    """Whether a vehicle overlaps the square of any pixel of a mask.

    Parameters
    ----------
    pose
        Of the vehicle.
    length, width
        Its sides in metres.
    obstacle
        The mask, shape (n, n), row 0 in the north.
    r
        Side of a pixel in metres.
    """
    n = obstacle.shape[0]
    half_x, half_y = half_box(pose, length, width)
    row0 = min(max(n - 1 - floor((pose.y + half_y) / r), 0), n)
    row1 = min(max(n - floor((pose.y - half_y) / r), 0), n)
    col0 = min(max(floor((pose.x - half_x) / r), 0), n)
    col1 = min(max(floor((pose.x + half_x) / r) + 1, 0), n)
    c, s = pose.cosine, pose.sine
    half_square = r / 2 * (abs(c) + abs(s))  # of a pixel, seen along the vehicle's axes
    for row in range(row0, row1):
        for col in range(col0, col1):
            if not obstacle[row, col]:
                continue
            dx, dy = (col + 0.5) * r - pose.x, n * r - (row + 0.5) * r - pose.y
            if (
                abs(dx) < half_x + r / 2
                and abs(dy) < half_y + r / 2
                and abs(dx * c + dy * s) < length / 2 + half_square
                and abs(dy * c - dx * s) < width / 2 + half_square
            ):
                return True
    return False


@hot_kernel
def hits_vehicle(pose: Pose, other: Pose, length: float, width: float) -> bool:
    """Whether two vehicles of the same length and width in metres overlap."""
    dx, dy = other.x - pose.x, other.y - pose.y
    turned = other.heading - pose.heading
    c, s = abs(cos(turned)), abs(sin(turned))
    # Half extents of both rectangles together, along the long and the short axis of either.
    along = (length * (1 + c) + width * s) / 2
    across = (width * (1 + c) + length * s) / 2
    return bool(
        abs(dx * pose.cosine + dy * pose.sine) < along
        and abs(dy * pose.cosine - dx * pose.sine) < across
        and abs(dx * other.cosine + dy * other.sine) < along
        and abs(dy * other.cosine - dx * other.sine) < across
    )
