"""Downloads from OpenStreetMap's servers, which here stand on this machine."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely
from fakes_osm import OsmServer, compact, overpass_json
from osmnx import settings

import rmtools
from rmtools.city.areas import project
from rmtools.city.extract import read_extract
from rmtools.city.place import read_bbox, read_place
from rmtools.city.rasters import building_mask, road_mask
from rmtools.city.servers import Servers, user_agent
from rmtools.city.tiles import Tile, cut_scene
from rmtools.data import helsinki_path, make_helsinki
from rmtools.errors import InputError, MissingError, RecipeError
from rmtools.files import sha256_tree
from rmtools.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rmtools.city.citymap import CityMap
    from rmtools.scene import Scene

STORED = Path(__file__).parent / "data" / "overpass"
BBOX = (24.9464, 60.17, 24.9491, 60.17135)
OVERPASS = "/api/interpreter"
SEARCH = "/search"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OsmServer]:
    """Both services, answering for 150 m of Helsinki; nobody sleeps."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    fake = OsmServer(
        overpass=(STORED / "helsinki_150m.json").read_bytes(),
        nominatim=(STORED / "place_area.json").read_bytes(),
    )
    with fake.running():
        yield fake


def servers(fake: OsmServer, **changes: Any) -> Servers:
    return Servers(overpass=f"{fake.url}/api", nominatim=fake.url, **changes)


def centre_scene(city: CityMap, n: int = 128) -> Scene:
    """The scene in the middle of the box."""
    x, y = shapely.get_coordinates(project(shapely.box(*BBOX).centroid, city.crs))[0]
    tile = Tile(name="t", row=0, col=0, easting_m=round(x) - n / 2, northing_m=round(y) - n / 2)
    return cut_scene(city, tile, Grid(n))


def test_stored_answer_is_still_what_the_demo_extract_gives() -> None:
    stored = (STORED / "helsinki_150m.json").read_bytes()
    assert stored == compact(overpass_json(helsinki_path(), BBOX))


# --- what is read -----------------------------------------------------------------------------


def test_download_and_extract_give_the_same_masks(server: OsmServer, tmp_path: Path) -> None:
    online = read_bbox(BBOX, cache=tmp_path, servers=servers(server))
    local = read_extract(helsinki_path())
    assert online.crs == local.crs == "EPSG:32635"
    one, other = centre_scene(online), centre_scene(local)
    assert 0.3 < building_mask(one).mean() < 0.8
    np.testing.assert_array_equal(building_mask(one), building_mask(other))
    np.testing.assert_array_equal(road_mask(one), road_mask(other))
    assert road_mask(one).any()
    assert online.notes["outer_ways_dropped"] == 1


def test_whole_demo_extract_gives_the_same_buildings(server: OsmServer, tmp_path: Path) -> None:
    """Every footprint with its height, two readers that have nothing in common."""
    server.overpass = compact(overpass_json(helsinki_path(), make_helsinki.BOX))
    online = read_bbox(make_helsinki.BOX, cache=tmp_path, servers=servers(server))
    local = read_extract(helsinki_path())

    def footprints(city: CityMap) -> set[tuple[bytes, float, str]]:
        box = project(shapely.box(*make_helsinki.BOX), city.crs)
        return {
            (shapely.set_precision(b.polygon, 0.001).normalize().wkb, b.height_m, b.height_source)
            for b in city.buildings
            if b.polygon.intersects(box)
        }

    assert len(footprints(local)) > 200
    assert footprints(online) == footprints(local)
    assert online.bounds == pytest.approx(local.bounds, abs=0.01)


def test_provenance(server: OsmServer, tmp_path: Path) -> None:
    city = read_bbox(BBOX, cache=tmp_path, servers=servers(server))
    (folder,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    provenance = city.provenance
    assert provenance.reader == "osm-place"
    assert provenance.source == "bbox:24.9464,60.17,24.9491,60.17135"
    assert provenance.date == "2019-04-21T09:50:14Z"
    assert provenance.sha256 == sha256_tree(folder)
    assert "OpenStreetMap contributors" in provenance.attribution
    assert provenance.licence == "ODbL-1.0"
    assert re.fullmatch(r"[a-z0-9_]+", city.name)


def test_a_place_is_its_largest_rectangle(server: OsmServer, tmp_path: Path) -> None:
    city = read_place("Kluuvi, Helsinki", cache=tmp_path, servers=servers(server))
    assert city.name == "kluuvi_helsinki"
    assert city.provenance.source == "place:Kluuvi, Helsinki"
    assert server.asked == {SEARCH: 1, OVERPASS: 1}
    place = json.loads(server.nominatim)[1]["geojson"]
    outline = project(shapely.geometry.shape(place), city.crs)
    rectangle = shapely.box(*city.bounds)
    assert outline.buffer(0.01).covers(rectangle)
    assert rectangle.area > 0.75 * outline.area


def test_a_name_in_another_script(server: OsmServer, tmp_path: Path) -> None:
    city = read_place("東京", cache=tmp_path, servers=servers(server))
    assert re.fullmatch(r"place_[0-9a-f]{8}", city.name)


# --- asking -----------------------------------------------------------------------------------


def test_second_read_needs_no_server(server: OsmServer, tmp_path: Path) -> None:
    first = read_place("Kluuvi", cache=tmp_path, servers=servers(server))
    addresses = servers(server)
    server.refusals = [500] * 9
    asked = len(server.requests)
    assert read_place("Kluuvi", cache=tmp_path, servers=addresses) == first
    assert len(server.requests) == asked


def test_cache_serves_while_the_server_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    fake = OsmServer(overpass=(STORED / "helsinki_150m.json").read_bytes())
    with fake.running():
        first = read_bbox(BBOX, cache=tmp_path, servers=servers(fake))
    assert read_bbox(BBOX, cache=tmp_path, servers=servers(fake)) == first
    with pytest.raises(MissingError, match=r"127\.0\.0\.1.*cannot be reached.*extract.*cache"):
        read_bbox(BBOX, cache=tmp_path / "empty", servers=servers(fake))


def test_nothing_is_cached_of_a_failure(server: OsmServer, tmp_path: Path) -> None:
    server.refusals = [200, 400]
    with pytest.raises(MissingError, match="400"):
        read_place("Kluuvi", cache=tmp_path, servers=servers(server))
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_the_user_agent_says_who_asks(server: OsmServer, tmp_path: Path) -> None:
    read_place("Kluuvi", cache=tmp_path, contact="me@example.org", servers=servers(server))
    assert {agent for _, agent in server.requests} == {
        f"rmtools/{rmtools.__version__} (+me@example.org)"
    }


@pytest.mark.parametrize("contact", ["", "a\nb", "a b)\r\nX: y", "ü@example.org", "x" * 201, "a)b"])
def test_contacts_that_do_not_fit_a_header_are_refused(contact: str) -> None:
    with pytest.raises(RecipeError, match="contact"):
        user_agent(contact)


def test_without_a_name_the_server_refuses(
    server: OsmServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmtools.city.servers.user_agent", lambda _: "python-requests/2.0")
    with pytest.raises(MissingError, match=r"406.*User-Agent"):
        read_bbox(BBOX, cache=tmp_path, servers=servers(server))


@pytest.mark.parametrize("status", [429, 504])
def test_busy_once(
    server: OsmServer,
    tmp_path: Path,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    naps: list[float] = []
    monkeypatch.setattr("time.sleep", naps.append)
    server.refusals = [status]
    server.headers = {"Retry-After": "47"}
    with caplog.at_level(logging.WARNING):
        read_bbox(BBOX, cache=tmp_path, servers=servers(server))
    assert server.asked == {OVERPASS: 2}
    assert [nap for nap in naps if nap] == [47.0]
    assert f"answered {status}; asking again in 47 s" in caplog.text


def test_the_pause_has_a_floor_and_grows(
    server: OsmServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps: list[float] = []
    monkeypatch.setattr("time.sleep", naps.append)
    server.refusals = [429] * 99
    with pytest.raises(MissingError, match=r"429 \(too many requests\), 4 times.*extract"):
        read_bbox(BBOX, cache=tmp_path, servers=servers(server))
    assert [nap for nap in naps if nap] == [30.0, 60.0, 90.0]
    assert server.asked == {OVERPASS: 4}


def test_a_long_pause_is_not_waited_for(server: OsmServer, tmp_path: Path) -> None:
    server.refusals = [429]
    server.headers = {"Retry-After": "3600"}
    with pytest.raises(MissingError, match="pause of 3600 s"):
        read_bbox(BBOX, cache=tmp_path, servers=servers(server))
    assert server.asked == {OVERPASS: 1}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>maintenance</html>", "not JSON"),
        (b"", "not JSON"),
        (b'{"elements": [', "not JSON"),
        (b'{"elements": [], "remark": "runtime error: Query timed out"}', "Query timed out"),
        (b'{"elements": [], "osm3s": {}}', "no usable building or road"),
        (b'{"elements": [{"type": "way", "id": 1}]}', "no usable building or road"),
        (b'{"elements": [{"type": "way", "id": 1, "nodes": []}]}', "no usable building or road"),
        (b'{"elements": [7]}', "no usable building or road"),
        (b'{"else": 1}', "no usable building or road"),
        (b"[]", "no usable building or road"),
    ],
)
def test_answers_that_are_no_good(
    server: OsmServer, tmp_path: Path, body: bytes, message: str
) -> None:
    server.overpass = body
    with pytest.raises((MissingError, InputError), match=message):
        read_bbox(BBOX, cache=tmp_path, servers=servers(server))
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_no_such_place(server: OsmServer, tmp_path: Path) -> None:
    server.nominatim = b"[]"
    with pytest.raises(InputError, match=r"place:Atlantis: .*no such place.*spelling"):
        read_place("Atlantis", cache=tmp_path, servers=servers(server))
    assert server.asked == {SEARCH: 1}


def test_a_place_that_is_a_point(server: OsmServer, tmp_path: Path) -> None:
    server.nominatim = (STORED / "place_point.json").read_bytes()
    with pytest.raises(InputError, match=r"point or line.*bbox:"):
        read_place("Aleksanterinkatu", cache=tmp_path, servers=servers(server))


def test_a_damaged_cache_is_named(server: OsmServer, tmp_path: Path) -> None:
    read_bbox(BBOX, cache=tmp_path, servers=servers(server))
    (answer,) = tmp_path.glob("*/*.json")
    answer.write_bytes(answer.read_bytes()[:500])
    with pytest.raises(InputError, match="not readable as JSON") as caught:
        read_bbox(BBOX, cache=tmp_path, servers=servers(server))
    assert str(answer) in str(caught.value)
    answer.unlink()
    with pytest.raises(InputError, match=r"incomplete.*Delete the folder"):
        read_bbox(BBOX, cache=tmp_path, servers=servers(server))


def test_what_a_killed_download_left_is_not_used(server: OsmServer, tmp_path: Path) -> None:
    first = read_bbox(BBOX, cache=tmp_path, servers=servers(server))
    (folder,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    stale = folder.rename(folder.with_name(f"{folder.name}.partial"))
    next(stale.iterdir()).write_text('{"elements": [')
    assert read_bbox(BBOX, cache=tmp_path, servers=servers(server)) == first
    assert not stale.exists()
    assert server.asked == {OVERPASS: 2}


@pytest.mark.parametrize(
    "bbox",
    [(25.0, 60.0, 24.0, 61.0), (24.0, 61.0, 25.0, 60.0), (0, 86, 1, 87), (0, float("nan"), 1, 2)],
)
def test_boxes_that_are_none(tmp_path: Path, bbox: tuple[float, float, float, float]) -> None:
    with pytest.raises(RecipeError, match="west < east"):
        read_bbox(bbox, cache=tmp_path)


def test_large_areas_are_sent_to_extracts(server: OsmServer, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"km2.*build-scenes FILE.*geofabrik"):
        read_bbox((24.0, 60.0, 25.0, 61.0), cache=tmp_path, servers=servers(server))
    assert not server.requests


def test_server_addresses_are_checked() -> None:
    with pytest.raises(RecipeError, match="overpass-api"):
        Servers(overpass="overpass-api.de")


# --- leaving no trace, one at a time ----------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
def test_osmnx_is_left_as_it_was(
    server: OsmServer,
    tmp_path: Path,
    fails: bool,  # noqa: FBT001 - pytest passes it by name
) -> None:
    def state() -> dict[str, Any]:
        public = {name: value for name, value in vars(settings).items() if name[0] != "_"}
        return public | {"resolver": socket.getaddrinfo}

    before = state()
    server.refusals = [406] * fails
    expected = pytest.raises(MissingError) if fails else contextlib.nullcontext()
    with expected:
        read_bbox(BBOX, cache=tmp_path, servers=servers(server))
    assert state() == before


def test_one_request_at_a_time(server: OsmServer, tmp_path: Path) -> None:
    west, south, east, north = BBOX
    boxes = [(west, south, east, north - k * 1e-4) for k in range(3)]
    cities: list[CityMap] = []
    threads = [
        threading.Thread(
            target=lambda box=box: cities.append(  # the default binds the loop variable
                read_bbox(box, cache=tmp_path, servers=servers(server))
            )
        )
        for box in boxes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cities) == 3
    assert server.asked == {OVERPASS: 3}
    assert server.most_at_once == 1
