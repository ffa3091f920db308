"""Whole scenes to sets by where they lie on the ground, with an optional buffer between sets."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import shapely

from rmtools.errors import RecipeError
from rmtools.seeds import generator
from rmtools.splits.manifest import SplitManifest, SplitSet, dataset_digest, make_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rmtools.store import Store

RATIOS = {"train": 0.7, "val": 0.1, "test": 0.2}


def sound_ratios(ratios: Mapping[str, float]) -> bool:
    """Whether ratios are two or more positive, finite shares."""
    return len(ratios) >= 2 and all(0 < share < np.inf for share in ratios.values())


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


def places(store: Store, *, required: bool = True) -> list[Place]:
    """Where the scenes of a store lie.

    Raises
    ------
    RecipeError
        `required` and a scene has no coordinates (RadioMapSeer scenes have none).
    """
    size, found, lost = store.grid.size_m, [], []
    for scene in store.attributes["scenes"]:
        east, north = scene["easting_m"], scene["northing_m"]
        if east is None or north is None:
            lost.append(scene["name"])
        else:
            found.append(Place(scene["name"], scene["crs"], float(east), float(north), size))
    if lost and required:
        raise RecipeError(
            f"{len(lost)} scenes have no place on the ground, the first is {lost[0]!r}.",
            where=store.path,
            remedy="Split by another rule (`radiomapmotion`), or build the scenes from "
            "OpenStreetMap, which gives them coordinates.",
        )
    return found


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


def geographic_split(
    squares: Sequence[Place],
    trajectories: int,
    transmitters: int,
    *,
    dataset: str,
    dataset_sha256: str | None = None,
    ratios: Mapping[str, float] = RATIOS,
    seed: int = 0,
    buffer_m: float = 0.0,
) -> SplitManifest:
    """Cut the ground into one strip per set and assign whole scenes.

    The scenes of each CRS are lined up along a direction drawn from the seed, the CRSs one after
    the other in an order drawn from the seed, and the line is cut at the ratios. Strips have
    short borders, so a buffer costs few scenes; the first set lies between the second and the
    others, so train keeps val and test apart. A scene whose square overlaps that of another
    set, or is nearer to it than `buffer_m`, is left out; of two such scenes the one in the set
    named first in `ratios` goes, so that with train, val, test the test set stays whole. Scenes
    in different CRSs are taken to be far apart.

    Parameters
    ----------
    squares
        Where the scenes lie; every trajectory and transmitter of a scene stays in its set.
    trajectories, transmitters
        How many each scene has, for the number of sequences.
    dataset, dataset_sha256
        Title and digest of the dataset, for the record.
    ratios
        Sets with their shares of the scenes; every set gets at least one.
    seed
        Of the directions and the order.
    buffer_m
        Smallest distance between squares of different sets, in metres.

    Raises
    ------
    RecipeError
        The ratios make no sense, or a set has no scene (left).
    """
    _check(squares, ratios, buffer_m)
    rank = np.zeros(len(squares), int)  # of the set of every scene, by its place in `ratios`
    rank[_line_up(squares, seed)] = np.repeat(
        _along_the_line(len(ratios)), _counts(list(ratios.values()), len(squares))
    )
    pairs = near(squares, buffer_m)
    dropped = {
        a if rank[a] < rank[b] else b
        for a, b, gap in zip(pairs.first, pairs.second, pairs.distance_m, strict=True)
        if rank[a] != rank[b] and gap < buffer_m  # -1 where they overlap
    }
    sets = {}
    for position, name in enumerate(ratios):
        chosen = [
            place.name
            for i, place in enumerate(squares)
            if rank[i] == position and i not in dropped
        ]
        if not chosen:
            raise RecipeError(
                f"no scene is left for the set {name!r} ({len(squares)} scenes, "
                f"{len(dropped)} left out for the buffer of {buffer_m:g} m).",
                remedy="Use a smaller buffer, other ratios, another seed or more scenes.",
            )
        sets[name] = SplitSet(scenes=chosen, sequences=len(chosen) * trajectories * transmitters)
    return make_manifest(
        sets,
        name="geographic",
        method="geographic",
        description=(
            "Whole scenes in strips: lined up along a direction drawn from the seed and cut into "
            + ", ".join(f"{name} {share:g}" for name, share in ratios.items())
            + f"; squares of different sets do not overlap and are at least {buffer_m:g} m "
            "apart, scenes in the way are left out, those of the earlier set first."
        ),
        seed=seed,
        dataset=dataset,
        dataset_sha256=dataset_sha256,
        left_out=[squares[i].name for i in sorted(dropped)],
        leaky=False,
        notes=[
            f"{len(dropped)} of {len(squares)} scenes left out.",
            *_distance_notes(squares, sets),
        ],
    )


def split_store(
    store: Store,
    *,
    ratios: Mapping[str, float] = RATIOS,
    seed: int = 0,
    buffer_m: float = 0.0,
) -> SplitManifest:
    """Split a store geographically, see :func:`geographic_split`."""
    sizes = store.sizes
    return geographic_split(
        places(store),
        max(1, sizes.traj),
        max(1, sizes.tx),
        dataset=str(store.attributes.get("title", store.path.name)),
        dataset_sha256=dataset_digest(store),
        ratios=ratios,
        seed=seed,
        buffer_m=buffer_m,
    )


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


def _distance_notes(squares: Sequence[Place], sets: Mapping[str, SplitSet]) -> list[str]:
    found = smallest_distances(squares, sets)
    if not found:
        return []
    words = ", ".join(f"{pair} {distance:.0f} m" for pair, distance in found.items())
    return [f"Smallest distance between squares of two sets: {words}."]


def _along_the_line(sets: int) -> list[int]:
    """Order of the strips: the first set between the second and the rest."""
    return [1, 0, *range(2, sets)]


def _counts(shares: Sequence[float], scenes: int) -> list[int]:
    """Scenes of every strip in the order along the line: rounded shares, but at least one."""
    along = [shares[i] for i in _along_the_line(len(shares))]
    bounds = np.rint(np.cumsum(along) / sum(along) * scenes).astype(int)
    counts = np.diff(bounds, prepend=0)
    while counts.min() == 0:
        counts[counts.argmax()] -= 1
        counts[counts.argmin()] += 1
    return [int(count) for count in counts]


def _line_up(squares: Sequence[Place], seed: int) -> list[int]:
    """Order of all scenes along the line that is cut."""
    groups = sorted({str(place.crs) for place in squares})
    line: list[int] = []
    for group in generator(seed, "geographic split").permutation(len(groups)):
        angle = generator(seed, "geographic split", groups[group]).uniform(0.0, 2.0 * np.pi)
        members = [i for i, place in enumerate(squares) if str(place.crs) == groups[group]]
        line += sorted(
            members,
            key=lambda i: (
                round(
                    squares[i].easting_m * float(np.cos(angle))
                    + squares[i].northing_m * float(np.sin(angle)),
                    3,
                ),
                squares[i].name,
            ),
        )
    return line


def _check(squares: Sequence[Place], ratios: Mapping[str, float], buffer_m: float) -> None:
    if not sound_ratios(ratios):
        raise RecipeError(
            f"the ratios {dict(ratios)} are not two or more positive shares.",
            remedy="Give something like train=0.7, val=0.1, test=0.2.",
        )
    if len(squares) < len(ratios) or not 0 <= buffer_m < np.inf:
        raise RecipeError(
            f"{len(squares)} scenes cannot be cut into {len(ratios)} sets with a buffer of "
            f"{buffer_m:g} m.",
            remedy="Use at least one scene per set and a buffer of zero or more metres.",
        )
