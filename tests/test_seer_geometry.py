"""Walls, roads and cars on RadioMapSeer's whole-number points."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, Polygon, box
from strategies import PROVENANCE, scenes

from rmtools.city.seer import footprints_of
from rmtools.layouts import seer_rasters
from rmtools.layouts.seer_cars import (
    car_image_of_mask,
    cars_of_image,
    mask_of_car_image,
    tracks_of_cars,
)
from rmtools.layouts.seer_geometry import (
    building_rings,
    car_rings,
    polygon_rings,
    road_segments,
)
from rmtools.scene import Frame, Road, Scene
from rmtools.traffic.tracks import State, Tracks, VehicleSize

if TYPE_CHECKING:
    from pathlib import Path

CAR = VehicleSize()


def floats(rings: list[list[tuple[int, int]]]) -> list[list[tuple[float, float]]]:
    return [[(float(x), float(y)) for x, y in ring] for ring in rings]


def parked(x: list[float], y: list[float], heading_deg: list[float]) -> Tracks:
    at = np.array([[x], [y], [heading_deg]], float)
    state = np.full((1, len(x)), State.SEEDED, np.int8)
    return Tracks(*at, np.zeros((1, len(x))), state, CAR)


# -- walls ---------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(scenes(256))
def test_rings_read_back_are_the_same_rings(scene: Scene) -> None:
    """Rounded once, walls do not move again; courtyards survive their seams."""
    rings = [ring for ring, _ in building_rings(scene)]
    footprints = footprints_of(floats(rings))
    again = [ring for footprint in footprints for ring in polygon_rings(footprint)]
    if len(footprints) == len(rings):  # two buildings may have become one
        assert again == rings
    for ring, index in building_rings(scene):
        assert ring[0] == ring[-1]
        assert all(1 <= value <= 256 for corner in ring for value in corner)
        # no wall moved by more than half a diagonal, plus what is clipped at the edge
        solid = shapely.union_all(footprints_of(floats([ring])))
        assert solid.within(scene.buildings[index].polygon.buffer(0.71 + 0.5, join_style="mitre"))


def test_a_courtyard_hangs_on_its_outline() -> None:
    outline, yard = box(10.5, 10.5, 40.5, 30.5), box(20.5, 15.5, 30.5, 25.5)
    ring = floats(polygon_rings(outline.difference(yard)))[0]
    assert len(ring) == 5 + 4 + 2  # both outlines closed, and the seam there and back
    (read,) = footprints_of([ring])
    assert read.equals(outline.difference(yard))
    assert read.area == 30 * 20 - 100


def test_what_has_no_area_left_is_dropped() -> None:
    assert polygon_rings(box(10.0, 10.0, 10.3, 10.3)) == []
    assert polygon_rings(box(255.9, 20.0, 256.0, 30.0)) == []


def test_walls_beyond_the_outermost_points_are_clipped_to_them() -> None:
    (ring,) = polygon_rings(box(0.0, 0.0, 256.0, 20.5))
    assert set(ring) == {(1, 1), (1, 21), (256, 21), (256, 1)}


# -- roads ---------------------------------------------------------------------------------------


def scene_of_roads(*roads: Road) -> Scene:
    return Scene("roads", Frame(n=256, resolution_m=1.0), (), roads, PROVENANCE)


def test_roads_become_segments_on_the_tile_without_repetition() -> None:
    line = LineString([(-5.0, 20.0), (40.2, 20.2), (40.3, 20.1), (40.5, 300.0)])
    back = LineString([(40.5, 255.5), (40.5, 20.5)])
    road = Road(line, 8.0, "class", "road")
    square = Road(box(100.5, 100.5, 110.5, 105.5), 0.0, "area", "road")
    found = road_segments(scene_of_roads(road, Road(back, 8.0, "class", "road"), square))
    assert found[:2] == [((1, 21), (41, 21)), ((41, 21), (41, 256))]
    assert {frozenset(segment) for segment in found[2:]} == {
        frozenset(ends)
        for ends in (
            ((101, 101), (111, 101)),
            ((111, 101), (111, 106)),
            ((111, 106), (101, 106)),
            ((101, 106), (101, 101)),
        )
    }


def test_a_road_that_misses_the_tile_has_no_segment() -> None:
    line = LineString([(-5.0, 20.0), (-5.0, 200.0)])
    assert road_segments(scene_of_roads(Road(line, 20.0, "class", "road"))) == []


# -- cars ----------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(
    st.floats(4, 252),
    st.floats(4, 252),
    st.floats(-180, 180, exclude_max=True),
    st.integers(0, 3),
    st.sampled_from([1, -1]),
)
def test_a_car_is_found_again_within_half_a_metre(
    x: float,
    y: float,
    heading: float,
    start: int,
    way: int,
) -> None:
    """Whatever corner a ring begins with and whichever way it goes round."""
    (ring,) = car_rings(parked([x], [y], [heading]))
    corners = ring[:-1][start:] + ring[:-1][:start]
    corners = corners[::way]
    found = tracks_of_cars(floats([[*corners, corners[0]]]), CAR)
    assert abs(found.x[0, 0] - x) <= 0.5
    assert abs(found.y[0, 0] - y) <= 0.5
    assert abs((found.heading_deg[0, 0] - heading + 90) % 180 - 90) < 25
    assert set(car_rings(found)[0]) == set(ring)


def test_upright_cars_are_found_exactly() -> None:
    cars = parked([20.5, 41.5], [30.5, 60.5], [0.0, 90.0])
    found = tracks_of_cars(floats(car_rings(cars)), CAR)
    np.testing.assert_array_equal(found.x, cars.x)
    np.testing.assert_array_equal(found.y, cars.y)
    np.testing.assert_array_equal(np.abs(found.heading_deg), [[0.0, 90.0]])


def test_cars_are_told_apart_in_an_image() -> None:
    """Alone, in a row, side by side, and across; an oblique one is not recognised."""
    cars = parked(
        [20.5, 24.5, 100.5, 100.5, 150.5, 154.5], [30.5, 30.5, 50.5, 52.5, 80.5, 81.5], [0.0] * 6
    )
    image = seer_rasters.car_mask(floats(car_rings(cars)))
    assert image.sum() == 6 * 8
    rings, lost = cars_of_image(image, CAR)
    assert lost == 0
    assert len(rings) == 6
    assert (seer_rasters.car_mask(rings) == image).all()
    oblique = image.copy()
    oblique[200, 200] = oblique[201, 201] = True
    assert cars_of_image(oblique, CAR) == (rings, 2)
    assert cars_of_image(np.ones((256, 256), bool), CAR) == ([], 256 * 256)


def test_the_car_image_lies_one_pixel_from_the_mask() -> None:
    """Upright cars on whole points: the mask of pixel centres, one pixel east and north."""
    cars = parked([20.5, 41.5], [30.5, 60.5], [0.0, 0.0])
    image = seer_rasters.car_mask(floats(car_rings(cars)))
    mask = cars.mask(0, scene_of_roads().grid)
    assert (car_image_of_mask(mask) == image).all()
    assert (mask_of_car_image(image) == mask).all()


# -- true data -----------------------------------------------------------------------------------


@pytest.mark.parametrize("map_id", [0, 508])
def test_rings_of_published_maps_come_back_as_they_are(reference_data: Path, map_id: int) -> None:
    from rmtools.city.seer import read_map, read_rings

    root = reference_data / "radiomapseer"
    rings = [ring for ring, _ in building_rings(read_map(root, map_id))]
    assert floats(rings) == read_rings(root / f"polygon/buildings_complete/{map_id}.json")


def test_duplicate_and_touching_footprints() -> None:
    """Two houses that fall together when rounded stay two rings; the mask is that of either."""
    rings = polygon_rings(box(10.5, 10.5, 20.6, 20.4)) + polygon_rings(box(10.4, 10.4, 20.5, 20.5))
    assert Counter(map(frozenset, rings)).most_common(1)[0][1] == 2
    assert (seer_rasters.building_mask(rings) == seer_rasters.building_mask(rings[:1])).all()


def test_the_mask_of_rounded_walls_is_near_the_true_one() -> None:
    tower = Polygon([(50.3, 50.2), (80.7, 55.1), (78.2, 90.4), (48.9, 85.8)])
    read = footprints_of(floats(polygon_rings(tower)))
    symmetric = read[0].symmetric_difference(tower)
    assert symmetric.area <= 0.71 * tower.length
