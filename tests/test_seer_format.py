"""Names, frames and rasters of the RadioMapSeer layout: true images decide about the rasters."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely
from fakes_seer import make_seer_tree, upright_mask
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import find_objects, label

from rmtools.layouts import seer_format as fmt
from rmtools.layouts import seer_rasters as rasters
from rmtools.validation.seer_tree import map_folders, transmitter_folders

if TYPE_CHECKING:
    from pathlib import Path

N = 256


def true_image(reference: Path, name: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.asarray(Image.open(reference / "radiomapseer" / name)) == 255


def true_json(reference: Path, name: str) -> Any:
    return json.loads((reference / "radiomapseer" / name).read_text())


# -- true images -------------------------------------------------------------------------------


@pytest.mark.parametrize("map_id", [0, 508])
def test_true_building_images_to_the_pixel(reference_data: Path, map_id: int) -> None:
    rings = true_json(reference_data, fmt.polygons_name(map_id))
    image = true_image(reference_data, fmt.buildings_name(map_id))
    assert np.count_nonzero(rasters.building_mask(rings) != image) == 0


@pytest.mark.parametrize(("missing", "gone"), [(1, [39]), (2, [9, 39])])
def test_true_images_of_missing_buildings_to_the_pixel(
    reference_data: Path, missing: int, gone: list[int]
) -> None:
    masks = rasters.ring_masks(true_json(reference_data, fmt.polygons_name(0)))
    image = true_image(reference_data, fmt.buildings_name(0, missing, 1))
    left = np.delete(masks, gone, axis=0).any(axis=0)
    assert np.count_nonzero(left != image) == 0


def test_true_road_image_to_the_pixel(reference_data: Path) -> None:
    segments = true_json(reference_data, fmt.roads_polygons_name(0))
    image = true_image(reference_data, fmt.roads_name(0))
    assert np.count_nonzero(rasters.road_mask(segments) != image) == 0


def test_true_oblique_cars_are_what_an_oblique_ring_gives(reference_data: Path) -> None:
    """A car of 1.4 by 4.2 m at 45 degrees has six pixels; three true images show 26 such cars."""
    ring = [(50, 50), (51, 51), (54, 48), (53, 47), (50, 50)]
    rows, cols = np.nonzero(rasters.car_mask([ring]))
    car = np.zeros((3, 4), bool)
    car[rows - rows.min(), cols - cols.min()] = True
    seen = 0
    for map_id in (17, 126, 508):
        blobs, _ = label(true_image(reference_data, fmt.cars_name(map_id)))
        for k, place in enumerate(find_objects(blobs), start=1):
            blob = blobs[place] == k
            seen += np.array_equal(blob, car) or np.array_equal(blob, car[:, ::-1])
    assert seen == 26


# -- rasters by themselves ---------------------------------------------------------------------

coordinate = st.integers(1, N)
point = st.tuples(coordinate, coordinate)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(point, point), min_size=1, max_size=4), st.sampled_from([0.0, 1.0]))
def test_upright_rings_cover_whole_cells(boxes: list[Any], shift: float) -> None:
    """Cells [x, x + 1) of the building image start in column 0 at x = 1, of cars in column 1."""
    rings = [
        [[a, b], [c, b], [c, d], [a, d], [a, b]] for (a, b), (c, d) in boxes if a != c and b != d
    ]
    drawn = (rasters.car_mask if shift else rasters.building_mask)(rings)
    np.testing.assert_array_equal(drawn, upright_mask(rings, shift))


@settings(deadline=None, max_examples=25)
@given(st.lists(point, min_size=3, max_size=7))
def test_rings_are_filled_like_polygons(corners: list[tuple[int, int]]) -> None:
    """Away from edges by more than a subpixel, a pixel is inside when its middle is."""
    mask = rasters.ring_masks([[*corners, corners[0]]])[0]
    x, y = np.meshgrid(np.arange(N) + 1.5, N - np.arange(N) + 0.5)
    edges = shapely.LineString([*corners, corners[0]])
    far = shapely.distance(edges, shapely.points(x, y)) > 0.15
    inside = np.zeros((N, N), bool)
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if ay != by:
            inside ^= ((ay > y) != (by > y)) & (x < ax + (bx - ax) * (y - ay) / (by - ay))
    np.testing.assert_array_equal(mask[far], inside[far])


@settings(deadline=None, max_examples=25)
@given(st.lists(point, min_size=3, max_size=7), st.integers(0, 6))
def test_start_direction_and_closing_do_not_matter(corners: list[Any], start: int) -> None:
    whole = rasters.building_mask([[*corners, corners[0]]])
    start %= len(corners)
    turned = corners[start:] + corners[:start]
    for other in (corners, [*turned, turned[0]], turned[::-1]):
        np.testing.assert_array_equal(whole, rasters.building_mask([other]))


@settings(deadline=None, max_examples=25)
@given(point, point, point, point)
def test_neighbours_share_no_pixel_and_leave_no_gap(a: Any, b: Any, c: Any, d: Any) -> None:
    """Two triangles on either side of a diagonal make up their quadrilateral."""
    left, right = rasters.ring_masks([[a, b, c], [a, c, d]])
    np.testing.assert_array_equal(left ^ right, rasters.building_mask([[a, b, c, d]]))


def test_a_seam_leads_to_a_courtyard() -> None:
    outer, inner = (
        [(10, 10), (40, 10), (40, 40), (10, 40)],
        [(20, 20), (20, 30), (30, 30), (30, 20)],
    )
    ring = [*outer, outer[0], *inner, inner[0], outer[0]]
    drawn = rasters.building_mask([ring])
    np.testing.assert_array_equal(
        drawn, rasters.building_mask([outer]) & ~rasters.building_mask([inner])
    )


@settings(deadline=None, max_examples=25)
@given(point, point)
def test_roads_are_thin_lines_from_end_to_end(a: Any, b: Any) -> None:
    mask = rasters.road_mask([(a, b)])
    assert mask[N - a[1], a[0] - 1]
    assert mask[N - b[1], b[0] - 1]
    long = max(abs(a[0] - b[0]), abs(a[1] - b[1]))
    assert mask.sum() == long + 1
    rows, cols = np.nonzero(mask)
    if long:  # every pixel within half a pixel of the ideal line, along the shorter axis
        slope_x, slope_y = (b[0] - a[0]) / long, (b[1] - a[1]) / long
        off = np.abs((cols + 1 - a[0]) * slope_y - (N - rows - a[1]) * slope_x)
        assert off.max() <= 0.5 + 1e-9
    np.testing.assert_array_equal(mask, rasters.road_mask([(b, a)]))


# -- frames ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), min_size=1))
def test_frames_are_inverse(pairs: list[tuple[int, int]]) -> None:
    antennas = np.array(pairs)
    pixels = fmt.antenna_pixels(antennas)
    np.testing.assert_array_equal(fmt.pixel_antennas(pixels), antennas)
    points = fmt.antenna_points(antennas)
    np.testing.assert_array_equal(np.stack([N - points[:, 1], points[:, 0] - 1], 1), pixels)
    metres = fmt.metres_of_points(points)
    np.testing.assert_array_equal(metres, antennas + 0.5)  # centres of the pixels
    np.testing.assert_array_equal(fmt.points_of_metres(metres), points)


def test_the_worked_pixel() -> None:
    """Transmitter 0 of the published map 0."""
    assert fmt.antenna_pixels(np.array([108, 68])).tolist() == [187, 108]
    assert fmt.antenna_points(np.array([108, 68])).tolist() == [109, 69]
    assert fmt.metres_of_points(np.array([109, 69])).tolist() == [108.5, 68.5]
    cell = [[109, 69], [110, 69], [110, 70], [109, 70], [109, 69]]
    assert np.argwhere(rasters.building_mask([cell])).tolist() == [[187, 108]]
    assert np.argwhere(rasters.car_mask([cell])).tolist() == [[186, 109]]
    assert np.argwhere(rasters.road_mask([((109, 69), (109, 69))])).tolist() == [[187, 108]]
    assert np.argwhere(rasters.transmitter_mask(187, 108)).tolist() == [[187, 108]]


# -- names -------------------------------------------------------------------------------------


def test_a_full_tree_has_355408_files() -> None:
    """The number that readers of the published dataset counted."""
    count = 1 + fmt.MAPS * (len(map_folders()) + fmt.TRANSMITTERS)
    count += sum(fmt.MAPS * transmitters for transmitters in fmt.SIMULATORS.values())
    assert count == 355_408
    assert len(map_folders()) + len(transmitter_folders()) == 110


def test_names_are_those_of_a_tree(tmp_path: Path) -> None:
    root = make_seer_tree(tmp_path, (7,), transmitters=3)
    names = {path.relative_to(root).as_posix() for path in root.rglob("*.*")}
    variants = [(7, missing, version) for missing in (1, 2, 3, 4) for version in (1, 2, 3, 4, 5, 6)]
    gains = {
        fmt.gain_name(simulator, 7, tx)
        for simulator in fmt.SIMULATORS
        for tx in range(fmt.transmitters_of(simulator, 3))
    }
    of_map = {
        name(7)
        for name in (
            *(fmt.antennas_name, fmt.buildings_name, fmt.polygons_name, fmt.cars_name),
            *(fmt.cars_polygons_name, fmt.roads_name, fmt.roads_polygons_name),
        )
    }
    of_variant = {
        name(*variant)
        for variant in variants
        for name in (
            *(fmt.buildings_name, fmt.removed_name),
            *(fmt.polygons_name, fmt.removed_polygons_name),
        )
    }
    antennas = {fmt.antenna_image_name(7, tx) for tx in range(3)}
    assert names == gains | of_map | of_variant | antennas | {fmt.TABLE_NAME}
    with (root / fmt.TABLE_NAME).open() as handle:
        rows = [tuple(row) for row in csv.reader(handle)]
    assert list(fmt.table_rows([7], 3)) == rows


def test_cars_belong_to_simulators() -> None:
    assert [s for s in fmt.SIMULATORS if fmt.has_cars(s)] == ["carsDPM", "carsIRT2", "carsIRT4"]
    assert {fmt.without_cars(s) for s in fmt.SIMULATORS} == {"DPM", "IRT2", "IRT4"}
    assert fmt.gain_text()["formula"] == "level = round(255 * (clip(gain) - (-147.0)) / 99.16)"
    assert fmt.mask_text("cars")["levels"] == "0 = no, 255 = yes"
