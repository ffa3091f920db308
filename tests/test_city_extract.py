"""Every trap of OpenStreetMap data, drawn by hand in a tiny file."""

from __future__ import annotations

import bz2
import gzip
from typing import TYPE_CHECKING

import pytest
import shapely
from osm_xml import CRS, ORIGIN, Drawing, square
from shapely.affinity import translate
from shapely.geometry import Point

from rmtools.city.extract import read_extract
from rmtools.city.heights import HeightRules

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rmtools.city.citymap import CityMap

CENTIMETRES = 0.02  # OSM stores 1e-7 degrees


@pytest.fixture
def drawing() -> Drawing:
    """A street and a house, to which a test adds its trap."""
    drawing = Drawing()
    drawing.street()
    drawing.house()
    return drawing


@pytest.fixture
def read(tmp_path: Path, drawing: Drawing) -> Callable[..., CityMap]:
    return lambda **options: read_extract(drawing.write(tmp_path / "Tiny Town.osm"), **options)


def solid_at(city: CityMap, x: float, y: float) -> bool:
    point = Point(ORIGIN[0] + x, ORIGIN[1] + y)
    return any(building.polygon.contains(point) for building in city.buildings)


def height_at(city: CityMap, x: float, y: float) -> float:
    point = Point(ORIGIN[0] + x, ORIGIN[1] + y)
    return max(b.height_m for b in city.buildings if b.polygon.contains(point))


def test_a_plain_file(read: Callable[..., CityMap]) -> None:
    city = read()
    assert (city.name, city.crs) == ("tiny_town", CRS)
    house = translate(city.buildings[0].polygon, -ORIGIN[0], -ORIGIN[1])
    assert house.hausdorff_distance(shapely.box(350, 350, 360, 360)) < CENTIMETRES
    assert city.roads[0].shape.length == pytest.approx(360, abs=CENTIMETRES)
    assert [b - o for b, o in zip(city.bounds, ORIGIN * 2, strict=True)] == pytest.approx(
        [0, 0, 400, 400], abs=0.05
    )
    assert city.notes["area_from"] == "header"
    assert city.provenance.date == "2021-05-03T00:00:00Z"
    assert city.provenance.licence == "ODbL-1.0"
    assert len(city.provenance.sha256) == 64


def test_every_format_gives_the_same_city(drawing: Drawing, tmp_path: Path) -> None:
    import osmium

    plain = drawing.write(tmp_path / "a.osm")
    (tmp_path / "a.osm.gz").write_bytes(gzip.compress(plain.read_bytes()))
    (tmp_path / "a.osm.bz2").write_bytes(bz2.compress(plain.read_bytes()))
    header = osmium.io.Header()
    header.add_box(osmium.FileProcessor(plain).header.box())
    with osmium.SimpleWriter(str(tmp_path / "a.osm.pbf"), header=header) as writer:
        for entity in osmium.FileProcessor(plain):
            writer.add(entity)
    cities = [read_extract(tmp_path / f"a.osm{end}") for end in ("", ".gz", ".bz2", ".pbf")]
    for city in cities[1:]:
        assert city.buildings == cities[0].buildings
        assert city.roads == cities[0].roads
        assert city.bounds == cities[0].bounds
        assert city.provenance.date == cities[0].provenance.date


def test_without_a_header_box_the_nodes_say_where_data_is(tmp_path: Path) -> None:
    drawing = Drawing(bounds=False)
    drawing.street()
    drawing.house()
    city = read_extract(drawing.write(tmp_path / "a.osm"))
    assert city.notes["area_from"] == "nodes"
    assert city.bounds[2] - city.bounds[0] == pytest.approx(400, abs=0.1)


def test_courtyard_stays_open(drawing: Drawing, read: Callable[..., CityMap]) -> None:
    outer, inner = drawing.way(square(100, 100, 60)), drawing.way(square(120, 120, 20))
    drawing.relation([(outer, "outer"), (inner, "inner")], building="yes")
    city = read()
    assert solid_at(city, 110, 110)
    assert not solid_at(city, 130, 130)


def test_double_tagged_outer_way_does_not_refill_the_courtyard(
    drawing: Drawing, read: Callable[..., CityMap]
) -> None:
    outer = drawing.way(square(100, 100, 60), building="yes")
    inner = drawing.way(square(120, 120, 20))
    drawing.relation([(outer, "outer"), (inner, "inner")], building="yes")
    city = read()
    assert not solid_at(city, 130, 130)
    assert solid_at(city, 110, 110)
    assert city.notes["outer_ways_dropped"] == 1


def test_two_touching_double_tagged_outer_ways(
    drawing: Drawing, read: Callable[..., CityMap]
) -> None:
    west = drawing.way(square(100, 100, 60), building="yes")
    east = drawing.way(square(160, 100, 60), building="yes")
    inner = drawing.way(square(120, 120, 20))
    drawing.relation([(west, "outer"), (east, "outer"), (inner, "inner")], building="yes")
    city = read()
    assert not solid_at(city, 130, 130)
    assert solid_at(city, 190, 130)
    assert city.notes["outer_ways_dropped"] == 2


def test_house_in_a_courtyard_stays(drawing: Drawing, read: Callable[..., CityMap]) -> None:
    outer = drawing.way(square(100, 100, 60))
    inner = drawing.way(square(120, 120, 20), building="yes", height="7")
    drawing.relation([(outer, "outer"), (inner, "inner")], building="yes")
    city = read()
    assert height_at(city, 130, 130) == 7.0
    assert city.notes["outer_ways_dropped"] == 0


def test_neighbour_along_an_outer_ring_stays(
    drawing: Drawing, read: Callable[..., CityMap]
) -> None:
    outer, inner = drawing.way(square(100, 100, 60)), drawing.way(square(120, 120, 20))
    drawing.relation([(outer, "outer"), (inner, "inner")], building="yes")
    drawing.way([(160, 100), (161, 100), (161, 160), (160, 160), (160, 100)], building="yes")
    assert solid_at(read(), 160.5, 130)


def test_incomplete_relation_is_skipped_and_counted(
    drawing: Drawing, read: Callable[..., CityMap]
) -> None:
    outer = drawing.way([(100, 100), (160, 100), (160, 160)])
    drawing.relation([(outer, "outer"), (987654, "outer")], building="yes")
    city = read()
    assert not solid_at(city, 150, 110)
    assert city.notes["relations_skipped"] == 1


def test_relation_whose_rings_make_no_area_is_skipped_and_counted(
    drawing: Drawing, read: Callable[..., CityMap]
) -> None:
    outer = drawing.way([(100, 100), (140, 140), (140, 100), (100, 140), (100, 100)])
    drawing.relation([(outer, "outer")], building="yes")
    open_way = drawing.way([(200, 100), (240, 100)])
    drawing.relation([(open_way, "outer")], building="yes")
    city = read()
    assert len(city.buildings) == 1
    assert city.notes["relations_skipped"] == 2


def test_old_style_multipolygon(drawing: Drawing, read: Callable[..., CityMap]) -> None:
    outer = drawing.way(square(100, 100, 60), building="yes", height="9")
    inner = drawing.way(square(120, 120, 20))
    drawing.relation([(outer, "outer"), (inner, "inner")], source="survey")
    city = read()
    assert not solid_at(city, 130, 130)
    assert height_at(city, 110, 110) == 9.0
    assert city.notes["relations_old_style"] == 1


def test_parts_count_only_where_there_is_no_outline(
    drawing: Drawing, read: Callable[..., CityMap]
) -> None:
    drawing.way(square(100, 100, 60), building="yes", height="9")
    drawing.way(square(110, 110, 10), building__part="yes", height="30")
    drawing.way(square(200, 200, 10), building__part="yes", height="30")
    city = read()
    assert height_at(city, 115, 115) == 9.0
    assert height_at(city, 205, 205) == 30.0
    assert (city.notes["parts_ignored"], city.notes["parts_as_buildings"]) == (1, 1)


def test_part_that_is_the_outer_ring_does_not_refill_the_courtyard(
    drawing: Drawing, read: Callable[..., CityMap]
) -> None:
    outer = drawing.way(square(100, 100, 60), building__part="yes")
    inner = drawing.way(square(105, 105, 50))  # the walls cover less than half of the part
    drawing.relation([(outer, "outer"), (inner, "inner")], building="yes")
    city = read()
    assert not solid_at(city, 130, 130)
    assert city.notes["parts_ignored"] == 1


@pytest.mark.parametrize(
    ("row", "tags"),
    [
        ("roof", {"building": "roof"}),
        ("unfinished", {"building": "construction"}),
        ("raised", {"building": "yes", "min_height": "4 m"}),
        ("underground", {"building": "yes", "location": "underground"}),
    ],
)
def test_what_is_no_wall_is_left_out_and_counted(
    drawing: Drawing, read: Callable[..., CityMap], row: str, tags: dict[str, str]
) -> None:
    drawing.way(square(100, 100, 60), **tags)
    city = read()
    assert not solid_at(city, 130, 130)
    assert city.notes[f"buildings_dropped_{row}"] == 1


def test_heights_come_from_where_they_say(drawing: Drawing, read: Callable[..., CityMap]) -> None:
    drawing.way(square(100, 100, 20), building="yes", height="40'")
    drawing.way(square(200, 100, 20), building="yes", building__levels="4", roof__levels="1")
    city = read(heights=HeightRules(default_m=8.0))
    found = sorted((round(b.height_m, 3), b.height_source) for b in city.buildings)
    assert found == [(8.0, "default"), (12.192, "tag"), (15.0, "levels")]
    assert [city.notes[f"heights_from_{s}"] for s in ("tag", "levels", "default")] == [1, 1, 1]


def test_squares_passages_and_tunnels(drawing: Drawing, read: Callable[..., CityMap]) -> None:
    drawing.way(square(100, 100, 60), highway="service", area="yes")
    drawing.way([(50, 200), (50, 300)], highway="service", tunnel="building_passage")
    drawing.way([(80, 200), (80, 300)], highway="primary", tunnel="yes")
    city = read()
    squares = [road for road in city.roads if road.width_source == "area"]
    assert [road.shape.area for road in squares] == pytest.approx([3600], rel=1e-3)
    assert len(city.roads) == 3
    assert city.notes["roads_dropped_tunnel"] == 1


def test_roundabout_stays_a_line(drawing: Drawing, read: Callable[..., CityMap]) -> None:
    drawing.way(square(100, 100, 60), highway="primary", junction="roundabout")
    ring = next(road.shape for road in read().roads if road.kind == "primary")
    assert (ring.geom_type, ring.length) == ("LineString", pytest.approx(240, abs=0.1))


def test_bow_tie_becomes_two_valid_triangles(
    drawing: Drawing, read: Callable[..., CityMap]
) -> None:
    drawing.way([(100, 100), (140, 140), (140, 100), (100, 140), (100, 100)], building="yes")
    city = read()
    assert all(building.polygon.is_valid for building in city.buildings)
    assert sum(b.polygon.area for b in city.buildings) == pytest.approx(100 + 800, rel=1e-3)
    assert city.notes["polygons_repaired"] == 1


def test_degenerate_ways_are_counted_not_drawn(
    drawing: Drawing, read: Callable[..., CityMap]
) -> None:
    drawing.way([(100, 100), (140, 100), (140, 140)], building="yes")  # not closed
    drawing.way([(100, 100), (140, 100), (100, 100), (100, 100)], building="yes")  # no area
    drawing.way(square(200, 200, 20)[:4], lost=1, building="yes")  # clipped
    drawing.way([], building="yes")
    drawing.way([(9, 9)], highway="residential")
    drawing.way([], highway="residential")
    drawing.way([(7, 7), (7, 7)], highway="residential")
    drawing.way([(20, 90), (90, 90)], lost=2, highway="tertiary")
    city = read()
    assert len(city.buildings) == 1
    assert sorted(road.kind for road in city.roads) == ["residential", "tertiary"]
    assert city.notes["building_ways_unclosed"] == 1
    assert city.notes["building_ways_incomplete"] == 2
    assert city.notes["road_ways_incomplete"] == 2
    assert city.notes["degenerate_geometries"] == 2


def test_duplicate_nodes_are_harmless(drawing: Drawing, read: Callable[..., CityMap]) -> None:
    corners = square(100, 100, 60)
    drawing.way([corners[0], corners[0], *corners[1:]], building="yes")
    drawing.way([(50, 200), (50, 200), (50, 300)], highway="service")
    city = read()
    assert solid_at(city, 130, 130)
    assert all(len(road.shape.coords) == 2 for road in city.roads)


def test_road_with_a_gap_becomes_two(drawing: Drawing, tmp_path: Path) -> None:
    drawing.way([(50, 200), (50, 220), (50, 240), (50, 260), (50, 280)], highway="service")
    gone = f'<node id="{drawing.nodes[50, 240]}"'
    drawing.lines["node"] = [line for line in drawing.lines["node"] if not line.startswith(gone)]
    city = read_extract(drawing.write(tmp_path / "a.osm"))
    pieces = [road.shape.length for road in city.roads if road.kind == "service"]
    assert pieces == pytest.approx([20, 20], abs=CENTIMETRES)
