"""Walls of buildings and vehicles as edges in a bucket grid.

Coordinates are in pixels with pixel centres on whole numbers: ``u`` grows to the east like the
column, ``v`` to the south like the row. Footprints of a true RadioMapSeer scene then have
whole-number vertices, and every sight line between pixels is tested without rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import shapely
from shapely.geometry.polygon import orient

from rmtools.kernel import hot_kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shapely.geometry import Polygon

    from rmtools.grid import Grid
    from rmtools.types import FloatArray, IntArray

BUCKET_PX = 8.0
"""Side of a bucket; 4, 8 and 16 px differ little in time."""

MARGIN_PX = 0.05
"""A bucket also holds edges that pass this close to it, so that a sight line running along the
border of two buckets or through a corner misses nothing."""


class Walls(NamedTuple):
    """Edges in a bucket grid.

    Attributes
    ----------
    edges
        ``(au, av, bu, bv)``, the ring's points before a and after b, all in pixels, and the height
        at or below which a sight line that crosses the edge is blocked, in pixels; shape (E, 9).
    highest
        The largest of these heights; minus infinity without edges.
    start, items
        Edges of bucket k are ``items[start[k]:start[k + 1]]``.
    rows
        ``edges[items]``: what is tested together lies together.
    tops
        The largest height in each bucket; minus infinity in an empty one.
    buckets
        Buckets per side.
    """

    edges: FloatArray
    highest: float
    start: IntArray
    items: IntArray
    rows: FloatArray
    tops: FloatArray
    buckets: int


def to_pixels(grid: Grid, points: FloatArray) -> FloatArray:
    """Local metres (x, y) to pixels (u, v), shape (..., 2)."""
    r = grid.resolution_m
    return np.stack([points[..., 0] / r - 0.5, grid.n - 0.5 - points[..., 1] / r], axis=-1)


def to_metres(grid: Grid, points: FloatArray) -> FloatArray:
    """Pixels (u, v, z) to local metres (x, y, height), shape (..., 3)."""
    r = grid.resolution_m
    u, v, z = np.moveaxis(points, -1, 0)
    return np.stack([(u + 0.5) * r, (grid.n - 0.5 - v) * r, z * r], axis=-1)


def ring_edges(grid: Grid, ring: FloatArray) -> FloatArray:
    """Edges of a closed ring (first point repeated) in pixels, shape (E, 8)."""
    return edges_of(to_pixels(grid, ring[:-1, :2]))


def edges_of(points: FloatArray) -> FloatArray:
    """Edges between the points of open rings, shape (..., E, 2) to (..., E, 8)."""
    before, to, after = (np.roll(points, shift, axis=-2) for shift in (1, -1, -2))
    return np.concatenate([points, to, before, after], axis=-1)


def building_edges(
    grid: Grid, footprints: Sequence[Polygon], heights_m: Sequence[float]
) -> tuple[FloatArray, FloatArray]:
    """Outer walls of buildings.

    Footprints of one height are united first: a wall between two halves of a block stops nothing,
    but its end in a facade would.

    Returns
    -------
    edges, heights
        Shape (E, 8), see :class:`Walls`, and (E,) in metres.
    """
    parts: list[FloatArray] = []
    tops: list[FloatArray] = []
    for height in sorted(set(heights_m)):
        same = [f for f, h in zip(footprints, heights_m, strict=True) if h == height]
        united: Any = shapely.simplify(shapely.union_all(same), 0.0)  # drops collinear vertices
        for polygon in shapely.get_parts(united):
            if polygon.geom_type != "Polygon" or polygon.is_empty:
                continue
            turned = orient(polygon)  # inside on the left
            for ring in (turned.exterior, *turned.interiors):
                edges = ring_edges(grid, shapely.get_coordinates(ring))
                parts.append(edges)
                tops.append(np.full(len(edges), height))
    if not parts:
        return np.zeros((0, 8)), np.zeros(0)
    return np.concatenate(parts), np.concatenate(tops)


def build_walls(edges: FloatArray, top_px: FloatArray, n: int) -> Walls:
    """Sort edges into buckets.

    Parameters
    ----------
    edges
        As in :class:`Walls`, shape (E, 8).
    top_px
        Blocking heights in pixels, shape (E,).
    n
        Pixels per side of the grid.
    """
    edges = np.column_stack([edges, top_px])
    buckets = int(np.ceil(n / BUCKET_PX))
    start = np.zeros(buckets * buckets + 1, np.int64)
    counts = np.zeros(buckets * buckets, np.int64)
    _fill(edges, buckets, counts, start, np.empty(0, np.int64))
    np.cumsum(counts, out=start[1:])
    items = np.empty(start[-1], np.int64)
    counts[:] = 0
    _fill(edges, buckets, counts, start, items)
    highest = float(top_px.max()) if len(top_px) else -np.inf
    rows, tops = edges[items], np.full(buckets * buckets, -np.inf)
    np.maximum.at(tops, np.repeat(np.arange(tops.size), np.diff(start)), rows[:, 8])
    return Walls(edges, highest, start, items, rows, tops, buckets)


@hot_kernel
def _fill(
    edges: FloatArray, buckets: int, counts: IntArray, start: IntArray, items: IntArray
) -> None:
    """Count the edges of each bucket, and store them when ``items`` has room."""
    for e in range(edges.shape[0]):
        au, av, bu, bv = edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]
        first_row = bucket_of(min(av, bv) - MARGIN_PX, buckets)
        last_row = bucket_of(max(av, bv) + MARGIN_PX, buckets)
        first_col = bucket_of(min(au, bu) - MARGIN_PX, buckets)
        last_col = bucket_of(max(au, bu) + MARGIN_PX, buckets)
        du, dv = bu - au, bv - av
        # a bucket wholly on one side of the edge's line does not hold it
        reach = (BUCKET_PX / 2 + MARGIN_PX) * (abs(du) + abs(dv))
        for row in range(first_row, last_row + 1):
            cv = (row + 0.5) * BUCKET_PX - 0.5
            for col in range(first_col, last_col + 1):
                cu = (col + 0.5) * BUCKET_PX - 0.5
                border = row in (0, buckets - 1) or col in (0, buckets - 1)
                if abs(du * (cv - av) - dv * (cu - au)) > reach and not border:
                    continue
                k = row * buckets + col
                if items.size:
                    items[start[k] + counts[k]] = e
                counts[k] += 1


@hot_kernel
def bucket_of(coordinate: float, buckets: int) -> int:
    """Row or column of the bucket that holds a coordinate; the outer buckets reach outwards."""
    return min(max(int(np.floor((coordinate + 0.5) / BUCKET_PX)), 0), buckets - 1)
