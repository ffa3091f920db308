"""Reading RadioMapSeer folders: the true ones decide, made-up ones cover the rest."""

from __future__ import annotations

import io
import json
import shutil
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely
from fakes import make_seer_folder
from PIL import Image

from rmtools.city import seer
from rmtools.city.rasters import building_mask
from rmtools.errors import InputError
from rmtools.files import sha256_files
from rmtools.scene import Scene

if TYPE_CHECKING:
    from pathlib import Path

TRUE_DPM = (0, 1, 10, 11, 12, 13)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_seer_folder(tmp_path_factory.mktemp("seer"), maps=(0, 3, 12), gains=2)


@pytest.fixture
def one(tmp_path: Path, folder: Path) -> Path:
    """A folder of its own, to be damaged."""
    return shutil.copytree(folder, tmp_path / "seer")


def put(root: Path, name: str, value: Any) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


# --- the true dataset -------------------------------------------------------------------------


def test_true_zero_mask_is_our_building_mask(reference_data: Path) -> None:
    root = reference_data / "radiomapseer"
    gains = [seer.read_png(root / f"gain/DPM/0_{k}.png") for k in TRUE_DPM]
    zero_everywhere = np.all(np.asarray(gains) == 0, axis=0)
    mask = building_mask(seer.read_map(root, 0))
    assert mask.shape == (256, 256)
    assert np.count_nonzero(mask != zero_everywhere) == 0


@pytest.mark.parametrize("k", TRUE_DPM)
def test_true_maximum_sits_at_our_transmitter(reference_data: Path, k: int) -> None:
    root = reference_data / "radiomapseer"
    x, y, z = seer.read_transmitters(root, 0)[k]
    row, col = seer.read_map(root, 0).grid.pixel(x, y)
    assert np.argwhere(seer.read_png(root / f"gain/DPM/0_{k}.png") == 255).tolist() == [[row, col]]
    assert z == 1.5


def test_true_transmitters_stand_outside_the_true_buildings(reference_data: Path) -> None:
    root = reference_data / "radiomapseer"
    buildings = shapely.union_all([b.polygon for b in seer.read_map(root, 0).buildings])
    positions = seer.read_transmitters(root, 0)
    assert positions.shape == (80, 3)
    assert not shapely.intersects_xy(buildings, positions[:, 0], positions[:, 1]).any()


def test_true_maps_read(reference_data: Path) -> None:
    root = reference_data / "radiomapseer"
    assert seer.list_maps(root) == [0, 17, 126, 508]  # 17 and 126 as images only
    first, second = seer.read_map(root, 0), seer.read_map(root, 508)
    assert (len(first.buildings), len(first.roads)) == (60, 28)
    assert len(second.buildings) == 87
    assert first.notes == {}
    assert second.notes == {"roads": "none: polygon/roads/508.json is missing"}


def test_true_cars_drive_within_the_default_road_width(reference_data: Path) -> None:
    root = reference_data / "radiomapseer"
    scene = seer.read_map(root, 0)
    rows, cols = np.nonzero(seer.read_cars(root, 0))
    roads = shapely.union_all([road.shape.buffer(road.width_m / 2) for road in scene.roads])
    # A pixel of a car image stands for the point half a pixel south-west of our pixel's centre.
    on_road = shapely.intersects_xy(roads, cols.astype(float), 255.0 - rows)
    assert on_road.mean() > 0.96


# --- made-up folders --------------------------------------------------------------------------


def test_maps_are_listed_by_number(folder: Path) -> None:
    assert seer.list_maps(folder) == [0, 3, 12]


def test_frame_and_provenance(folder: Path) -> None:
    scene = seer.read_map(folder, 3)
    assert seer.map_files(folder, 3) == [
        folder / "polygon/buildings_complete/3.json",
        folder / "polygon/roads/3.json",
    ]
    assert scene.name == "map_3"
    assert (scene.frame.n, scene.frame.resolution_m, scene.frame.crs) == (256, 1.0, None)
    assert {b.height_m for b in scene.buildings} == {25.0}
    assert {b.height_source for b in scene.buildings} == {"dataset"}
    assert {(r.width_m, r.width_source) for r in scene.roads} == {(seer.ROAD_WIDTH_M, "class")}
    names = ["polygon/buildings_complete/3.json", "polygon/roads/3.json"]
    assert scene.provenance.sha256 == sha256_files(folder, names)
    assert scene.provenance.licence == "CC-BY-4.0"
    for word in ("Yapar", "Levie", "Kutyniok", "Caire", "10.21227/0gtx-6v30", "OpenStreetMap"):
        assert word in scene.provenance.attribution
    assert Scene.from_dict(scene.to_dict()) == scene


def test_height_and_width_can_be_chosen(folder: Path) -> None:
    scene = seer.read_map(folder, 0, height_m=12.0, road_width_m=7.0)
    assert {(b.height_m, b.height_source) for b in scene.buildings} == {(12.0, "default")}
    assert {r.width_m for r in scene.roads} == {7.0}


@pytest.mark.parametrize("map_id", [0, 3, 12])
def test_zero_gain_is_the_building_mask(folder: Path, map_id: int) -> None:
    """West and south edge of a building belong to it, east and north edge do not."""
    mask = building_mask(seer.read_map(folder, map_id))
    for k in (0, 1):
        gain = seer.read_png(folder / f"gain/DPM/{map_id}_{k}.png")
        np.testing.assert_array_equal(mask, gain == 0)
        x, y, _ = seer.read_transmitters(folder, map_id)[k]
        row, col = seer.read_map(folder, map_id).grid.pixel(x, y)
        assert np.argwhere(gain == 255).tolist() == [[row, col]]


def test_the_polygon_frame_is_one_based(one: Path) -> None:
    """The ring (1,1)-(3,2) covers the pixels of the points (1,1) and (2,1): bottom row, left."""
    put(
        one,
        "polygon/buildings_complete/0.json",
        [[[1, 1], [3, 1], [3, 2], [1, 2], [1, 1]]],
    )
    assert np.argwhere(building_mask(seer.read_map(one, 0))).tolist() == [[255, 0], [255, 1]]


def test_transmitter_frame_is_zero_based(one: Path) -> None:
    put(one, "antenna/0.json", [[0, 0], [255, 3]])
    assert seer.read_transmitters(one, 0).tolist() == [[0.5, 0.5, 1.5], [255.5, 3.5, 1.5]]


def test_cars_are_read_as_drawn(folder: Path) -> None:
    cars = seer.read_cars(folder, 0)
    assert cars.dtype == bool
    assert cars.sum() == 9 * 2 * 4


def test_odd_rings_are_repaired_or_dropped_and_counted(one: Path) -> None:
    square = [[10, 10], [20, 10], [20, 20], [10, 20], [10, 10]]
    rings = [
        square,
        [[20, 20], [10, 20], [10, 10], [20, 10], [20, 20]],  # the same square again
        [[50, 50], [60, 60], [60, 50], [50, 60], [50, 50]],  # bow tie: two triangles of 25 m2
        [[100, 100], [110, 100], [110, 110]],  # not closed
        [[70, 70], [80, 80], [70, 70]],  # no area
    ]
    put(one, "polygon/buildings_complete/0.json", rings)
    put(
        one,
        "polygon/roads/0.json",
        [[[1, 1], [9, 9]], [[9, 9], [1, 1]], [[5, 5], [5, 5]]],
    )
    scene = seer.read_map(one, 0)
    assert scene.notes == {
        "closed_rings": 1,
        "duplicate_roads": 1,
        "duplicate_rings": 1,
        "flat_rings": 1,
        "point_roads": 1,
        "repaired_rings": 1,
    }
    assert all(b.polygon.is_valid for b in scene.buildings)
    assert [b.polygon.area for b in scene.buildings] == [100.0, 25.0, 25.0, 50.0]
    assert len(scene.roads) == 1


def test_a_ring_that_touches_itself_keeps_its_hole(one: Path) -> None:
    """Outline and courtyard drawn in one stroke, joined in one point."""
    ring = [
        [10, 10],
        [40, 10],
        [40, 40],
        [10, 40],
        [10, 10],
        [20, 30],
        [30, 30],
        [30, 20],
        [10, 10],
    ]
    put(one, "polygon/buildings_complete/0.json", [ring])
    scene = seer.read_map(one, 0)
    assert scene.notes["repaired_rings"] == 1
    assert sum(b.polygon.area for b in scene.buildings) == 900.0 - 200.0


def test_a_map_without_road_file_says_so(one: Path) -> None:
    (one / "polygon/roads/0.json").unlink()
    scene = seer.read_map(one, 0)
    assert scene.roads == ()
    assert scene.notes["roads"] == "none: polygon/roads/0.json is missing"


# --- maps without polygons --------------------------------------------------------------------


@pytest.mark.parametrize("map_id", [0, 3, 12])
def test_walls_are_found_again_in_images(folder: Path, one: Path, map_id: int) -> None:
    """The made-up houses are upright rectangles: every image determines them exactly."""
    true = [b.polygon.normalize() for b in seer.read_map(folder, map_id).buildings]
    (one / f"polygon/buildings_complete/{map_id}.json").unlink()
    image = seer.read_map(one, map_id)
    assert image.notes["walls"] == f"vectorised from png/buildings_complete/{map_id}.png"
    assert "walls vectorised from png/" in image.provenance.source
    assert len(image.roads) == 6
    (one / f"png/buildings_complete/{map_id}.png").unlink()
    gain = seer.read_map(one, map_id)
    assert gain.notes["walls"] == f"vectorised from gain/DPM/{map_id}_0.png and 1 more"
    for scene in (image, gain):
        found = [b.polygon.normalize() for b in scene.buildings]
        assert sorted(p.wkt for p in found) == sorted(p.wkt for p in true)
        assert Scene.from_dict(scene.to_dict()) == scene
    assert image.provenance.sha256 != gain.provenance.sha256
    assert [path.name for path in seer.map_files(one, map_id)] == [
        f"{map_id}_0.png",
        f"{map_id}_1.png",
        f"{map_id}.json",
    ]
    assert seer.list_maps(one) == [0, 3, 12]


def test_a_gain_map_alone_is_a_scene_and_a_transmitter(folder: Path) -> None:
    scene, transmitter = seer.scene_of_gain_map(folder / "gain/DPM/3_1.png", height_m=30.0)
    true = seer.read_map(folder, 3)
    assert scene.name == "3_1"
    assert transmitter.tolist() == seer.read_transmitters(folder, 3)[1].tolist()
    np.testing.assert_array_equal(building_mask(scene), building_mask(true))
    assert {(b.height_m, b.height_source) for b in scene.buildings} == {(30.0, "default")}


def test_a_gain_map_without_a_single_maximum_is_refused(one: Path) -> None:
    path = one / "gain/DPM/0_0.png"
    Image.fromarray(np.minimum(seer.read_png(path), 200)).save(path)
    with pytest.raises(InputError, match=r"pixels share the highest grey, 200"):
        seer.scene_of_gain_map(path)


# --- broken folders ---------------------------------------------------------------------------


def test_folder_without_buildings_names_what_is_missing(one: Path) -> None:
    for name in ("polygon", "png", "gain"):
        shutil.rmtree(one / name)
    with pytest.raises(InputError, match=r"polygon/buildings_complete/<map>\.json.*gain/DPM"):
        seer.list_maps(one)
    with pytest.raises(InputError, match=r"neither polygon/buildings_complete/3\.json nor png/"):
        seer.read_map(one, 3)


def test_missing_antenna_file_is_named(one: Path) -> None:
    with pytest.raises(InputError, match=r"antenna/77\.json"):
        seer.read_transmitters(one, 77)


RING = [[10, 10], [20, 10], [20, 20], [10, 10]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[[[1, 1], [2", "not readable as JSON"),
        ("", "not readable as JSON"),
        ({"type": "FeatureCollection"}, "top level"),
        ([RING, [[10, 10], [20, 10]]], r"\[1\]"),
        ([[[0, 10], *RING]], r"\[0\]\[0\]\[0\]"),
        ([[[10, 257], *RING]], r"\[0\]\[0\]\[1\]"),
        ([[[10, 10, 10], *RING]], r"\[0\]\[0\]"),
        ([[["10", 10], *RING]], r"\[0\]\[0\]\[0\]"),
        ([[[True, 10], *RING]], r"\[0\]\[0\]\[0\]"),
        ("[[[NaN, 10], [20, 10], [20, 20], [10, 10]]]", r"\[0\]\[0\]\[0\]"),
        ("[[[Infinity, 10], [20, 10], [20, 20], [10, 10]]]", r"\[0\]\[0\]\[0\]"),
        ("[" * 100_000, "not readable as JSON"),
    ],
)
def test_broken_buildings_are_located(one: Path, content: Any, message: str) -> None:
    path = put(one, "polygon/buildings_complete/0.json", content)
    with pytest.raises(InputError, match=message) as caught:
        seer.read_map(one, 0)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [[[[1, 1]]], [[[1, 1], [2, 2], [3, 3]]], [[[1, 1], [2, 300]]]])
def test_broken_roads_are_located(one: Path, content: Any) -> None:
    put(one, "polygon/roads/0.json", content)
    with pytest.raises(InputError, match=r"roads/0\.json.*\[0\]"):
        seer.read_map(one, 0)


@pytest.mark.parametrize("content", [[], [[256, 0]], [[-1, 0]], [[1.5, 0]], [[1, 2, 3]], {}])
def test_broken_transmitters_are_refused(one: Path, content: Any) -> None:
    put(one, "antenna/0.json", content)
    with pytest.raises(InputError, match=r"antenna/0\.json"):
        seer.read_transmitters(one, 0)


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def header_only(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr))
    return b"\x89PNG\r\n\x1a\n" + chunk


GREY = Image.new("L", (256, 256))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a readable PNG"),
        (b"GIF89a" + bytes(50), "not a readable PNG"),
        (encoded(GREY, "JPEG"), "not a readable PNG"),
        (encoded(GREY)[:-40], "not a readable PNG"),
        (encoded(GREY.convert("RGB")), "mode 'RGB' at 8 bits"),
        (encoded(GREY.convert("1")), "mode '1' at 1 bits"),
        (encoded(GREY.convert("I;16")), "mode 'I;16' at 16 bits"),
        (encoded(Image.new("L", (255, 256))), "256 x 255 pixels, expected 256 x 256"),
        (
            header_only(12_000, 12_000),
            "12000 x 12000 pixels, expected 256|not a readable PNG",
        ),
        (header_only(60_000, 60_000), "not a readable PNG"),
        (bytes(2**20 + 1), "1,048,577 bytes"),
    ],
)
def test_only_proper_images_are_read(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "0_0.png"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        seer.read_png(path)
    assert str(path) in str(caught.value)
