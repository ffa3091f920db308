"""Scenes and cars in RadioMapSeer's geometry: whole-number points in the polygon frame.

RadioMapSeer's JSON holds walls as rings without holes, roads as two-point segments and cars as
rings of four corners, all on whole numbers from 1 to 256. Our scenes have millimetres, courtyards
and polylines. Walls are therefore rounded to the metre (as valid polygons; what has no area left
is dropped), a courtyard hangs on its outline by a seam, and cars have their corners rounded.
Geometry that came from RadioMapSeer is on whole numbers already and stays as it is.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from shapely.affinity import translate
from shapely.geometry import LineString, Polygon, box

from rmtools.city.areas import polygons_of
from rmtools.city.seer import N
from rmtools.layouts.seer_format import points_of_metres

if TYPE_CHECKING:
    from rmtools.scene import Scene
    from rmtools.traffic.tracks import Tracks
    from rmtools.types import FloatArray

IntRing = list[tuple[int, int]]
"""Corners in the polygon frame, the first repeated at the end."""

IntSegment = tuple[tuple[int, int], tuple[int, int]]

_FRAME = box(1, 1, N, N)

# -- walls ---------------------------------------------------------------------------------------


def building_rings(scene: Scene) -> list[tuple[IntRing, int]]:
    """Rings of a scene's buildings, and for each the index of its building.

    A building whose walls fall together when they are rounded has no ring, one that falls apart
    has several.
    """
    return [
        (ring, index)
        for index, building in enumerate(scene.buildings)
        for ring in polygon_rings(building.polygon)
    ]


def polygon_rings(footprint: Polygon) -> list[IntRing]:
    """Rings of one footprint in local metres."""
    points: Polygon = translate(footprint, 0.5, 0.5)
    if _is_whole(points):
        return [_ring(points)]
    rounded = shapely.set_precision(shapely.intersection(points, _FRAME), 1.0)
    return [_ring(part) for part in polygons_of(rounded)]


def _ring(points: Polygon) -> IntRing:
    """The ring of a polygon that has whole-number corners in the polygon frame."""
    if not points.interiors:
        return _whole(np.asarray(points.exterior.coords))
    canonical: Any = points.normalize()  # one polygon has one ring, wherever its corners began
    return _whole(_seamed(canonical))


def _is_whole(points: Polygon) -> bool:
    corners = shapely.get_coordinates(points)
    whole = (corners == np.rint(corners)) & (corners >= 1) & (corners <= N)
    return bool(whole.all())


def _seamed(polygon: Polygon) -> FloatArray:
    """One ring around a polygon with courtyards, which visits each along a seam and returns."""
    ring: FloatArray = np.asarray(polygon.exterior.coords)[:-1]
    waiting = [np.asarray(hole.coords)[:-1] for hole in polygon.interiors]
    while waiting:
        choice = min(range(len(waiting)), key=lambda k: _nearest(ring, waiting[k])[0])
        ring = _joined(polygon, ring, waiting.pop(choice))
    return np.concatenate([ring, ring[:1]])


def _nearest(ring: FloatArray, hole: FloatArray) -> tuple[float, float, float]:
    """Shortest distance between corners of two rings, and where, to decide between equal ones."""
    distance = np.hypot(*(ring[:, None] - hole[None]).transpose(2, 0, 1))
    _, at = np.unravel_index(np.argmin(distance), distance.shape)
    return float(distance.min()), float(hole[at, 0]), float(hole[at, 1])


def _joined(polygon: Polygon, ring: FloatArray, hole: FloatArray) -> FloatArray:
    """A ring that leaves at a corner to go around a hole, by the shortest seam through walls."""
    distance = np.hypot(*(ring[:, None] - hole[None]).transpose(2, 0, 1))
    for flat in np.argsort(distance, axis=None, kind="stable"):
        i, j = (int(k) for k in np.unravel_index(flat, distance.shape))
        if polygon.covers(LineString([ring[i], hole[j]])):
            break
    around = np.concatenate([hole[j:], hole[: j + 1]])
    return np.concatenate([ring[: i + 1], around, ring[i:]])


def _whole(corners: FloatArray) -> IntRing:
    return [(int(x), int(y)) for x, y in np.rint(corners)]


# -- roads ---------------------------------------------------------------------------------------


def road_segments(scene: Scene) -> list[IntSegment]:
    """Centre lines of a scene's roads and outlines of its squares, as segments on the tile.

    Segments are rounded to the metre; those without length, and those that are there already in
    either direction, are left out.
    """
    found: dict[frozenset[tuple[int, int]], IntSegment] = {}
    for road in scene.roads:
        lines = [road.shape] if isinstance(road.shape, LineString) else _outline(road.shape)
        for line in lines:
            for ends in pairwise(points_of_metres(np.asarray(line.coords))):
                segment = _clipped(np.array(ends))
                if segment is not None:
                    found.setdefault(frozenset(segment), segment)
    return list(found.values())


def _outline(square: Polygon) -> list[LineString]:
    return [square.exterior, *square.interiors]


def _clipped(ends: FloatArray) -> IntSegment | None:
    """A segment as far as it is on the tile; None when nothing is left."""
    if ends.min() < 1 or ends.max() > N:
        part = shapely.intersection(LineString(ends), _FRAME)
        if not isinstance(part, LineString) or part.is_empty:
            return None
        ends = np.asarray(part.coords)
    start, *_, end = _whole(ends)
    return None if start == end else (start, end)


# -- cars ----------------------------------------------------------------------------------------


def car_rings(tracks: Tracks, frame: int = 0) -> list[IntRing]:
    """Rings of the vehicles of one frame."""
    corners = np.clip(np.rint(points_of_metres(tracks.outlines(frame))), 1, N)
    return [_whole(np.concatenate([ring, ring[:1]])) for ring in corners]
