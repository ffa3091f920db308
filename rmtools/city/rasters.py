"""Rasters of a scene: where buildings stand, how high they are, where the roads run.

A pixel belongs to a footprint when its centre lies inside. A centre exactly on a west or south
edge counts as inside, on an east or north edge as outside, so every pixel along a shared wall
belongs to exactly one of two neighbours. This is what RadioMapSeer's own rasters do: they equal
the polygons sampled a hair to the east and north of the pixel centres.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shapely.geometry.base import BaseGeometry

    from rmtools.grid import Grid
    from rmtools.scene import Scene
    from rmtools.types import BoolArray, FloatArray

SAMPLE_EAST_M = 0.0005
SAMPLE_NORTH_M = 0.0007
"""Offset of the sampling point from the pixel centre.

Scene coordinates are whole millimetres, so a point off the millimetre lies on no upright edge; as
the two differ it lies on no diagonal one either. So no rounding error decides about such walls.
"""


def building_mask(scene: Scene) -> BoolArray:
    """Pixels whose centre lies inside a footprint, shape (n, n); courtyards are False."""
    return footprint_mask([building.polygon for building in scene.buildings], scene.grid)


def building_height(scene: Scene) -> FloatArray:
    """Height in metres of the building at every pixel centre, shape (n, n), NaN outside.

    Where footprints overlap the highest counts.
    """
    rising = sorted(scene.buildings, key=lambda building: building.height_m)
    heights = [(building.polygon, building.height_m) for building in rising]
    return _burn(heights, scene.grid, fill=np.nan, dtype="float64")


def touched_mask(scene: Scene) -> BoolArray:
    """Pixels whose closed square a footprint touches or overlaps at all, shape (n, n).

    The conservative counterpart of :func:`building_mask`: whatever stays on the pixels that are
    False here keeps clear of every wall.
    """
    from scipy.ndimage import binary_dilation

    grid = scene.grid
    footprints = [building.polygon for building in scene.buildings]
    touched = _burn(
        ((polygon, 1) for polygon in footprints), grid, fill=0, dtype="uint8", all_touched=True
    ).astype(bool)
    # GDAL leaves out pixels that are only grazed: look at the neighbours one by one.
    rows, cols = np.nonzero(binary_dilation(touched, np.ones((3, 3))) & ~touched)
    x, y = grid.centre(rows, cols)
    half = grid.resolution_m / 2
    squares = shapely.STRtree(shapely.box(x - half, y - half, x + half, y + half))
    _, grazed = squares.query(np.array(footprints, object), predicate="intersects")
    touched[rows[grazed], cols[grazed]] = True
    return touched


def road_mask(scene: Scene) -> BoolArray:
    """Pixels whose centre lies on a road or square and not in a building, shape (n, n)."""
    areas = [
        road.shape if road.width_source == "area" else road.shape.buffer(road.width_m / 2)
        for road in scene.roads
    ]
    return footprint_mask(areas, scene.grid) & ~building_mask(scene)


def footprint_mask(shapes: Sequence[BaseGeometry], grid: Grid) -> BoolArray:
    """Pixels whose centre lies inside any of the shapes, in local metres, shape (n, n)."""
    burned = _burn(((geometry, 1) for geometry in shapes), grid, fill=0, dtype="uint8")
    return burned.astype(bool)


def _geojson(geometry: BaseGeometry) -> BaseGeometry | dict[str, object]:
    """A polygon as rasterio takes it; shapely's own way there takes longer than the burning."""
    if not isinstance(geometry, shapely.Polygon):
        return geometry
    rings = [geometry.exterior, *geometry.interiors]
    return {
        "type": "Polygon",
        "coordinates": [shapely.get_coordinates(ring).tolist() for ring in rings],
    }


def _burn(
    shapes: Iterable[tuple[BaseGeometry, float]],
    grid: Grid,
    *,
    fill: float,
    dtype: str,
    all_touched: bool = False,
) -> Any:
    """Burn values in order, the last one wins."""
    from affine import Affine
    from rasterio.features import rasterize

    values = [(_geojson(geometry), value) for geometry, value in shapes if not geometry.is_empty]
    if not values:  # rasterio refuses an empty list
        return np.full(grid.shape, fill, dtype)
    transform = grid.transform
    if not all_touched:
        a, b, x, d, e, y = transform[:6]
        transform = Affine(a, b, x + SAMPLE_EAST_M, d, e, y + SAMPLE_NORTH_M)
    return rasterize(
        values,
        out_shape=grid.shape,
        transform=transform,
        fill=fill,
        dtype=dtype,
        all_touched=all_touched,
    )
