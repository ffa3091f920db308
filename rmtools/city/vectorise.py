"""Walls from a raster: the polygons with the fewest corners that give a building mask.

A raster shows an oblique wall as a staircase, and every stair would bend a path. RadioMapSeer's
polygons, though, have whole-number corners, and its rasters are samples of them: one point of each
pixel is asked whether it lies inside. So the walls can be found again. A wall is possible if all
samples beside it lie on their side; of all closed chains of possible walls the one with the fewest
corners is taken, that is long straight walls wherever they explain the raster; among equals the
one whose corners lie closest to the outline of the pixels, then the one whose walls do.

The chain is a shortest path over the outline, like the optimal polygon of a traced bitmap
(P. Selinger, Potrace: a polygon-based tracing algorithm, 2003), but with corners on whole numbers
beside the outline and with exact conditions on both sides of a wall. No constant is fitted.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import shapely
from shapely.geometry import Polygon, shape
from shapely.geometry.polygon import orient

from rmtools.city.areas import polygons_of
from rmtools.city.rasters import SAMPLE_EAST_M, SAMPLE_NORTH_M
from rmtools.errors import InputError
from rmtools.kernel import kernel

if TYPE_CHECKING:
    from rmtools.grid import Grid
    from rmtools.types import BoolArray, FloatArray, IntArray

AT_CENTRE = (SAMPLE_EAST_M, SAMPLE_NORTH_M)
"""Sample of a pixel in the masks of :mod:`rmtools.city.rasters` and in gain maps, in pixels from
its centre to the east and north: a hair, so that a pixel owns its west and south wall. Walls in
just that direction, 5 to 7, have samples on them and are not found."""

AT_NORTH_EAST = (0.5 + SAMPLE_EAST_M, 0.5 + SAMPLE_NORTH_M)
"""Sample of a pixel in RadioMapSeer's building images: a hair beyond its north-east vertex. Its
map 0 is met but for 5 pixels, its map 508 but for 238."""

REACH = 1
"""A corner lies at most this many whole numbers from the outline, along each axis: a wall runs
between samples one pixel apart. Sharper spikes hold no sample and leave no trace."""

ON_OUTLINE, ANYWHERE = ((2 * REACH + 1) ** 2) // 2, -1
"""Candidates of a corner are numbered; this is the one on its outline point, or any of them."""

WALL_WEIGHT = 1e-3
"""Weight of the walls' square deviations against those of the corners: so small that they decide
between equals only."""

Cone: TypeAlias = tuple[float, float, float, float]
"""Directions left of the first vector (u, v) and right of the second, together less than 180°."""

NOWHERE: Cone = (0.0, 0.0, 0.0, 0.0)


def vectorise(
    mask: BoolArray, grid: Grid, sampled: tuple[float, float] = AT_CENTRE
) -> list[Polygon]:
    """Footprints whose raster is a building mask, with as few corners as possible.

    Parameters
    ----------
    mask
        True inside buildings, shape (n, n), row 0 north. Pixels that touch at a corner only belong
        to two buildings.
    grid
        The raster grid of `mask`.
    sampled
        Where each pixel was sampled, in pixels to the east and north of its centre.

    Returns
    -------
    list of Polygon
        In local metres, valid, inside the tile, from the north-west down. Corners lie on pixel
        centres, but for walls along the north and east edge of the tile. Rasterised again they
        give `mask` but for single pixels beside sharp corners.

    Raises
    ------
    InputError
        The mask has another shape than the grid or is not boolean.
    """
    from affine import Affine
    from rasterio.features import shapes

    mask = np.asarray(mask)
    if mask.shape != grid.shape or mask.dtype != bool:
        raise InputError(
            f"a building mask of shape {mask.shape} and type {mask.dtype}.",
            where="vectorise",
            remedy=f"Give a boolean array of shape {grid.shape}.",
        )
    # Corner points of the cells: whole numbers, 0 at the centre of the south-west pixel. A cell
    # reaches from the centre of its pixel to those of its eastern and northern neighbours.
    to_corners = Affine(1.0, 0.0, 0.0, 0.0, -1.0, float(grid.n))
    tile = shapely.box(0.0, 0.0, grid.size_m, grid.size_m)
    footprints: list[Polygon] = []
    for geometry, _ in shapes(
        mask.astype(np.uint8), mask=mask, connectivity=4, transform=to_corners
    ):
        polygon: Any = shape(geometry)
        cells = orient(polygon)  # inside on the left
        outer, *inner = (
            shapely.make_valid(Polygon(_walls(shapely.get_coordinates(ring)[:-1], sampled)))
            for ring in (cells.exterior, *cells.interiors)
        )
        building: Any = outer.difference(shapely.union_all(inner)) if inner else outer
        metres = shapely.transform(building, lambda points: (points + 0.5) * grid.resolution_m)
        footprints += polygons_of(metres.intersection(tile))
    return footprints


def _walls(ring: FloatArray, sampled: tuple[float, float]) -> IntArray:
    """Corners of the chain of walls that replaces one ring of cells, shape (C, 2)."""
    around = np.roll(ring, -1, axis=0) - ring
    steps = np.abs(around).sum(axis=1).astype(np.intp)
    ahead = np.repeat(np.sign(around), steps, axis=0)  # unit steps along the outline
    # counted from the first point, so that a moved raster is rounded in the same way
    outline = np.cumsum(ahead, axis=0) - ahead
    left = 0.5 * np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
    middle = outline + 0.5 * ahead - 0.5 + sampled
    offset = np.asarray(sampled, float)
    parts = outline, middle + left, middle - left

    # A chain needs a place to start from. The first one starts anywhere; what it has found half
    # way round does not depend on that any more, and is where the second one starts. Should none
    # close there, the steps of the outline itself always do.
    best = _chain(*parts, offset, ANYWHERE)
    half = best[np.argmin(np.abs(best[:, 0] - len(outline) / 2))]
    for start, fixed in ((half[0], half[1]), (0, ON_OUTLINE)):
        along, inside, outside = (np.roll(part, -int(start), axis=0) for part in parts)
        best = _chain(along, inside, outside, offset, int(fixed))
        if len(best):
            break
    offsets = np.stack(np.divmod(best[:, 1], 2 * REACH + 1), axis=1) - REACH
    return (ring[0] + along[best[:, 0] % len(outline)]).astype(np.int64) + offsets


@kernel
def _narrow(cone: Cone, u: float, v: float) -> Cone:
    """The directions of a cone that have the point (u, v) on their left."""
    low_fits = cone[0] * v > cone[1] * u
    high_fits = cone[2] * v > cone[3] * u
    if low_fits and high_fits:
        return cone
    if low_fits:
        return cone[0], cone[1], u, v
    if high_fits:
        return -u, -v, cone[2], cone[3]
    return NOWHERE


@kernel
def _bias(wall_u: float, wall_v: float, sampled: FloatArray) -> float:
    """Mean distance, times the wall's length, of the places between samples from their wall.

    Distances of the samples from a wall through whole numbers are multiples of one step, from a
    rest to the left of the wall; the nearest pairs lie evenly around the middle of the first step.
    """
    step = math.gcd(int(abs(wall_u)), int(abs(wall_v)))
    rest = (wall_u * sampled[1] - wall_v * sampled[0]) / step
    return step * (rest - math.floor(rest) - 0.5)


@kernel
def _chain(  # noqa: C901, PLR0912 - one loop, and calls cost more than they explain
    outline: FloatArray, inside: FloatArray, outside: FloatArray, sampled: FloatArray, fixed: int
) -> IntArray:
    """Closed chain of walls with the fewest corners.

    Parameters
    ----------
    outline
        Points of the outline, one step apart, inside on the left, shape (N, 2).
    inside, outside
        Samples left and right of the step that begins at each point, shape (N, 2).
    sampled
        As in :func:`vectorise`, shape (2,).
    fixed
        Candidate at which the chain starts and ends; any, and any other end, when negative.

    Returns
    -------
    IntArray
        Outline point (1 to N) and candidate of each corner, shape (C, 2); none when no chain
        passes the fixed one.
    """
    count, side = len(outline), 2 * REACH + 1
    # For walls at any angle the samples put a corner half a pixel less `sampled` to the south-west
    # of the outline, for upright walls on it: best is what lies between.
    lean_u, lean_v = 0.25 - 0.5 * sampled[0], 0.25 - 0.5 * sampled[1]
    # corners so far, and the square deviations of corners and walls from their best places
    corners = np.full((count + 1, side * side), np.iinfo(np.int64).max)
    distance = np.zeros((count + 1, side * side))
    before = np.zeros((count + 1, side * side, 2), np.int64)
    for c in range(side * side):
        if fixed in (-1, c):
            corners[0, c] = 0

    for i in range(count):
        for c in range(side * side):
            if corners[i, c] == np.iinfo(np.int64).max:
                continue
            u = outline[i, 0] + c // side - REACH
            v = outline[i, 1] + c % side - REACH
            # directions of walls from (u, v) that leave all samples so far on their side
            cone = NOWHERE
            su, sv, suu, suv, svv = 0.0, 0.0, 0.0, 0.0, 0.0  # moments of the places between samples
            for j in range(i + 1, count + 1):
                in_u, in_v = inside[j - 1, 0] - u, inside[j - 1, 1] - v
                out_u, out_v = outside[j - 1, 0] - u, outside[j - 1, 1] - v
                half = (-in_u, -in_v, in_u, in_v)
                cone = half if j == i + 1 else _narrow(cone, in_u, in_v)
                cone = _narrow(cone, -out_u, -out_v)
                if cone == NOWHERE:
                    break
                mu, mv = (in_u + out_u) / 2, (in_v + out_v) / 2
                su, sv = su + mu, sv + mv
                suu, suv, svv = suu + mu * mu, suv + mu * mv, svv + mv * mv
                for d in range(side * side):
                    if j == count and fixed >= 0 and d != fixed:
                        continue
                    du, dv = d // side - REACH, d % side - REACH
                    wall_u = outline[j % count, 0] + du - u
                    wall_v = outline[j % count, 1] + dv - v
                    if cone[0] * wall_v <= cone[1] * wall_u or wall_u * cone[3] <= wall_v * cone[2]:
                        continue
                    if corners[i, c] >= corners[j, d]:
                        continue
                    shift, square = _bias(wall_u, wall_v, sampled), wall_u**2 + wall_v**2
                    walls = (
                        svv * wall_u**2
                        - 2 * suv * wall_u * wall_v
                        + suu * wall_v**2
                        - 2 * shift * (wall_u * sv - wall_v * su)
                        + (j - i) * shift**2
                    ) / square
                    new_distance = (
                        distance[i, c]
                        + (du + lean_u) ** 2
                        + (dv + lean_v) ** 2
                        + WALL_WEIGHT * walls
                    )
                    if corners[i, c] + 1 < corners[j, d] or new_distance < distance[j, d]:
                        corners[j, d], distance[j, d] = corners[i, c] + 1, new_distance
                        before[j, d, 0], before[j, d, 1] = i, c

    end = 0
    for c in range(side * side):
        if corners[count, c] < corners[count, end] or (
            corners[count, c] == corners[count, end] and distance[count, c] < distance[count, end]
        ):
            end = c
    if corners[count, end] == np.iinfo(np.int64).max:
        return np.empty((0, 2), np.int64)
    found = np.empty((corners[count, end], 2), np.int64)
    at, c = count, end
    for k in range(len(found) - 1, -1, -1):
        found[k, 0], found[k, 1] = at, c
        at, c = before[at, c]
    return found
