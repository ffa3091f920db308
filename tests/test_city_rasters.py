from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, Polygon

from rmtools.city.rasters import (
    SAMPLE_EAST_M,
    SAMPLE_NORTH_M,
    building_height,
    building_mask,
    road_mask,
    touched_mask,
)
from rmtools.scene import Building, Frame, Provenance, Road, Scene

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rmtools.types import BoolArray

N = 24
PROVENANCE = Provenance(
    source="test", reader="osm-extract", sha256="0" * 64, date=None, licence="", attribution=""
)


def scene(
    *buildings: Polygon | tuple[Polygon, float],
    roads: Sequence[Road] = (),
    n: int = N,
    resolution_m: float = 1.0,
) -> Scene:
    solid = [b if isinstance(b, tuple) else (b, 10.0) for b in buildings]
    return Scene(
        "test",
        Frame(n=n, resolution_m=resolution_m),
        tuple(Building(polygon, height, "tag") for polygon, height in solid),
        tuple(roads),
        PROVENANCE,
    )


@st.composite
def stars(draw: st.DrawFn, low: float = 2.0, high: float = 11.0) -> list[tuple[float, float]]:
    """A star-shaped ring about the middle of the grid, on whole millimetres."""
    count = draw(st.integers(3, 10))
    radii = draw(st.lists(st.floats(low, high), min_size=count, max_size=count))
    turn = draw(st.floats(0, 2 * math.pi))
    angles = [turn + 2 * math.pi * k / count for k in range(count)]
    return [
        (round(N / 2 + r * math.cos(a), 3), round(N / 2 + r * math.sin(a), 3))
        for r, a in zip(radii, angles, strict=True)
    ]


@st.composite
def polygons(draw: st.DrawFn) -> Polygon:
    """A star with or without a star-shaped courtyard."""
    holes = [draw(stars(0.5, 5.0))] if draw(st.booleans()) else []
    polygon = Polygon(draw(stars(6.0)), holes)
    assume(polygon.is_valid)
    return polygon


def crossing_number(polygon: Polygon) -> BoolArray:
    """Even-odd test in whole tenths of millimetres: exact, and nothing of GEOS or GDAL in it."""
    inside = np.zeros((N, N), bool)
    east, north = round(SAMPLE_EAST_M * 1e4), round(SAMPLE_NORTH_M * 1e4)
    xs = [10_000 * col + 5_000 + east for col in range(N)]
    ys = [10_000 * (N - 1 - row) + 5_000 + north for row in range(N)]
    for ring in (polygon.exterior, *polygon.interiors):
        points = [(round(x * 1e4), round(y * 1e4)) for x, y in ring.coords]
        for (x1, y1), (x2, y2) in pairwise(points):
            for row, y in enumerate(ys):
                if (y1 <= y) != (y2 <= y):
                    # x < x1 + (y - y1) (x2 - x1) / (y2 - y1), without the division
                    rise = y2 - y1
                    side = ((y - y1) * (x2 - x1) + x1 * rise) * (1 if rise > 0 else -1)
                    for col, x in enumerate(xs):
                        inside[row, col] ^= x * abs(rise) < side
    return inside


@settings(deadline=None)
@given(polygons())
def test_mask_equals_an_exact_crossing_number_test(polygon: Polygon) -> None:
    np.testing.assert_array_equal(building_mask(scene(polygon)), crossing_number(polygon))


@settings(deadline=None)
@given(st.lists(polygons(), min_size=1, max_size=3), st.data())
def test_height_is_the_highest_of_the_footprints_over_a_pixel(
    shapes: list[Polygon], data: st.DataObject
) -> None:
    heights = [data.draw(st.floats(1, 99)) for _ in shapes]
    masks = [building_mask(scene(shape)) for shape in shapes]
    layers = [np.where(m, h, np.nan) for m, h in zip(masks, heights, strict=True)]
    expected = np.fmax.reduce(layers)
    found = building_height(scene(*zip(shapes, heights, strict=True)))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(~np.isnan(found), building_mask(scene(*shapes)))


@settings(deadline=None)
@given(st.lists(polygons(), min_size=1, max_size=2))
def test_touched_is_every_closed_square_that_meets_a_footprint(shapes: list[Polygon]) -> None:
    town = scene(*shapes)
    col, row = np.meshgrid(np.arange(N), np.arange(N))
    squares = shapely.box(col, N - 1 - row, col + 1, N - row)
    expected = shapely.intersects(squares, shapely.union_all(shapes))
    np.testing.assert_array_equal(touched_mask(town), expected)
    assert not (building_mask(town) & ~touched_mask(town)).any()


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_neighbours_share_no_pixel_and_leave_none(seed: int) -> None:
    corner = np.random.default_rng(seed).integers(1, N * 2, 2) / 2  # often on a pixel centre
    x, y = corner.tolist()
    fans = [
        Polygon([(x, y), a, b])
        for a, b in [((0, 0), (N, 0)), ((N, 0), (N, N)), ((N, N), (0, N)), ((0, N), (0, 0))]
    ]
    total = sum(building_mask(scene(fan)).astype(int) for fan in fans if fan.area > 0)
    np.testing.assert_array_equal(total, 1)


def test_west_and_south_edges_belong_to_the_footprint() -> None:
    mask = building_mask(scene(shapely.box(2.5, 3.5, 5.5, 7.5)))
    rows, cols = np.nonzero(mask)
    assert sorted(set(cols.tolist())) == [2, 3, 4]
    assert sorted({N - 1 - row for row in rows.tolist()}) == [3, 4, 5, 6]


def test_touching_an_edge_from_outside_counts_as_touched() -> None:
    touched = touched_mask(scene(shapely.box(3, 3, 5, 5)))
    rows, cols = np.nonzero(touched)
    assert (cols.min(), cols.max()) == (2, 5)
    assert (N - 1 - rows.max(), N - 1 - rows.min()) == (2, 5)


def test_a_sliver_between_centres_is_touched_but_not_inside() -> None:
    town = scene(shapely.box(3.6, 2.0, 4.4, 9.0))
    assert not building_mask(town).any()
    assert touched_mask(town).sum() == 2 * 9


@pytest.mark.parametrize("resolution_m", [0.5, 2.0])
def test_resolution_scales_the_raster(resolution_m: float) -> None:
    fine = building_mask(scene(shapely.box(4, 8, 12, 12), resolution_m=resolution_m))
    assert fine.sum() * resolution_m**2 == 32


def test_empty_scene() -> None:
    empty = scene()
    assert not building_mask(empty).any()
    assert np.isnan(building_height(empty)).all()
    assert not touched_mask(empty).any()
    assert not road_mask(empty).any()


def test_roads_have_their_width_and_buildings_win() -> None:
    street = Road(LineString([(-5, 8), (30, 8)]), 4.0, "class", "residential")
    square = Road(shapely.box(16, 14, 20, 18), 0.0, "area", "service")
    town = scene(shapely.box(4, 4, 10, 9), roads=[street, square])
    mask = road_mask(town)
    rows = N - 1 - np.nonzero(mask[:, 0])[0]
    assert sorted(rows.tolist()) == [6, 7, 8, 9]
    assert mask[N - 18 : N - 14, 16:20].all()
    assert mask.sum() == 4 * N + 16 - 6 * 3
    assert not (mask & building_mask(town)).any()
