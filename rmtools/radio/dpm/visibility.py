"""Does one point see another? The sight-line test of the search.

The rules were found on true maps (docs/dpm.md):

* a sight line is blocked by a wall that it crosses or touches at or below the wall's height;
* an end that lies on a wall, or closer to it than `TOLERANCE_PX`, is not stopped by that wall,
  nor by the corner over which the line comes in along that wall;
* but from its own roof the foot of a wall is hidden;
* walls within `ROOF_END_PX` of an end on a roof are left out, unless they rise above it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

from rmtools.kernel import hot_kernel
from rmtools.radio.dpm.walls import BUCKET_PX, bucket_of

if TYPE_CHECKING:
    from rmtools.radio.dpm.walls import Walls
    from rmtools.types import FloatArray

Point: TypeAlias = tuple[float, float, float]
"""(u, v, z) in pixels; z is the height above the street."""

STREET, ROOF = 0, 1

FREE = -1

TOLERANCE_PX = 0.04
ROOF_END_PX = 1.45


@hot_kernel
def _near(p: Point, au: float, av: float, bu: float, bv: float) -> bool:
    """Whether a point lies on an edge or within the tolerance of it."""
    du, dv = bu - au, bv - av
    square = du * du + dv * dv
    t = ((p[0] - au) * du + (p[1] - av) * dv) / square if square > 0.0 else 0.0
    t = min(max(t, 0.0), 1.0)
    eu, ev = au + t * du - p[0], av + t * dv - p[1]
    return eu * eu + ev * ev <= TOLERANCE_PX * TOLERANCE_PX


@hot_kernel
def stops(
    edges: FloatArray, e: int, p: Point, p_kind: int, q: Point, q_kind: int, length: float
) -> bool:
    """Whether one edge stops the straight line from p to q.

    Parameters
    ----------
    edges, e
        The edge is row `e` of `edges`, see :class:`~rmtools.radio.dpm.walls.Walls`.
    p, p_kind, q, q_kind
        As in :func:`blocker`.
    length
        Distance from p to q in the plane.
    """
    pu, pv, pz = p
    du, dv = q[0] - pu, q[1] - pv
    au, av, bu, bv = edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]
    side_a = du * (av - pv) - dv * (au - pu)
    side_b = du * (bv - pv) - dv * (bu - pu)
    if side_a * side_b > 0.0:
        return False
    eu, ev = bu - au, bv - av
    side_p = eu * (pv - av) - ev * (pu - au)
    side_q = eu * (q[1] - av) - ev * (q[0] - au)
    if side_p * side_q > 0.0 or side_p == side_q:
        return False  # equal: along the wall, its neighbours decide
    t = side_p / (side_p - side_q)
    top = edges[e, 8]
    if pz + t * (q[2] - pz) > top:
        return False
    if p_kind != STREET and top <= pz and t * length <= ROOF_END_PX:
        return False
    if q_kind != STREET and top <= q[2] and (1.0 - t) * length <= ROOF_END_PX:
        return False
    # an end on the wall; seen from its own roof (inside is negative) its foot is hidden
    if (q[2] <= top or side_q > 0.0) and _near(p, au, av, bu, bv):
        return False
    if (pz <= top or side_p > 0.0) and _near(q, au, av, bu, bv):
        return False
    # a corner over which the line comes in along the wall on which it ends
    return not (
        max(pz, q[2]) <= top
        and (
            (side_a == 0.0 and _near(q, au, av, edges[e, 4], edges[e, 5]))
            or (side_b == 0.0 and _near(q, bu, bv, edges[e, 6], edges[e, 7]))
        )
    )


@hot_kernel
def blocker(p: Point, p_kind: int, q: Point, q_kind: int, walls: Walls) -> int:
    """The edge that stops the straight line from p to q, or FREE.

    Parameters
    ----------
    p, q
        Ends of the line; q is the end that is reached.
    p_kind, q_kind
        STREET, or ROOF for an end on a roof.
    walls
        What may stand in the way.
    """
    start, rows, tops, buckets = walls.start, walls.rows, walls.tops, walls.buckets
    pu, pv, pz = p
    du, dv = q[0] - pu, q[1] - pv
    length = math.sqrt(du * du + dv * dv)
    lowest = min(pz, q[2])
    if lowest > walls.highest or length == 0.0:
        return FREE

    # walk through the buckets; next_u, next_v: share of the line where it leaves this one
    row, col = bucket_of(pv, buckets), bucket_of(pu, buckets)
    last_row, last_col = bucket_of(q[1], buckets), bucket_of(q[0], buckets)
    next_u = ((col + (du > 0.0)) * BUCKET_PX - 0.5 - pu) / du if du != 0.0 else math.inf
    next_v = ((row + (dv > 0.0)) * BUCKET_PX - 0.5 - pv) / dv if dv != 0.0 else math.inf
    while True:
        bucket = row * buckets + col
        if tops[bucket] >= lowest:
            for i in range(start[bucket], start[bucket + 1]):
                if stops(rows, i, p, p_kind, q, q_kind, length):
                    return walls.items[i]
        if row == last_row and col == last_col:
            return FREE
        if row == last_row or (col != last_col and next_u < next_v):
            col += 1 if du > 0.0 else -1
            next_u += BUCKET_PX / abs(du)
        else:
            row += 1 if dv > 0.0 else -1
            next_v += BUCKET_PX / abs(dv)
