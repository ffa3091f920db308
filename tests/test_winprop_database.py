"""Building databases: geopandas reads back what the scene holds, cut as WinProp needs it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import geopandas
import numpy as np
import shapely
from fakes_store import make_scene, make_tracks
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Polygon, box

from rmtools.files import sha256_tree
from rmtools.radio.solver import Obstacles
from rmtools.scene import Building
from rmtools.winprop.database import oda_text, prisms, without_courtyards, write_shapefile

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.scene import Scene

N = 48


def with_courtyard() -> Scene:
    """A scene whose first house has two courtyards, one of them round."""
    scene = make_scene(0, N)
    first = scene.buildings[0]
    west, south, east, north = first.polygon.bounds
    ring = first.polygon - box(west + 1, south + 1, west + 4, north - 1)
    ring -= shapely.Point(east - 4, south + 5).buffer(2)
    houses = (Building(ring, first.height_m, "tag"), *scene.buildings[1:])
    return type(scene)(scene.name, scene.frame, houses, scene.roads, scene.provenance)


def test_geopandas_reads_the_same_polygons_back(tmp_path: Path) -> None:
    scene, tracks = with_courtyard(), make_tracks(1, N)
    obstacles = Obstacles(tracks.outlines(3), tracks.size.height_m)
    found = prisms(scene, obstacles)
    write_shapefile(tmp_path / "buildings.shp", found)
    table = geopandas.read_file(tmp_path / "buildings.shp")
    assert len(table) == len(found)
    for prism, (_, row) in zip(found, table.iterrows(), strict=True):
        assert row.geometry.normalize().equals_exact(prism.polygon.normalize(), 0)
        assert (row["HEIGHT_M"], row["KIND"], row["ID"]) == (
            prism.height_m,
            prism.kind,
            prism.source,
        )
        assert not row.geometry.interiors
    for index, building in enumerate(scene.buildings):
        mine = table[(table["KIND"] == "building") & (table["ID"] == index)]
        joined = shapely.union_all(mine.geometry.to_numpy())
        assert abs(mine.area.sum() - building.polygon.area) < 1e-6
        assert joined.symmetric_difference(building.polygon).area < 1e-6
        assert set(mine["HEIGHT_M"]) == {building.height_m}
    cars = table[table["KIND"] == "vehicle"]
    assert np.allclose(cars.area, 8.0, atol=1e-9)
    assert len(cars) == 3
    assert (table.total_bounds >= 0).all()
    assert (table.total_bounds <= N).all()


def test_the_same_prisms_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_shapefile(tmp_path / name / "buildings.shp", prisms(with_courtyard()))
    assert sha256_tree(tmp_path / "a") == sha256_tree(tmp_path / "b")


def test_what_leaves_the_tile_is_cut_off() -> None:
    scene = make_scene(0, N)
    beyond = np.array([[[-2, 3], [2, 3], [2, 5], [-2, 5]], [[50, 3], [54, 3], [54, 5], [50, 5]]])
    cars = [p for p in prisms(scene, Obstacles(beyond.astype(float))) if p.kind == "vehicle"]
    assert [car.polygon.bounds for car in cars] == [(0, 3, 2, 5)]


def test_an_empty_scene_gives_an_empty_shapefile(tmp_path: Path) -> None:
    scene = make_scene(0, N)
    bare = type(scene)(scene.name, scene.frame, (), scene.roads, scene.provenance)
    write_shapefile(tmp_path / "buildings.shp", prisms(bare))
    assert len(geopandas.read_file(tmp_path / "buildings.shp")) == 0


@given(
    st.tuples(st.integers(20, 60), st.integers(20, 60)),
    st.lists(st.tuples(*[st.floats(1, 50)] * 2, st.floats(0.5, 12), st.floats(0, 90)), max_size=6),
)
def test_courtyards_are_cut_without_loss(
    size: tuple[int, int], holes: list[tuple[float, float, float, float]]
) -> None:
    outline = box(0, 0, *size)
    for x, y, side, angle in holes:
        outline -= shapely.affinity.rotate(box(x, y, x + side, y + side / 2), angle)
    for polygon in (p for p in shapely.get_parts(outline) if p.area > 0.01):
        pieces = without_courtyards(polygon)
        assert all(isinstance(piece, Polygon) and piece.is_valid for piece in pieces)
        assert not any(len(piece.interiors) for piece in pieces)
        assert abs(sum(piece.area for piece in pieces) - polygon.area) < 1e-6
        assert shapely.union_all(pieces).symmetric_difference(polygon).area < 1e-6


def test_oda_text_says_what_the_shapefile_says() -> None:
    found = prisms(with_courtyard())
    text = oda_text(found, float(N))
    assert text.isascii()
    assert "\n" not in text.replace("\r\n", "")
    lines = text.split("\r\n")
    assert [line[0] for line in lines[:5]] == ["*"] * 5
    assert "EXPERIMENTAL" in text
    assert lines[5].split()[:6] == ["SETTINGS", str(len(found)), "0", "0", "48.000", "48.000"]
    rows = lines[lines.index("BEGIN_BUILDINGS") + 1 : lines.index("END_BUILDINGS")]
    assert len(rows) == len(found)
    for prism, row in zip(found, rows, strict=True):
        # read as the two parsers that are known do
        words = row.split()
        count = int(words[1])
        corners = [
            (float(words[2 + 2 * i].removesuffix(",")), float(words[3 + 2 * i]))
            for i in range(count)
        ]
        assert Polygon(corners).normalize().equals_exact(prism.polygon.normalize(), 0.0006)
        assert float(words[2 + 2 * count]) == float(words[-3]) == prism.height_m
        assert re.fullmatch(r"[-\d., ]+", row)
