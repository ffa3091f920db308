"""Receivers above roofs: which pixels have a value, in the store, the layouts and the pictures."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr
from fakes_store import make_store
from fakes_validation import edit, errors, put

from rmtools.layouts.motion import MotionLayout
from rmtools.layouts.npz import npz_bytes, read_npz
from rmtools.radio.receivers import inside_buildings
from rmtools.report import pictures
from rmtools.run.recipe import load_recipe
from rmtools.run.runner import run
from rmtools.store import Store
from rmtools.units import MOTION_SCALE
from rmtools.validation import validate

if TYPE_CHECKING:
    from rmtools.types import BoolArray

DEMO = Path(__file__).resolve().parent.parent / "pipelines" / "demo.yaml"
RECEIVERS_M = 20.0
SETTINGS = [
    "grid.n=96",
    "city.tiles.count=1",
    "city.tiles.order=shuffle",
    "seed=3",
    "city.tiles.min_road_m=50",
    "traffic.trajectories=1",
    "traffic.frames=2",
    "traffic.vehicles=3",
    "transmitters.count=2",
    "transmitters.height_m=3",
    "transmitters.clear_of_roads=false",
    f"solver.overrides.receiver_height_m={RECEIVERS_M:g}",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real dataset with receivers above some of its roofs."""
    root = tmp_path_factory.mktemp("high")
    run(root, load_recipe(DEMO, SETTINGS))
    return root


@pytest.fixture
def dataset(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "dataset"))


def roofs(root: Path) -> tuple[BoolArray, BoolArray]:
    """Pixels of lower and of higher buildings."""
    height = Store.open(root).building_height(0)
    return height <= RECEIVERS_M, height > RECEIVERS_M


def test_a_dataset_with_receivers_above_roofs_is_valid(made: Path) -> None:
    lower, higher = roofs(made)
    assert lower.sum() > 50
    assert higher.sum() > 50
    report = validate(made)
    assert report.ok, report.findings
    stored = Store.open(made)
    assert (np.isnan(stored.pathloss_unit(0, 0)) == higher).all()
    assert (stored.inside_buildings(0) == higher).all()


def test_the_layout_has_values_over_lower_roofs(made: Path, tmp_path: Path) -> None:
    lower, higher = roofs(made)
    layout = MotionLayout(made)
    loss = layout.pathloss_db(0, 0, 1, 1)
    assert (np.isnan(loss) == higher).all()
    assert (layout.grey(0, 0, 1, 1)[lower] == MOTION_SCALE.encode(loss[lower])).all()
    assert (layout.buildings(0) == (lower | higher)).all()
    # decoded from the images alone: the same pixels
    shutil.copytree(made / "motion", tmp_path / "motion")
    shutil.rmtree(tmp_path / "motion" / "npz")
    decoded = MotionLayout(tmp_path / "motion").pathloss_db(0, 0, 1, 1)
    dark = layout.grey(0, 0, 1, 1) == 0
    assert (np.isnan(decoded) == (higher & dark)).all()
    assert (dark | ~higher).all()


def test_pictures_show_the_values_over_lower_roofs(made: Path) -> None:
    lower, higher = roofs(made)
    stored = Store.open(made)
    rgb = pictures.paint_map(stored.pathloss(0, 0, 0)[0], stored.buildings(0), MOTION_SCALE)
    dark = (rgb == pictures.BUILDING).all(axis=-1)
    assert dark[higher].all()
    assert not dark[lower].any()


@pytest.mark.parametrize("over", ["lower", "higher"])
def test_faults_over_roofs_are_found(dataset: Path, over: str) -> None:
    lower, higher = roofs(dataset)
    row, col = (int(i) for i in np.argwhere(lower if over == "lower" else higher)[5])
    value = np.nan if over == "lower" else 100.0
    edit(dataset / "store.zarr", "pathloss", lambda a: put(a, (0, 0, 0, 1, row, col), value))
    name = dataset / "motion/npz/env_000/traj_00/tx_01/00.npz"
    arrays = read_npz(name, 96 * 96 * 4)
    arrays["pathloss_db"] = arrays["pathloss_db"].copy()
    arrays["pathloss_db"][row, col] = value
    name.write_bytes(npz_bytes(arrays))
    found = [text for text in errors(dataset) if "are NaN off buildings" in text]
    assert len(found) == 2
    assert all(f"the first at row {row}, col {col}" in text for text in found)


def test_equal_heights_are_above_and_unknown_receivers_stand_on_the_street() -> None:
    height = np.array([[np.nan, 12.3, 12.31, 5.0, np.nan]], np.float32)
    buildings = np.array([[False, True, True, True, True]])
    solver = {"receiver_height_m": 12.3}
    assert inside_buildings(buildings, height, solver).tolist() == [
        [False, False, True, False, True]
    ]
    for unknown in (None, {}, {"receiver_height_m": None}, {"receiver_height_m": np.nan}, "dpm"):
        assert (inside_buildings(buildings, height, unknown) == buildings).all()


def test_the_free_space_limit_knows_the_gain_of_the_antenna(tmp_path: Path) -> None:
    """12 dBi may be 12 dB better than one path in free space, and no better."""
    store = make_store(tmp_path, n=32, scenes=1, traj=1, tx=1, frames=2).path
    row, col = (int(i) for i in np.argwhere(~Store.open(store).buildings(0))[7])
    x, y = Store.open(store).grid.centre(row, col)
    at = Store.open(store).transmitters(0)[0]
    free = 43.32 + 20 * np.log10(np.hypot(x - at[0], y - at[1]))
    solver = {"solver": "made up", "frequency_mhz": 3500.0}
    for gain, better, wrong in ((None, 7.0, True), (12.0, 7.0, False), (12.0, 19.0, True)):
        described = solver if gain is None else {**solver, "antenna": {"max_gain_dbi": gain}}
        group = zarr.open_group(store, mode="r+", use_consolidated=False)
        group["pathloss"].attrs["solver"] = described
        edit(store, "pathloss", lambda a, v=free - better: put(a, (0, 0, 0, 0, row, col), v))
        found = [text for text in errors(store) if "free-space paths" in text]
        assert bool(found) == wrong, (gain, better)
