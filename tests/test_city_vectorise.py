"""Walls from rasters: known shapes come back, true maps are met nearly as well as with walls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapely.affinity import rotate, translate
from shapely.geometry import Polygon, box

from rmtools.city import seer
from rmtools.city.rasters import building_mask
from rmtools.city.vectorise import AT_CENTRE, AT_NORTH_EAST, vectorise
from rmtools.errors import InputError
from rmtools.grid import Grid
from rmtools.radio.dpm.solver import DominantPathSolver
from rmtools.radio.solver import Transmitter
from rmtools.scene import Building, Frame, Provenance, Scene
from rmtools.units import SEER_SCALE

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.types import BoolArray, FloatArray

N = 64
GRID = Grid(N, 1.0)
PROVENANCE = Provenance(
    source="test", reader="radiomapseer", sha256="", date=None, licence="", attribution=""
)


def scene_of(polygons: list[Polygon], n: int = N, resolution_m: float = 1.0) -> Scene:
    buildings = tuple(Building(p, 25.0, "dataset") for p in polygons)
    return Scene("s", Frame(n=n, resolution_m=resolution_m), buildings, (), PROVENANCE)


def raster(*polygons: Polygon) -> BoolArray:
    return building_mask(scene_of(list(polygons)))


def upright(west: int, south: int, east: int, north: int) -> Polygon:
    """Rectangle between the centres of pixels, columns and rows counted from the south-west."""
    return box(west + 0.5, south + 0.5, east + 0.5, north + 0.5)


def turned(
    length: float, width: float, degrees: float, x: float = 32.0, y: float = 32.0
) -> Polygon:
    """Rectangle with corners rounded to pixel centres."""
    shape = rotate(box(-length / 2, -width / 2, length / 2, width / 2), degrees, origin=(0, 0))
    return shapely.transform(translate(shape, x, y), lambda p: np.round(p - 0.5) + 0.5)


def corners(polygons: list[Polygon]) -> int:
    return sum(len(shapely.get_coordinates(r)) - 1 for p in polygons for r in rings(p))


def rings(polygon: Polygon) -> list[shapely.LinearRing]:
    return [polygon.exterior, *polygon.interiors]


def same(found: list[Polygon], wanted: list[Polygon]) -> bool:
    return {p.normalize().wkt for p in found} == {p.normalize().wkt for p in wanted}


# --- shapes that a raster determines ----------------------------------------------------------


@pytest.mark.parametrize("sampled", [AT_CENTRE, AT_NORTH_EAST])
@pytest.mark.parametrize(
    "shape",
    [
        upright(10, 20, 30, 25),
        upright(0, 0, 12, 9),  # in the corner of the tile
        upright(40, 50, 63, 63),
        upright(5, 5, 9, 60),
        upright(8, 8, 40, 40) - upright(20, 15, 30, 33),  # courtyard
        upright(8, 8, 40, 40) - upright(20, 15, 30, 40),  # U
        upright(8, 8, 40, 18) | upright(8, 8, 18, 44),  # L
        upright(8, 8, 28, 18) | upright(28, 8, 40, 30),  # two houses wall to wall
    ],
)
def test_upright_shapes_come_back_exactly(shape: Polygon, sampled: tuple[float, float]) -> None:
    cells = raster(shape)  # upright walls have the same raster for both samples
    found = vectorise(cells, GRID, sampled)
    assert same([shapely.simplify(p, 0) for p in found], [shapely.simplify(shape, 0)])


def test_houses_that_touch_at_a_corner_are_two() -> None:
    pair = [upright(10, 10, 20, 20), upright(20, 20, 34, 31)]
    assert same(vectorise(raster(*pair), GRID), pair)


@pytest.mark.parametrize("length", [16, 33])
@pytest.mark.parametrize("degrees", [7, 20, 33, 45, 61, 80, 100, 140, 165])
def test_oblique_rectangles_keep_four_corners_within_a_pixel(length: int, degrees: int) -> None:
    true = turned(length, 12, degrees)
    cells = raster(true)
    (found,) = vectorise(cells, GRID)
    assert corners([found]) <= 4
    assert shapely.hausdorff_distance(true.exterior, found.exterior, 0.1) <= np.sqrt(2) + 1e-9
    np.testing.assert_array_equal(raster(found), cells)


def test_an_oblique_courtyard_keeps_its_corners() -> None:
    true = turned(44, 36, 24) - turned(24, 14, 24)
    (found,) = vectorise(raster(true), GRID)
    assert [len(r.coords) - 1 for r in rings(found)] == [4, 4]
    assert found.symmetric_difference(true).area < 0.2 * true.length


def test_no_buildings_and_nothing_but_buildings() -> None:
    assert vectorise(np.zeros((N, N), bool), GRID) == []
    (tile,) = vectorise(np.ones((N, N), bool), GRID)
    assert tile.equals(box(0.5, 0.5, N, N))  # half a pixel is open in the west and south


def test_single_pixels_stay_single() -> None:
    cells = np.zeros((N, N), bool)
    cells[10, 20] = cells[40, 5] = cells[0, 63] = True
    found = vectorise(cells, GRID)
    assert len(found) == 3
    np.testing.assert_array_equal(raster(*found), cells)


def test_a_chessboard_is_all_single_pixels() -> None:
    cells = np.zeros((N, N), bool)
    cells[9:25, 9:25] = np.add.outer(np.arange(16), np.arange(16)) % 2 == 0
    found = vectorise(cells, GRID)
    assert len(found) == 128
    np.testing.assert_array_equal(raster(*found), cells)


# --- properties -------------------------------------------------------------------------------

houses = st.builds(
    turned,
    st.integers(9, 24),
    st.integers(9, 20),
    st.integers(0, 179),
    st.integers(14, 50),
    st.integers(14, 50),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(houses, min_size=1, max_size=4))
def test_the_raster_is_reproduced(city: list[Polygon]) -> None:
    cells = raster(*city)
    found = vectorise(cells, GRID)
    assert all(p.is_valid and not p.is_empty for p in found)
    assert np.count_nonzero(raster(*found) != cells) <= 3
    stairs = np.count_nonzero(_turns(cells))
    assert corners(found) <= stairs


@settings(max_examples=60, deadline=None)
@given(houses)
def test_never_more_corners_than_the_true_rectangle(house: Polygon) -> None:
    walls = np.abs(np.diff(shapely.get_coordinates(house), axis=0))
    assume((walls @ [7, -5] != 0).all())  # samples lie on walls in just this direction
    cells = raster(house)
    found = vectorise(cells, GRID)
    assert corners(found) <= len(house.exterior.coords) - 1
    assert shapely.union_all(found).symmetric_difference(house).area <= 0.6 * house.length


central = st.builds(
    turned,
    st.integers(9, 24),
    st.integers(9, 20),
    st.integers(0, 179),
    st.integers(24, 40),
    st.integers(24, 40),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(central, min_size=1, max_size=3), st.integers(-6, 6), st.integers(-6, 6))
def test_a_moved_raster_gives_moved_walls(city: list[Polygon], east: int, north: int) -> None:
    here = vectorise(raster(*city), GRID)
    there = vectorise(raster(*(translate(p, east, north) for p in city)), GRID)
    assert same(there, [translate(p, east, north) for p in here])


@settings(max_examples=30, deadline=None)
@given(st.lists(houses, min_size=1, max_size=3), st.sampled_from(["west", "north", "turn", "swap"]))
def test_mirrored_and_turned_rasters_need_as_many_corners(city: list[Polygon], how: str) -> None:
    """With samples between the whole numbers no direction is preferred."""
    cells = raster(*city)
    other = {
        "west": cells[:, ::-1],
        "north": cells[::-1],
        "turn": np.rot90(cells),
        "swap": cells.T,
    }[how]
    middle = (0.5, 0.5)
    assert abs(
        corners(vectorise(cells, GRID, middle)) - corners(vectorise(other, GRID, middle))
    ) <= len(city)


def test_walls_scale_with_the_resolution() -> None:
    cells = raster(turned(33, 12, 33))
    (metre,) = vectorise(cells, GRID)
    (half,) = vectorise(cells, Grid(N, 0.5))
    assert half.equals(shapely.transform(metre, lambda points: points / 2))
    np.testing.assert_array_equal(building_mask(scene_of([half], N, 0.5)), cells)


@pytest.mark.parametrize(
    "mask", [np.zeros((N, N + 1), bool), np.zeros((N, N), np.uint8), np.zeros(N, bool)]
)
def test_other_than_a_boolean_mask_of_the_grid_is_refused(mask: FloatArray) -> None:
    with pytest.raises(InputError, match="building mask of shape"):
        vectorise(mask, GRID)  # type: ignore[arg-type]  # what users do


def _turns(cells: BoolArray) -> BoolArray:
    """Points where the outline of the cells turns: 1 or 3 of the 4 cells around are inside."""
    padded = np.pad(cells, 1).astype(int)
    around = padded[1:, 1:] + padded[:-1, 1:] + padded[1:, :-1] + padded[:-1, :-1]
    return around % 2 == 1


# --- the true dataset -------------------------------------------------------------------------


def rmse_db(scene: Scene, transmitter: FloatArray, path: Path) -> float:
    """Over pixels with a true grey above zero; what became a building by mistake counts as 0."""
    solver = DominantPathSolver("radiomapseer")
    found = SEER_SCALE.encode(solver.solve(solver.prepare(scene), Transmitter(*transmitter)))
    truth = seer.read_png(path).astype(float)
    error = (found - truth)[truth > 0] * SEER_SCALE.step_db
    return float(np.sqrt(np.mean(error**2)))


@pytest.mark.parametrize("map_id", [0, 508])
def test_true_walls_are_found_again(reference_data: Path, map_id: int) -> None:
    true = seer.read_map(reference_data / "radiomapseer", map_id)
    cells, united = building_mask(true), shapely.union_all([b.polygon for b in true.buildings])
    found = vectorise(cells, true.grid)
    np.testing.assert_array_equal(building_mask(scene_of(found, 256)), cells)
    assert corners(found) <= corners(list(shapely.get_parts(united)))
    assert corners(found) < 0.5 * np.count_nonzero(_turns(cells))
    moved = shapely.union_all(found).symmetric_difference(united).area / united.length
    assert moved < 0.16  # metres, mean displacement of the walls


def test_true_building_image_gives_the_true_walls(reference_data: Path) -> None:
    root = reference_data / "radiomapseer"
    true = shapely.union_all([b.polygon for b in seer.read_map(root, 0).buildings])
    image = seer.read_png(root / "png/buildings_complete/0.png") > 0
    found = shapely.union_all(vectorise(image, Grid(), AT_NORTH_EAST))
    assert found.symmetric_difference(true).area < 0.01 * true.length
    assert seer.read_map(root, 17).notes["walls"].endswith("17.png")  # type: ignore[union-attr]


def test_vectorising_costs_little_on_a_map_with_known_walls(reference_data: Path) -> None:
    root = reference_data / "radiomapseer"
    true, positions = seer.read_map(root, 0), seer.read_transmitters(root, 0)
    again = scene_of(vectorise(building_mask(true), true.grid), 256)
    paths = {k: root / f"gain/DPM/0_{k}.png" for k in (0, 1, 10, 11, 12, 13)}
    walls = np.mean([rmse_db(true, positions[k], path) for k, path in paths.items()])
    found = np.mean([rmse_db(again, positions[k], path) for k, path in paths.items()])
    assert found <= walls + 0.6


def test_true_maps_known_as_images_only(reference_data: Path) -> None:
    folder = reference_data / "radiomapseer/dpm_unknown_ids"
    paths = sorted(folder.glob("*.png"))
    errors = [rmse_db(*seer.scene_of_gain_map(path), path) for path in paths]
    assert len(errors) == 11
    assert np.mean(errors) <= 1.5
    assert np.median(errors) <= 1.3
