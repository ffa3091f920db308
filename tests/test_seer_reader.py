"""Reading RadioMapSeer trees: the true part, a complete made-up one, and damaged ones."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fakes_seer import make_seer_tree, save, upright_mask

from rmtools.city.rasters import building_mask
from rmtools.errors import InputError
from rmtools.layouts.seer_reader import SeerLayout
from rmtools.units import SEER_SCALE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAPS = (0, 7)
TX = 3


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_seer_tree(tmp_path_factory.mktemp("sound") / "seer", MAPS, transmitters=TX)


@pytest.fixture
def tree(sound: Path, tmp_path: Path) -> Path:
    """A tree of its own, to be damaged."""
    return shutil.copytree(sound, tmp_path / "seer")


# -- the true dataset --------------------------------------------------------------------------


def test_the_true_part_is_read(reference_data: Path) -> None:
    layout = SeerLayout(reference_data / "radiomapseer")
    assert layout.maps == [0, 17, 126, 419, 508]
    assert layout.simulators == ["DPM", "IRT2", "IRT4", "carsDPM"]
    assert layout.transmitters("DPM", 0) == [0, 1, 10, 11, 12, 13]
    assert layout.transmitters("DPM", 17) == []
    assert layout.antennas(0)[:2].tolist() == [[108, 68], [134, 98]]
    assert layout.transmitter_pixels(0)[0].tolist() == [187, 108]
    assert (len(layout.polygons(0)), len(layout.road_segments(0))) == (60, 28)
    assert layout.buildings(0).sum() == 16_594
    assert layout.buildings(0).sum() - layout.buildings(0, missing=1).sum() == 400
    assert layout.roads(17).any()
    assert layout.cars(0).sum() == 800
    assert len(layout.scene(0).buildings) == 60


def test_true_path_loss(reference_data: Path) -> None:
    layout = SeerLayout(reference_data / "radiomapseer")
    inside = layout.inside_buildings(0)
    assert inside is not None
    assert inside.sum() == 16_340
    for simulator, tx in (("DPM", 11), ("IRT2", 0), ("carsDPM", 0)):
        loss = layout.pathloss_db(simulator, 0, tx)
        assert loss.dtype == np.float32
        np.testing.assert_array_equal(np.isnan(loss), inside)
        np.testing.assert_array_equal(SEER_SCALE.encode(loss), layout.grey(simulator, 0, tx))
        assert np.nanmin(loss) == np.float32(47.84)
        assert np.nanmax(loss) == 147
    row, col = layout.transmitter_pixels(0)[11]
    assert layout.pathloss_db("DPM", 0, 11)[row, col] == np.float32(47.84)


# -- a complete tree ---------------------------------------------------------------------------


def test_what_a_tree_has(sound: Path) -> None:
    for root in (sound, sound.parent):  # the dataset folder that holds it will do
        layout = SeerLayout(root)
        assert layout.root == sound
        assert layout.maps == list(MAPS)
        assert layout.simulators == ["DPM", "IRT2", "IRT4", "carsDPM", "carsIRT2", "carsIRT4"]
        assert layout.transmitters("carsDPM", 7) == [0, 1, 2]
        assert layout.transmitters("IRT4", 7) == [0, 1]
        assert layout.grid.shape == (256, 256)


@pytest.mark.parametrize("map_id", MAPS)
def test_images_and_geometry_belong_together(sound: Path, map_id: int) -> None:
    layout = SeerLayout(sound)
    rings = layout.polygons(map_id)
    np.testing.assert_array_equal(layout.buildings(map_id), upright_mask(rings, 0.0))
    cars = layout.car_rings(map_id)
    assert len(cars) == 9
    np.testing.assert_array_equal(layout.cars(map_id), upright_mask(cars, 1.0))
    assert len(layout.road_segments(map_id)) == 6
    assert not layout.roads(map_id)[layout.buildings(map_id)].any()
    for version in (1, 6):
        left = layout.polygons(map_id, 3, version)
        removed = layout.removed_polygons(map_id, 3, version)
        assert sorted(left + removed) == sorted(rings)
        np.testing.assert_array_equal(
            layout.buildings(map_id, 3, version) ^ layout.removed(map_id, 3, version),
            layout.buildings(map_id),
        )
    inside = building_mask(layout.scene(map_id))
    np.testing.assert_array_equal(layout.inside_buildings(map_id), inside)
    for tx, (row, col) in enumerate(layout.transmitter_pixels(map_id)):
        assert np.argwhere(layout.antenna_image(map_id, tx)).tolist() == [[row, col]]
        assert layout.grey("DPM", map_id, tx)[row, col] == 255
        np.testing.assert_array_equal(np.isnan(layout.pathloss_db("DPM", map_id, tx)), inside)


def test_path_loss_is_good_to_half_a_level(sound: Path) -> None:
    layout = SeerLayout(sound)
    row, col = layout.transmitter_pixels(7)[1]
    distance = np.hypot(*(np.indices((256, 256)) - np.array([row, col])[:, None, None]))
    law = 47.857 + 25 * np.log10(np.maximum(distance, 2.0))
    loss = layout.pathloss_db("DPM", 7, 1)
    at = (distance >= 2) & ~np.isnan(loss)
    assert np.abs(loss - law)[at].max() <= SEER_SCALE.step_db / 2 + 1e-5


def test_without_polygons_every_zero_is_missing(tree: Path) -> None:
    grey = SeerLayout(tree).grey("DPM", 0, 0).copy()
    street = np.argwhere(grey > 0)[0]
    grey[tuple(street)] = 0
    save(tree / "gain/DPM/0_0.png", grey)
    assert SeerLayout(tree).pathloss_db("DPM", 0, 0)[tuple(street)] == 147
    (tree / "polygon/buildings_complete/0.json").unlink()
    layout = SeerLayout(tree)
    assert layout.inside_buildings(0) is None
    np.testing.assert_array_equal(np.isnan(layout.pathloss_db("DPM", 0, 0)), grey == 0)
    assert layout.inside_buildings(7) is not None


# -- parts and damage --------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["antenna", "polygon/roads", "png/cars", "gain/carsIRT4"])
def test_any_part_is_a_layout(sound: Path, tmp_path: Path, part: str) -> None:
    shutil.copytree(sound / part, tmp_path / part)
    if part == "png/cars":
        (tmp_path / "dataset.csv").touch()
    layout = SeerLayout(tmp_path)
    assert layout.maps == list(MAPS)
    assert layout.simulators == (["carsIRT4"] if part.startswith("gain") else [])
    with pytest.raises(InputError, match=r"buildings_missing2/5/0\.png: no such file"):
        layout.buildings(0, 2, 5)


def test_nothing_is_no_layout(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing in RadioMapSeer layout"):
        SeerLayout(tmp_path)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _json(value: Any) -> Callable[[Path], None]:
    return lambda path: path.write_text(json.dumps(value)) and None


@pytest.mark.parametrize(
    ("name", "damage", "read", "message"),
    [
        ("gain/DPM/0_0.png", _cut, lambda x: x.pathloss_db("DPM", 0, 0), "not a readable PNG"),
        ("png/cars/0.png", _cut, lambda x: x.cars(0), "not a readable PNG"),
        ("antenna/0.json", _json([[256, 0]]), lambda x: x.antennas(0), r"at \[0\]\[0\]"),
        ("antenna/0.json", _cut, lambda x: x.transmitter_pixels(0), "not readable as JSON"),
        (
            "polygon/buildings_and_cars/0.json",
            _json([[[1, 1], [2, 2], [3, 1], [1, 1]]]),
            lambda x: x.car_rings(0),
            "does not begin with the 16 buildings",
        ),
        (
            "polygon/buildings_complete/0.json",
            _json([[[0, 1], [2, 2], [3, 1]]]),
            lambda x: x.polygons(0),
            r"at \[0\]\[0\]\[0\]",
        ),
        ("polygon/roads/0.json", _json([[[1, 1]]]), lambda x: x.road_segments(0), r"\[0\]"),
    ],
)
def test_damage_is_named(
    tree: Path,
    name: str,
    damage: Callable[[Path], None],
    read: Callable[[SeerLayout], Any],
    message: str,
) -> None:
    damage(tree / name)
    with pytest.raises(InputError, match=message) as caught:
        read(SeerLayout(tree))
    assert str(tree / name) in str(caught.value)
