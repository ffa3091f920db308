"""Scenes survive the way to disk and back."""

from pathlib import Path

import pytest
from shapely.geometry import LineString, Polygon, box

from rmtools.errors import InputError
from rmtools.files import read_json, write_json
from rmtools.scene import Building, Frame, Provenance, Road, Scene

PROVENANCE = Provenance(
    source="x.osm.pbf",
    reader="osm-extract",
    sha256="0" * 64,
    date="2019-04-21T00:00:00Z",
    licence="ODbL-1.0",
    attribution="© OpenStreetMap contributors, ODbL 1.0",
)


def make() -> Scene:
    courtyard = Polygon(box(10, 10, 50, 50).exterior, [box(20, 20, 40, 40).exterior])
    return Scene(
        "x_r00_c00",
        Frame(n=64, resolution_m=1.0, crs="EPSG:32635", easting_m=4e5, northing_m=6.6e6),
        (Building(courtyard, 21.5, "tag"), Building(box(55.1234567, 1, 60, 5), 15.0, "default")),
        (
            Road(LineString([(0, 5), (64, 5)]), 6.5, "lanes", "residential"),
            Road(box(1, 55, 20, 60), 0.0, "area", "pedestrian"),
        ),
        PROVENANCE,
        {"heights_default": 1},
    )


def test_round_trip_keeps_everything_to_the_millimetre(tmp_path: Path) -> None:
    scene = make()
    scene.write(tmp_path / "s.json")
    back = Scene.read(tmp_path / "s.json")
    assert back.digest() == scene.digest()
    assert len(back.buildings[0].polygon.interiors) == 1
    assert back.buildings[1].polygon.bounds[0] == 55.123
    assert (back.frame, back.provenance, back.notes) == (scene.frame, PROVENANCE, scene.notes)
    assert [road.kind for road in back.roads] == ["residential", "pedestrian"]
    back.write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "s.json").read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.pop("rmtools"),
        lambda d: d["rmtools"].update(unknown=1),
        lambda d: d["rmtools"]["frame"].update(n=10**9),
        lambda d: d["features"][0]["properties"].pop("height_m"),
        lambda d: d["features"][0].update(geometry={"type": "Polygon", "coordinates": "x"}),
        lambda d: d.update(features=3),
    ],
)
def test_a_damaged_scene_file_is_named(tmp_path: Path, damage) -> None:
    make().write(tmp_path / "s.json")
    data = read_json(tmp_path / "s.json")
    damage(data)
    write_json(tmp_path / "s.json", data)
    with pytest.raises(InputError, match=r"s\.json: not a scene file"):
        Scene.read(tmp_path / "s.json")
