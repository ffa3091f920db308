"""Nine true city extracts, against geometry put together without GEOS, GDAL or area assembly."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import osmium
import pytest
import shapely
from pyproj import Transformer

from rmtools.city.citymap import CityMap
from rmtools.city.extract import read_extract
from rmtools.city.policy import classify_building
from rmtools.city.rasters import (
    SAMPLE_EAST_M,
    SAMPLE_NORTH_M,
    building_height,
    building_mask,
    road_mask,
    touched_mask,
)
from rmtools.city.tiles import TileRules, choose_tiles, cut_scene
from rmtools.grid import Grid
from rmtools.scene import Scene

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.types import BoolArray, FloatArray

# Tiles of 256 m at a stride of 256 m and of 128 m that lie fully in the data; building ways with a
# role other than inner in a building relation; courtyard pixels there are at least.
EXPECTED = {
    "berlin_kreuzberg": (2, 6, 0, 200),
    "berlin_mitte_nord": (2, 4, 0, 1),
    "berlin_mitte_sued": (9, 30, 0, 15000),
    "boston_beaconhill": (0, 0, 0, 0),
    "helsinki_center": (18, 66, 2, 10000),
    "london_city": (25, 81, 3, 9000),
    "munich_center": (25, 90, 0, 33000),
    "nyc_greenwich": (8, 32, 0, 500),
    "paris_9e": (3, 10, 0, 4000),
}
EVERY = TileRules(margin_m=0, min_building_share=0, max_building_share=1, min_road_m=0)

Ring = list[int]


@pytest.fixture(scope="module", params=sorted(EXPECTED))
def extract(request: pytest.FixtureRequest, reference_data: Path) -> Path:
    return reference_data / "osm" / f"{request.param}.osm.pbf"


@pytest.fixture(scope="module")
def city(extract: Path) -> CityMap:
    return read_extract(extract)


@pytest.fixture(scope="module")
def scenes(city: CityMap) -> list[Scene]:
    return [cut_scene(city, t, Grid()) for t in choose_tiles(city, Grid(), EVERY, 0).accepted]


def test_number_of_tiles(city: CityMap) -> None:
    whole, half, *_ = EXPECTED[city.name]
    assert len(choose_tiles(city, Grid(), EVERY, 0).accepted) == whole
    bare = CityMap(city.name, city.crs, (), (), city.bounds, city.provenance)
    overlapping = EVERY.model_copy(update={"stride_m": 128.0})
    assert len(choose_tiles(bare, Grid(), overlapping, 0).accepted) == half


def test_what_was_read_makes_sense(city: CityMap) -> None:
    assert all(building.polygon.is_valid for building in city.buildings)
    assert all(0 < building.height_m <= 400 for building in city.buildings)
    assert all(road.shape.is_valid and 0 <= road.width_m <= 60 for road in city.roads)
    assert city.notes["outer_ways_dropped"] == EXPECTED[city.name][2]
    sources = [building.height_source for building in city.buildings]
    for source in set(sources):
        assert city.notes[f"heights_from_{source}"] == sources.count(source)


def test_scenes_survive_their_file(scenes: list[Scene]) -> None:
    for scene in scenes[::3]:
        again = Scene.from_dict(scene.to_dict())
        assert all(building.polygon.is_valid for building in again.buildings)
        assert again.digest() == scene.digest()
        np.testing.assert_array_equal(building_mask(again), building_mask(scene))


def test_rasters_agree_with_each_other(scenes: list[Scene]) -> None:
    for scene in scenes[::3]:
        mask = building_mask(scene)
        np.testing.assert_array_equal(mask, ~np.isnan(building_height(scene)))
        assert not (mask & ~touched_mask(scene)).any()
        assert not (mask & road_mask(scene)).any()


def test_every_building_and_courtyard_pixel_agrees_with_the_oracle(
    extract: Path, city: CityMap, scenes: list[Scene]
) -> None:
    oracle = Oracle.read(extract, city.crs)
    assert oracle.double_tagged == EXPECTED[city.name][2]
    courtyard_pixels = 0
    for scene in scenes:
        solid, parts, courtyards = oracle.rasters(scene)
        mask = building_mask(scene)
        courtyard_pixels += int(courtyards.sum())
        strays = (solid & ~mask) | (mask & ~solid & ~parts) | (mask & courtyards)
        # Scenes are rounded to the millimetre: only a pixel centre so close to a wall may differ.
        x, y = scene.grid.centre(*np.nonzero(strays))
        points = shapely.points(x + SAMPLE_EAST_M, y + SAMPLE_NORTH_M)
        walls = np.array([building.polygon.boundary for building in scene.buildings])
        assert (shapely.distance(points[:, None], walls).min(1, initial=np.inf) < 0.001).all(), (
            scene.name
        )
        assert strays.sum() <= 5, scene.name
    assert courtyard_pixels >= EXPECTED[city.name][3]


@dataclass
class Oracle:
    """Buildings as rings of node ids, linked by hand and filled by crossing numbers."""

    nodes: dict[int, tuple[float, float]] = field(default_factory=dict)
    outlines: list[list[FloatArray]] = field(default_factory=list)
    parts: list[list[FloatArray]] = field(default_factory=list)
    double_tagged: int = 0

    @classmethod
    def read(cls, path: Path, crs: str) -> Oracle:
        oracle = cls()
        transform = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform
        ways: dict[int, tuple[dict[str, str], Ring]] = {}
        replaced: set[int] = set()
        relations: list[tuple[dict[str, str], list[tuple[int, str]]]] = []
        for item in osmium.FileProcessor(path):
            if item.is_node():
                oracle.nodes[item.id] = transform(item.lon, item.lat)
            elif item.is_way():
                ways[item.id] = (dict(item.tags), [node.ref for node in item.nodes])
            elif item.tags.get("type") == "multipolygon":
                members = [(m.ref, m.role) for m in item.members if m.type == "w"]
                relations.append((dict(item.tags), members))
        for tags, members in relations:
            if not is_building(tags) or any(ref not in ways for ref, _ in members):
                continue
            rings = link([ways[ref][1] for ref, _ in members])
            if rings is not None and all(oracle.knows(ring) for ring in rings):
                oracle.add(tags, rings)
                if "building" in tags:
                    replaced |= {ref for ref, role in members if role != "inner"}
        for way, (tags, ring) in ways.items():
            if is_building(tags) and way in replaced:
                oracle.double_tagged += "building" in tags
            elif is_building(tags) and len(ring) > 3 and ring[0] == ring[-1] and oracle.knows(ring):
                oracle.add(tags, [ring])
        return oracle

    def knows(self, ring: Ring) -> bool:
        return all(node in self.nodes for node in ring)

    def add(self, tags: dict[str, str], rings: list[Ring]) -> None:
        outcome = classify_building(tags).outcome
        if outcome != "drop":
            points = [np.array([self.nodes[node] for node in ring]) for ring in rings]
            (self.parts if outcome == "part" else self.outlines).append(points)

    def rasters(self, scene: Scene) -> tuple[BoolArray, BoolArray, BoolArray]:
        """Pixels of outlines, of parts, and of courtyards in which nothing else stands."""
        solid, parts, filled = (np.zeros(scene.grid.shape, bool) for _ in range(3))
        for outlines, burned in ((self.outlines, solid), (self.parts, parts)):
            for rings in outlines:
                odd = np.zeros(scene.grid.shape, bool)
                for inside in (fill(scene, ring) for ring in rings if near(scene, ring)):
                    odd ^= inside  # the even-odd rule: which rings are inner does not matter
                    filled |= inside
                np.logical_or(burned, odd, out=burned)
        return solid, parts, filled & ~solid & ~parts


def near(scene: Scene, ring: FloatArray) -> bool:
    """Whether the box around a ring meets the scene."""
    corner = np.array([scene.frame.easting_m, scene.frame.northing_m])
    size = scene.grid.size_m
    return bool((ring.max(0) >= corner).all() and (ring.min(0) <= corner + size).all())


def fill(scene: Scene, ring: FloatArray) -> BoolArray:
    """Crossing-number test of a ring at every sampling point."""
    odd = np.zeros(scene.grid.shape, bool)
    xs = scene.grid.x_centres() + SAMPLE_EAST_M + scene.frame.easting_m
    ys = scene.grid.y_centres() + SAMPLE_NORTH_M + scene.frame.northing_m
    for (x1, y1), (x2, y2) in pairwise(ring):
        rows = np.flatnonzero((ys >= y1) != (ys >= y2))
        if len(rows):
            crossing = x1 + (ys[rows] - y1) * (x2 - x1) / (y2 - y1)
            odd[rows] ^= xs[None, :] < crossing[:, None]
    return odd


def is_building(tags: dict[str, str]) -> bool:
    return "building" in tags or "building:part" in tags


def link(lines: list[Ring]) -> list[Ring] | None:
    """Join member ways end to end into closed rings; None when an end stays loose."""
    rings = [line for line in lines if line and line[0] == line[-1]]
    loose = [line for line in lines if line and line[0] != line[-1]]
    while loose:
        ring = loose.pop()
        while ring[0] != ring[-1]:
            follower = next((line for line in loose if ring[-1] in (line[0], line[-1])), None)
            if follower is None:
                return None
            loose.remove(follower)
            ring = ring + (follower if follower[0] == ring[-1] else follower[::-1])[1:]
        rings.append(ring)
    return rings or None
