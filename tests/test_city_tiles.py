from __future__ import annotations

import json

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from shapely.geometry import LineString, Polygon

from rmtools.city.citymap import CityMap
from rmtools.city.rasters import SAMPLE_EAST_M, SAMPLE_NORTH_M, building_mask, road_mask
from rmtools.city.tiles import Tile, TileChoice, TileRules, choose_tiles, cut_scene, road_length_m
from rmtools.grid import Grid
from rmtools.scene import Building, Provenance, Road, Scene

GRID = Grid(n=100)
ANY = {"min_building_share": 0.0, "max_building_share": 1.0, "min_road_m": 0.0}
PROVENANCE = Provenance(
    source="test", reader="osm-extract", sha256="0" * 64, date=None, licence="", attribution=""
)
X0, Y0 = 500_000.0, 5_800_000.0


def town(width: float, height: float) -> CityMap:
    """Every 100 m an upright block of growing share, streets at every 100 m."""
    blocks = [
        shapely.box(X0 + i, Y0 + j, X0 + i + 20 + i / 10, Y0 + j + 50)
        for i in range(20, int(width), 100)
        for j in range(20, int(height), 100)
    ]
    streets = [
        LineString([(X0, Y0 + j), (X0 + width, Y0 + j)]) for j in range(10, int(height), 100)
    ]
    return CityMap(
        name="town",
        crs="EPSG:32633",
        buildings=tuple(Building(block, 12.0, "default") for block in blocks),
        roads=tuple(Road(street, 6.0, "class", "residential") for street in streets),
        bounds=(X0, Y0, X0 + width, Y0 + height),
        provenance=PROVENANCE,
        notes={"relations_skipped": 2},
    )


def names(choice: TileChoice) -> list[str]:
    return [tile.name for tile in choice.accepted]


@settings(deadline=None, max_examples=30)
@given(
    st.floats(60, 500),
    st.floats(60, 500),
    st.sampled_from([None, 37.0, 50.0, 100.0]),
    st.floats(0, 40),
)
def test_tiles_stay_inside_the_data_and_none_that_fits_is_left_out(
    width: float, height: float, stride: float | None, margin: float
) -> None:
    city = town(width, height)
    rules = TileRules(stride_m=stride, margin_m=margin, **ANY)
    choice = choose_tiles(city, GRID, rules, 0)
    step = stride or 100.0
    for tile in choice.accepted:
        assert X0 + margin <= tile.easting_m <= X0 + width - margin - 100
        assert Y0 + margin <= tile.northing_m <= Y0 + height - margin - 100
    inner = [int(side - 2 * margin) for side in (width, height)]
    fit = [max(int((side - 100) // step) + 1, 0) for side in inner]
    more = [max(int((side + 1 - 100) // step) + 1, 0) for side in inner]
    # The grid is anchored on whole metres, which may cost up to a metre on each side.
    least = [max(int((side - 2 - 100) // step) + 1, 0) for side in inner]
    assert least[0] * least[1] <= len(choice.accepted) <= more[0] * more[1], fit
    assert all(tile.cause == "outside" for tile in choice.rejected)


def test_names_count_rows_from_the_north() -> None:
    choice = choose_tiles(town(300, 200), GRID, TileRules(margin_m=0, **ANY), 0)
    assert names(choice) == [f"town_r0{row}_c0{col}" for row in (0, 1) for col in (0, 1, 2)]
    assert choice.accepted[0].northing_m == Y0 + 100


def test_every_rejection_states_its_figures() -> None:
    city = town(330, 100)
    rules = TileRules(margin_m=0, min_building_share=0.13, max_building_share=0.2, min_road_m=50)
    reasons = {tile.name[-3:]: tile.reason for tile in choose_tiles(city, GRID, rules, 0).rejected}
    assert reasons == {
        "c00": "building share 0.110 < 0.13",
        "c02": "building share 0.210 > 0.2",
        "c03": "outside the data less its margin by 70 m",
    }
    far = rules.model_copy(update={"min_road_m": 101.0})
    choice = choose_tiles(city, GRID, far, 0)
    assert choice.rejected[1].reason == "drivable roads 100 m < 101 m"
    assert choice.causes() == {"building_share": 2, "outside": 1, "road_length": 1}


def test_count_and_spacing() -> None:
    city = town(400, 100)
    wanted = choose_tiles(city, GRID, TileRules(margin_m=0, count=2, **ANY), 0)
    assert names(wanted) == ["town_r00_c00", "town_r00_c01"]
    assert wanted.rejected[0].reason == "not needed: 2 scenes chosen"
    apart = choose_tiles(city, GRID, TileRules(margin_m=0, min_spacing_m=150, **ANY), 0)
    assert names(apart) == ["town_r00_c00", "town_r00_c02"]
    assert apart.rejected[0].reason == "100 m from town_r00_c00 < 150 m"


def test_shuffle_depends_on_the_seed_only() -> None:
    city = town(600, 500)
    rules = TileRules(margin_m=0, order="shuffle", count=7, **ANY)
    first, again, other = (choose_tiles(city, GRID, rules, seed) for seed in (3, 3, 4))
    assert first == again
    assert names(first) != names(other)
    every = rules.model_copy(update={"count": None})
    scan = every.model_copy(update={"order": "scan"})
    assert set(names(choose_tiles(city, GRID, every, 3))) == set(
        names(choose_tiles(city, GRID, scan, 3))
    )


def test_choice_survives_json() -> None:
    choice = choose_tiles(town(300, 300), GRID, TileRules(), 5)
    assert TileChoice.model_validate(json.loads(choice.model_dump_json())) == choice


def test_a_city_smaller_than_a_tile_says_so() -> None:
    choice = choose_tiles(town(90, 300), GRID, TileRules(margin_m=0), 0)
    assert not choice.accepted
    assert set(choice.causes()) == {"outside"}
    assert choose_tiles(town(90, 90), GRID, TileRules(margin_m=50), 0).rejected == []


def test_rules_refuse_nonsense() -> None:
    with pytest.raises(ValidationError, match="min_building_share"):
        TileRules(min_building_share=0.7)
    with pytest.raises(ValidationError, match="margin_m"):
        TileRules(margin_m=float("inf"))
    with pytest.raises(ValidationError, match="typo"):
        TileRules.model_validate({"typo": 1})


def tile_at(x: float, y: float) -> Tile:
    return Tile(name="cut", row=0, col=0, easting_m=X0 + x, northing_m=Y0 + y)


def test_scene_is_local_clipped_and_counted() -> None:
    scene = cut_scene(town(300, 300), tile_at(30, 30), GRID)
    assert {round(b.polygon.bounds[0], 3) for b in scene.buildings} == {0.0, 90.0}
    assert max(b.polygon.bounds[2] for b in scene.buildings) == 100.0
    assert road_length_m(scene) == 100.0
    assert scene.frame.easting_m == X0 + 30
    assert scene.notes["heights_from_default"] == len(scene.buildings) == 4
    assert scene.notes["city_relations_skipped"] == 2


def test_a_building_cut_into_two_becomes_two() -> None:
    u_shape = Polygon([(0, 0), (40, 0), (40, 60), (30, 60), (30, 10), (10, 10), (10, 60), (0, 60)])
    moved = shapely.transform(u_shape, lambda xy: np.add(xy, (X0 + 20, Y0 + 80)))
    base = town(300, 300)
    city = CityMap(
        "u", base.crs, (Building(moved, 9.0, "tag"),), base.roads, base.bounds, PROVENANCE
    )
    scene = cut_scene(city, tile_at(0, 100), GRID)
    assert sorted(b.polygon.bounds for b in scene.buildings) == [(20, 0, 30, 40), (50, 0, 60, 40)]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_tile_edges_change_no_road_pixel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # From one circle about the tile to another, so that many run just outside an edge.
    angles = rng.uniform(0, 2 * np.pi, (8, 2))
    ends = 50 + 300 * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    along = LineString([(-200, -3), (300, -3)]), LineString([(102, -200), (104, 300)])
    lines = [LineString(pair) for pair in ends] + list(along)
    widths = rng.uniform(1.5, 20, len(lines))
    base = town(300, 300)
    city = CityMap(
        "streets",
        base.crs,
        (),
        tuple(
            Road(shapely.transform(line, lambda xy: np.add(xy, (X0, Y0))), width, "tag", "primary")
            for line, width in zip(lines, widths, strict=True)
        ),
        base.bounds,
        PROVENANCE,
    )
    scene = cut_scene(city, tile_at(0, 0), GRID)
    x, y = np.meshgrid(GRID.x_centres() + SAMPLE_EAST_M, GRID.y_centres() + SAMPLE_NORTH_M)
    beyond = shapely.distance(shapely.points(x, y)[..., None], lines) - widths / 2
    decided = np.abs(beyond).min(-1) > 0.002  # scenes are rounded to the millimetre
    np.testing.assert_array_equal(road_mask(scene)[decided], (beyond < 0).any(-1)[decided])
    inside = sum(shapely.clip_by_rect(line, 0, 0, 100, 100).length for line in lines)
    assert road_length_m(scene) == pytest.approx(inside, abs=0.05)
    for road in scene.roads:
        reach = road.width_m / 2 + 0.001
        assert shapely.box(-reach, -reach, 100 + reach, 100 + reach).covers(road.shape)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_millimetres_keep_polygons_valid_and_scenes_survive_their_file(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spikes = shapely.union_all(
        [Polygon(rng.normal(50, 40, (3, 2)) * (1, rng.choice([1, 1e-3]))) for _ in range(5)]
    )
    parts = [p for p in shapely.get_parts(spikes) if p.area > 0]
    base = town(300, 300)
    city = CityMap(
        "spikes",
        base.crs,
        tuple(
            Building(shapely.transform(p, lambda xy: np.add(xy, (X0, Y0))), 9.0, "tag")
            for p in parts
        ),
        base.roads,
        base.bounds,
        PROVENANCE,
    )
    scene = cut_scene(city, tile_at(0, 0), GRID)
    again = Scene.from_dict(scene.to_dict())
    assert all(building.polygon.is_valid for building in again.buildings)
    np.testing.assert_array_equal(building_mask(again), building_mask(scene))
