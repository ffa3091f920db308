"""Where scenes lie on the ground, which of them meet, and how far sets are apart."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from rmtools.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rmtools.splits.manifest import SplitSet

TOUCH_M = 1e-6
"""Squares that share less than this in depth touch; they do not overlap."""


@dataclass(frozen=True)
class Place:
    """The square of a scene on the ground: CRS, south-west corner and side in metres."""

    name: str
    crs: str | None
    easting_m: float
    northing_m: float
    size_m: float

    @property
    def square(self) -> shapely.Polygon:
        """The tile as a polygon in its CRS."""
        e, n, size = self.easting_m, self.northing_m, self.size_m
        return shapely.box(e, n, e + size, n + size)


@dataclass(frozen=True)
class Neighbours:
    """Pairs of places of one CRS that are near each other, with their distances.

    `distance_m` is 0 for squares that touch and -1 for squares that overlap.
    """

    first: list[int]
    second: list[int]
    distance_m: list[float]


def place_of(scene: Mapping[str, Any], size_m: float) -> Place | None:
    """Where a scene lies by its attributes in a store or layout; None when it has no place."""
    east, north = scene["easting_m"], scene["northing_m"]
    if east is None or north is None:
        return None
    return Place(scene["name"], scene["crs"], float(east), float(north), size_m)


def require_places(names: Sequence[str], squares: Sequence[Place], where: Path) -> None:
    """Refuse a dataset some of whose scenes have no place.

    Raises
    ------
    RecipeError
        One of `names` is not among `squares`.
    """
    known = {place.name for place in squares}
    if lost := [name for name in names if name not in known]:
        raise RecipeError(
            f"{len(lost)} scenes have no place on the ground, the first is {lost[0]!r}.",
            where=where,
            remedy="Split by a rule without places (--kind motion, trajectory or random), or build "
            "the scenes from OpenStreetMap, which gives them coordinates.",
        )


def near(squares: Sequence[Place], reach_m: float) -> Neighbours:
    """Pairs of squares of the same CRS that overlap or are at most `reach_m` apart."""
    first: list[int] = []
    second: list[int] = []
    distance: list[float] = []
    for crs in sorted({str(place.crs) for place in squares}):
        members = [i for i, place in enumerate(squares) if str(place.crs) == crs]
        shapes = np.array([squares[i].square for i in members])
        pairs = shapely.STRtree(shapes).query(shapes, predicate="dwithin", distance=reach_m)
        a, b = pairs[:, pairs[0] < pairs[1]]
        gap = shapely.distance(shapes[a], shapes[b])
        # squares overlap when even the shrunken ones do
        overlapping = shapely.distance(shapely.buffer(shapes[a], -TOUCH_M), shapes[b]) == 0
        first += [members[i] for i in a]
        second += [members[i] for i in b]
        distance += np.where(overlapping, -1.0, gap).tolist()
    return Neighbours(first, second, distance)


def check_buffer(buffer_m: float) -> None:
    """Refuse a buffer that is no distance.

    Raises
    ------
    RecipeError
        It is negative or not finite.
    """
    if not 0 <= buffer_m < np.inf:
        raise RecipeError(
            f"a buffer of {buffer_m:g} m is no distance.", remedy="Give zero or more metres."
        )


def conflicts(squares: Sequence[Place], buffer_m: float) -> list[tuple[int, int]]:
    """Pairs of squares that may not be in different sets.

    They overlap on the ground or are nearer to each other than `buffer_m`; squares that touch
    are no conflict without a buffer. Squares of different CRSs are taken to be far apart.
    """
    pairs = near(squares, buffer_m)
    return [
        (a, b)
        for a, b, gap in zip(pairs.first, pairs.second, pairs.distance_m, strict=True)
        if gap < buffer_m  # -1 where they overlap
    ]


def in_the_way(rank: Sequence[int], squares: Sequence[Place], buffer_m: float) -> set[int]:
    """Squares to leave out so that no two of different sets are in conflict.

    Of two such squares the one in the set of lower `rank` goes: with train, val and test in this
    order the test set stays whole.
    """
    return {
        a if rank[a] < rank[b] else b for a, b in conflicts(squares, buffer_m) if rank[a] != rank[b]
    }


def smallest_distances(squares: Sequence[Place], sets: Mapping[str, SplitSet]) -> dict[str, float]:
    """Smallest distance in metres between the squares of every two sets, ``"train/val"``.

    0 when they touch or overlap or share a scene; pairs without a common CRS are not in it.
    """
    by_name = {place.name: place for place in squares}
    result: dict[str, float] = {}
    for (name_a, a), (name_b, b) in combinations(sets.items(), 2):
        for crs in sorted({str(place.crs) for place in squares}):
            shapes_a, shapes_b = (
                [
                    by_name[scene].square
                    for scene in members.scenes
                    if scene in by_name and str(by_name[scene].crs) == crs
                ]
                for members in (a, b)
            )
            if shapes_a and shapes_b:
                _, gaps = shapely.STRtree(shapes_b).query_nearest(
                    shapes_a, return_distance=True, all_matches=False
                )
                key = f"{name_a}/{name_b}"
                result[key] = min(result.get(key, np.inf), float(gaps.min()))
    return result


def distance_notes(squares: Sequence[Place], sets: Mapping[str, SplitSet]) -> list[str]:
    """What a manifest's notes say of the distances between its sets."""
    found = smallest_distances(squares, sets)
    if not found:
        return []
    words = ", ".join(f"{pair} {distance:.0f} m" for pair, distance in found.items())
    return [f"Smallest distance between squares of two sets: {words}."]
