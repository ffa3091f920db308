"""From the sources of a recipe to scenes, for those that need no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes import make_seer_folder
from osm_xml import Drawing, square

from rmtools.city import sources
from rmtools.city.config import CityConfig
from rmtools.data import helsinki_path
from rmtools.errors import InputError, RecipeError
from rmtools.files import sha256_file
from rmtools.grid import Grid

ANY_TILE = {"min_building_share": 0.0, "min_road_m": 0.0}


def town(folder: Path, name: str = "town.osm") -> Path:
    """An extract with room for one tile of 256 m."""
    drawing = Drawing()
    drawing.street()
    drawing.way(square(200, 200, 40), building="yes")
    folder.mkdir(exist_ok=True)
    return drawing.write(folder / name)


def config(*names: object, **options: Any) -> CityConfig:
    return CityConfig.model_validate(
        {"source": [str(name) for name in names], "tiles": ANY_TILE, **options}
    )


def test_scenes_come_in_the_order_of_the_sources(tmp_path: Path) -> None:
    seer = make_seer_folder(tmp_path / "seer", maps=(4, 2))
    wanted = config(f"seer:{seer}", town(tmp_path), road_width_m=7.0)
    scenes, reports = sources.build_scenes(wanted, Grid(), 0)
    assert [scene.name for scene in scenes] == ["map_2", "map_4", "town_r00_c00"]
    assert {road.width_m for road in scenes[0].roads} == {7.0}
    assert [len(report.scenes) for report in reports] == [2, 1]
    assert str(tmp_path) not in str(reports)


def test_scenes_of_the_same_name_are_refused(tmp_path: Path) -> None:
    one, other = town(tmp_path / "a"), town(tmp_path / "b")
    with pytest.raises(RecipeError, match=r"1 scene names.*town_r00_c00.*different file names"):
        sources.build_scenes(config(one, other), Grid(), 0)
    seer = make_seer_folder(tmp_path / "seer", maps=(0,))
    with pytest.raises(RecipeError, match="map_0"):
        sources.build_scenes(config(f"seer:{seer}", maps=[0, 0]), Grid(), 0)


def test_no_tile_at_all_says_why(tmp_path: Path) -> None:
    strict = config(town(tmp_path), tiles={"min_building_share": 0.5})
    with pytest.raises(RecipeError, match=r"building share 0\.\d+ < 0\.5.*Relax city\.tiles"):
        sources.build_scenes(strict, Grid(), 0)


def test_seer_maps_have_one_grid(tmp_path: Path) -> None:
    seer = make_seer_folder(tmp_path, maps=(0,))
    with pytest.raises(RecipeError, match="256 pixels of 1 m"):
        sources.build_scenes(config(f"seer:{seer}"), Grid(128), 0)


def test_a_source_is_known_by_its_content_not_by_its_folder(tmp_path: Path) -> None:
    one, other = town(tmp_path / "a"), town(tmp_path / "b")
    assert sources.identify(str(one), None) == sources.identify(str(other), None)
    other.write_text(other.read_text() + "\n")
    assert sources.identify(str(one), None) != sources.identify(str(other), None)
    demo = sources.identify("demo", None)
    assert demo == {"extract": "helsinki.osm.pbf", "sha256": sha256_file(helsinki_path())}
    assert sources.identify("place:Kallio", None) == {"query": "place:Kallio"}
    seer = make_seer_folder(tmp_path / "seer", maps=(0, 3))
    every, first = sources.identify(f"seer:{seer}", None), sources.identify(f"seer:{seer}", [0])
    assert (every["ids"], first["ids"]) == ([0, 3], [0])
    assert every["seer"] != first["seer"]


def test_a_missing_extract_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.osm\.pbf: no such extract.*place:NAME"):
        sources.identify(str(tmp_path / "none.osm.pbf"), None)


def test_downloads_are_asked_for_with_the_options_of_the_recipe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[object, dict[str, Any]]] = []
    for name in ("read_place", "read_bbox"):
        monkeypatch.setattr(
            f"rmtools.city.place.{name}", lambda what, **options: asked.append((what, options))
        )
    wanted = config("place:Kallio", cache="kept", contact="me@example.org")
    sources.read_city("place:Kallio", wanted)
    sources.read_city("bbox:24.9,60.1,25,60.2", wanted)
    options = {"heights": wanted.heights, "cache": Path("kept"), "contact": "me@example.org"}
    assert asked == [("Kallio", options), ((24.9, 60.1, 25.0, 60.2), options)]


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,x", "1,2,3,4,5"])
def test_boxes_have_four_numbers(text: str) -> None:
    with pytest.raises(RecipeError, match="WEST,SOUTH,EAST,NORTH"):
        sources.read_city(f"bbox:{text}", config(f"bbox:{text}"))
