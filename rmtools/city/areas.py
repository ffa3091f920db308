"""Areas: their projection to UTM, their polygons, the largest upright rectangle inside."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

if TYPE_CHECKING:
    from shapely.geometry import Polygon

    from rmtools.city.citymap import Bounds
    from rmtools.types import BoolArray

_CELLS = 64
_SLACK_M = 0.001
"""Kept from the outline against rounding."""


def utm_crs(longitude: float, latitude: float) -> str:
    """EPSG code of the UTM zone of a point in degrees, such as ``"EPSG:32635"``."""
    zone = min(int((longitude + 180) // 6), 59) + 1
    return f"EPSG:{(32600 if latitude >= 0 else 32700) + zone}"


def project(geometries: Any, crs: str) -> Any:
    """Project geometries from longitude and latitude to `crs`.

    Parameters
    ----------
    geometries
        One geometry or a list of them, EPSG:4326, x is longitude.
    crs
        Target CRS.

    Returns
    -------
    shapely geometry or array of them
    """
    from pyproj import Transformer

    transformer = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    return shapely.transform(
        geometries, lambda lonlat: np.column_stack(transformer.transform(*lonlat.T))
    )


def polygons_of(geometry: Any, min_area_m2: float = 0.0) -> list[Polygon]:
    """The polygons with more than a given area in a geometry of any type."""
    parts = shapely.get_parts(shapely.get_parts(geometry))
    return [p for p in parts if p.geom_type == "Polygon" and p.area > min_area_m2]


def inner_rectangle(polygon: Polygon) -> Bounds:
    """Find the largest axis-aligned rectangle inside a polygon.

    The largest block of a coarse raster says where to look. Around its centre, the west and east
    side are searched for; they fix the south and north side, which go as far as the outline lets
    them. For a convex polygon, as every box in longitude and latitude is but for millimetres, the
    logarithm of the area is concave in the sides and the search finds the one maximum; for others
    the result is at least as large as the block.

    Parameters
    ----------
    polygon
        In projected metres, with an area above 0.

    Returns
    -------
    minx, miny, maxx, maxy
    """
    from scipy.optimize import minimize_scalar

    block = _coarse_block(polygon)
    x, y = (block[0] + block[2]) / 2, (block[1] + block[3]) / 2
    width = polygon.bounds[2] - polygon.bounds[0]
    line = shapely.LineString([(x - width, y), (x + width, y)]).intersection(polygon)
    chord = min(shapely.get_parts(line), key=shapely.Point(x, y).distance)
    first, _, last, _ = chord.bounds

    def area(west: float, east: float) -> float:
        south, north = _reach(polygon, west, east, y)
        return (east - west) * (north - south)

    def best_east(west: float) -> Any:
        return minimize_scalar(lambda east: -area(west, east), bounds=(x, last), method="bounded")

    searched = minimize_scalar(lambda w: best_east(w).fun, bounds=(first, x), method="bounded").x
    pairs = [(float(searched), float(best_east(searched).x)), (block[0], block[2])]
    west, east = max(pairs, key=lambda pair: area(*pair))
    south, north = _reach(polygon, west, east, y)
    return west + _SLACK_M, south + _SLACK_M, east - _SLACK_M, north - _SLACK_M


def _coarse_block(polygon: Polygon) -> Bounds:
    """Largest block of raster cells inside a polygon, or one of its points if no cell is."""
    shapely.prepare(polygon)
    minx, miny, maxx, maxy = polygon.bounds
    xs = np.linspace(minx, maxx, _CELLS + 1).tolist()
    ys = np.linspace(miny, maxy, _CELLS + 1).tolist()
    west, south = np.meshgrid(xs[:-1], ys[:-1])
    east, north = np.meshgrid(xs[1:], ys[1:])
    cells = shapely.covers(polygon, shapely.box(west, south, east, north))
    first_row, end_row, first_col, end_col = _largest_block(np.asarray(cells))
    if end_row == first_row:
        point = polygon.representative_point()
        return point.x, point.y, point.x, point.y
    return xs[first_col], ys[first_row], xs[end_col], ys[end_row]


def _reach(polygon: Polygon, west: float, east: float, y: float) -> tuple[float, float]:
    """How far south and north of `y` a rectangle between two meridional sides can go."""
    _, low, _, high = polygon.bounds
    # Clipping at `y` makes an outline that crosses it leave a point there, and so no room at all.
    below = shapely.clip_by_rect(polygon.boundary, west, low - 1, east, y)
    above = shapely.clip_by_rect(polygon.boundary, west, y, east, high + 1)
    south = shapely.get_coordinates(below)[:, 1].max(initial=low)
    north = shapely.get_coordinates(above)[:, 1].min(initial=high)
    return float(south), float(north)


def _largest_block(inside: BoolArray) -> tuple[int, int, int, int]:
    """First row, end row, first column and end column of the largest all-true block."""
    best, block = 0, (0, 0, 0, 0)
    for first in range(len(inside)):
        columns = np.ones(inside.shape[1], bool)
        for end in range(first + 1, len(inside) + 1):
            columns &= inside[end - 1]
            if not columns.any():
                break
            at = 0
            for value, run in groupby(columns.tolist()):
                length = sum(1 for _ in run)
                if value and length * (end - first) > best:
                    best, block = length * (end - first), (first, end, at, at + length)
                at += length
    return block
