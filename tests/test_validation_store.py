"""Validation of stores: every fault put into a sound one is found and named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from fakes_store import make_tracks
from fakes_validation import N, edit, errors, make_dataset, put

from rmtools.grid import Grid
from rmtools.store import Store
from rmtools.validation import validate
from rmtools.validation.pathloss import least_pathloss_db


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete dataset folder; tests copy it before they break it."""
    return make_dataset(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def dataset(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "dataset"))


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> Path:
    """The store alone."""
    return Path(shutil.copytree(sound / "store.zarr", tmp_path / "store.zarr"))


def free_pixel(store: Path) -> tuple[int, int]:
    row, col = np.argwhere(~Store.open(store).buildings(0))[7]
    return int(row), int(col)


def building_pixel(store: Path) -> tuple[int, int]:
    row, col = np.argwhere(Store.open(store).buildings(0))[7]
    return int(row), int(col)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "are NaN off buildings"),
        (np.inf, "are not between 0 and 500 dB"),
        (-3.0, "are not between 0 and 500 dB"),
        (9999.0, "are not between 0 and 500 dB"),
        (30.0, "lose less than two free-space paths"),
    ],
)
def test_a_wrong_pixel_in_the_store(store: Path, value: float, message: str) -> None:
    row, col = free_pixel(store)
    edit(store, "pathloss", lambda a: put(a, (0, 1, 1, 3, row, col), value))
    found = errors(store)
    where = "scene 0 (fake_000), trajectory 1, tx 1, frame 3: path loss"
    assert any(text.startswith(where) and message in text for text in found)
    assert all(text.startswith(where) for text in found)


def test_a_number_on_a_building(store: Path) -> None:
    row, col = building_pixel(store)
    edit(store, "pathloss", lambda a: put(a, (0, 0, 0, 0, row, col), 100.0))
    (found,) = errors(store)
    assert f"1 pixels are NaN off buildings, or a number in one, the first at row {row}" in found


def test_an_unwritten_unit(store: Path) -> None:
    edit(store, "pathloss", lambda a: put(a, (1, 0), np.nan))
    assert errors(store) == [
        f"scene 1 (fake_001), trajectory 0, tx {tx}: path loss was not written" for tx in (0, 1)
    ]
    edit(store, "tx_x", lambda a: put(a, 0, np.nan))
    assert "scene 0 (fake_000), tx 0: its position was not written" in errors(store)


def test_transmitters_in_wrong_places(store: Path) -> None:
    opened = Store.open(store)
    row, col = building_pixel(store)
    x, y = opened.grid.centre(row, col)
    roof = float(opened.building_height(0)[row, col])
    edit(store, "tx_x", lambda a: put(a, (0, 0), float(x)))
    edit(store, "tx_y", lambda a: put(a, (0, 0), float(y)))
    assert any("tx 0: it lies inside a building" in text for text in errors(store))
    edit(store, "tx_z", lambda a: put(a, (0, 0), roof + 2))
    assert not any("inside a building" in text for text in errors(store))
    edit(store, "tx_x", lambda a: put(a, (0, 0), -1.0))
    assert any("tx 0: it lies outside the tile" in text for text in errors(store))


def test_a_transmitter_that_is_not_where_the_signal_is(store: Path) -> None:
    y = Store.open(store).transmitters(0)[0, 1]
    edit(store, "tx_y", lambda a: put(a, (0, 0), (y + N / 2) % N))
    found = errors(store)
    assert any("the strongest pixel is not at the transmitter" in text for text in found)
    assert all(", tx 0" in text for text in found)


@pytest.mark.parametrize(
    ("field", "index", "value", "message"),
    [
        ("x", (2, 0), -1.0, "frame 2: vehicle 0: it is outside the tile"),
        ("x", (4, 0), 12.0, "frame 4: vehicle 0: it moved farther than 1.5 m per frame"),
        ("speed", (3, 1), 99.0, "frame 3: vehicle 1: it has a speed that is not its step"),
        ("state", (3, 1), -1, "positions and states do not agree"),
        ("y", (slice(None), 1), N / 2 - 2.5, "pairs of vehicles overlap"),
    ],
)
def test_wrong_tracks(store: Path, field: str, index: Any, value: float, message: str) -> None:
    if message == "pairs of vehicles overlap":
        eastbound = make_tracks(0, N, 5).x[:, 0]
        edit(store, "track_x", lambda a: put(a, (0, 0, slice(None), 1), eastbound + 2.0))
    edit(store, f"track_{field}", lambda a: put(a, (0, 0, *np.atleast_1d(index).tolist()), value))
    found = errors(store)
    assert any(message in text for text in found)
    assert all(text.startswith("scene 0 (fake_000), trajectory 0") for text in found)


def test_imported_vehicles_may_come_and_go_and_what_they_do_wrong_is_a_warning(store: Path) -> None:
    """Each of four things is an error for vehicles of the engine."""
    eastbound = make_tracks(0, N, 5)
    at = (0, 0, slice(None), 1)
    edit(store, "track_x", lambda a: put(a, at, eastbound.x[:, 0] + 2.0))
    edit(store, "track_y", lambda a: put(a, at, eastbound.y[:, 0]))  # they overlap
    for name, nothing in (("x", np.nan), ("y", np.nan), ("heading", np.nan), ("speed", np.nan)):
        edit(store, f"track_{name}", lambda a, v=nothing: put(a, (0, 0, 0, 0), v))
    edit(store, "track_state", lambda a: put(a, (0, 0, 0, 0), -1))
    edit(store, "track_speed", lambda a: put(a, (0, 0, 1, 0), 0.0))
    edit(store, "track_state", lambda a: put(a, (0, 0, 1, 0), 0))  # it appears in frame 1
    grid, tracks = Store.open(store).grid, Store.open(store).tracks(0, 0)
    masks = np.stack([tracks.mask(f, grid) for f in range(tracks.frames)])
    edit(store, "vehicles", lambda a: put(a, (0, 0), masks))
    edit(store, "buildings", lambda a: put(a, (0, *np.argwhere(masks[2])[0].tolist()), 1))
    strict = errors(store)
    for text in (
        "positions and states do not agree",
        "vehicles overlap",
        "a vehicle on a building",
    ):
        assert any(text in found for found in strict), text
    array = zarr.open_group(store, mode="r+")["vehicles"]
    array.attrs["traffic"] = {"tracks": {"files": {"a.xml": "0"}}}
    kept = errors(store)
    assert kept == [text for text in strict if "vehicle" not in text.partition(":")[2]]
    warned = [f.what for f in validate(store).findings if f.level == "warning"]
    assert any("vehicles overlap" in what for what in warned)
    assert any("show a vehicle on a building" in what for what in warned)
    edit(store, "track_state", lambda a: put(a, (0, 0, 1, 0), 1))
    assert any("it appears, but its state is not seeded" in text for text in errors(store))
    edit(store, "track_x", lambda a: put(a, (0, 0, 4, 0), 31.0))
    assert any("moved farther than 10 m per frame" in text for text in errors(store))


@pytest.mark.parametrize(
    ("field", "value"),
    [("x", np.inf), ("y", np.nan), ("heading", np.nan), ("heading", np.inf), ("speed", np.nan)],
)
def test_tracks_that_are_no_numbers(store: Path, field: str, value: float) -> None:
    edit(store, f"track_{field}", lambda a: put(a, (0, 0, 1, 0), value))
    assert errors(store) == [
        "scene 0 (fake_000), trajectory 0, frame 1: vehicle 0: "
        "it has a position, heading or speed that is no number"
    ]
    edit(store, "track_x", lambda a: put(a, (0, 1, 1, 0), 1e300))
    assert any("vehicle 0: it is outside the tile" in text for text in errors(store))


def test_wrong_masks(store: Path) -> None:
    row, col = building_pixel(store)
    edit(store, "vehicles", lambda a: put(a, (0, 1, 2, row, col), 1))
    found = errors(store)
    where = "scene 0 (fake_000), trajectory 1, frame 2: vehicles: 1 pixels"
    pixel = f"the first at row {row}, col {col}"
    assert found == [
        f"{where} do not agree with the tracks, {pixel}",
        f"{where} show a vehicle on a building, {pixel}",
    ]


def test_damaged_and_missing_chunks(store: Path) -> None:
    shard = next((store / "pathloss/c/0/0").rglob("*"))
    while shard.is_dir():
        shard = next(shard.iterdir())
    data = bytearray(shard.read_bytes())
    data[: len(data) // 2] = bytes(len(data) // 2)
    shard.write_bytes(bytes(data))
    found = errors(store)
    assert found
    assert all(text.startswith("scene 0 (fake_000), trajectory 0, tx") for text in found)
    assert any("cannot be read" in text for text in found)
    shard.unlink()
    assert all("was not written" in text for text in errors(store))


@pytest.mark.parametrize(
    "name", ["buildings", "building_height", "roads", "tx_x", "track_x", "vehicles"]
)
def test_damaged_chunks_of_a_dataset_with_a_layout(dataset: Path, name: str) -> None:
    """The layout is compared with the store, which must not stop at what the store check found."""
    for chunk in [p for p in (dataset / "store.zarr" / name / "c").rglob("*") if p.is_file()]:
        chunk.write_bytes(b"\xff" * chunk.stat().st_size)
    found = errors(dataset)
    assert found
    assert all("cannot be read" in text for text in found)


def test_heights_must_stand_on_buildings(store: Path) -> None:
    row, col = free_pixel(store)
    edit(store, "building_height", lambda a: put(a, (0, row, col), 12.0))
    (found,) = errors(store)
    assert "have a height without a building" in found


def test_arrays_that_are_missing_or_of_another_shape(store: Path) -> None:
    shutil.rmtree(store / "pathloss")
    assert errors(store) == ["pathloss: not there; run `rmtools simulate`"]
    meta = store / "vehicles/zarr.json"
    data = json.loads(meta.read_text())
    for scenes, said in (
        (1000, "vehicles: shape (1000, 2, 5, 32, 32), expected (2,"),
        (10**9, "store: cannot be read (InputError: the array 'vehicles' is none that rmtools can"),
    ):
        data["shape"][0] = scenes
        meta.write_text(json.dumps(data))
        assert any(text.startswith(said) for text in errors(store))


def test_licence_and_attribution_are_required(store: Path) -> None:
    Store.open(store, mode="r+").update_attributes({"licence": [], "attribution": [""]})
    assert errors(store) == [
        "store: attribute licence is empty",
        "store: attribute attribution is empty",
    ]


@pytest.mark.parametrize(
    ("array", "change", "message"),
    [
        ("", {"scenes": []}, "attribute scenes: 0 entries for 2 scenes"),
        ("", {"scenes": "two"}, "attribute scenes: Input should be a valid list"),
        ("", {"scenes": [{"name": 5}] * 2}, "attribute scenes: 0.name: Input should be a valid"),
        ("", {"resolution_m": 0}, "attribute resolution_m: Input should be greater than 0"),
        ("vehicles", {"vehicle_length_m": "long"}, "attribute vehicle_length_m is not a positive"),
        ("vehicles", {"vehicle_width_m": 0}, "attribute vehicle_width_m is not a positive number"),
        ("pathloss", {"units": "dBm"}, "attribute units is not 'dB'"),
    ],
)
def test_attributes_that_make_no_sense(
    store: Path, array: str, change: dict[str, Any], message: str
) -> None:
    group = zarr.open_group(store, mode="r+", use_consolidated=False)
    (group[array] if array else group).attrs.update(change)
    (found,) = errors(store)
    assert message in found


def test_scenes_of_one_name_and_places_that_are_none(store: Path) -> None:
    opened = Store.open(store, mode="r+")
    scenes = opened.attributes["scenes"]
    opened.update_attributes({"scenes": [{**scene, "name": "one"} for scene in scenes]})
    assert errors(store) == ["store: attribute scenes has 2 entries with 1 different names"]
    opened.update_attributes({"scenes": [{**scene, "easting_m": "a"} for scene in scenes]})
    assert "attribute scenes: 0.easting_m: Input should be a valid number" in errors(store)[0]


@pytest.mark.parametrize("frequency", [None, "high", 0, -3500.0])
def test_without_a_frequency_the_limit_is_not_checked(store: Path, frequency: object) -> None:
    edit(store, "pathloss", lambda a: a.attrs.update({"solver": {"frequency_mhz": frequency}}))
    (finding,) = validate(store).findings
    assert finding.level == "warning"
    assert "no positive frequency_mhz" in finding.what


def test_a_store_that_cannot_be_opened(dataset: Path) -> None:
    (dataset / "store.zarr/zarr.json").write_text("{")
    found = errors(dataset)
    assert len(found) == 1
    assert "no rmtools store" in found[0]


# -- the physical limit ------------------------------------------------------------------------


def test_least_pathloss() -> None:
    least = least_pathloss_db(Grid(64), 10.5, 10.5, 3500.0)
    row = 64 - 1 - 10
    assert least[row, 11] == pytest.approx(43.321, abs=1e-3)  # one metre, ITU-R P.525
    assert least[row, 20] == pytest.approx(63.321, abs=1e-3)  # ten metres
    # RadioMapMotion's clip maximum: a transmitter on a pixel corner
    corner = least_pathloss_db(Grid(64), 10.0, 10.0, 3500.0)
    assert corner.min() == pytest.approx(39.56, abs=0.01)
