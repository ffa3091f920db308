"""Maps without vehicles: beside the others, or all there is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import xarray
from test_run import small
from typer.testing import CliRunner

from rmtools.cli import app
from rmtools.errors import RecipeError
from rmtools.files import sha256_tree
from rmtools.radio.solver import Transmitter
from rmtools.run.plan import plan
from rmtools.run.runner import run
from rmtools.run.workspace import Workspace
from rmtools.store import Store
from rmtools.store_format import MAPS_NAME
from rmtools.validation import validate

if TYPE_CHECKING:
    from pathlib import Path

MOVING = ["traffic.trajectories=2", "traffic.frames=2", "city.tiles.count=3"]
BOTH = [*MOVING, "solver.static_maps=true"]
STILL = [
    "traffic.trajectories=0",
    "city.tiles.count=3",
    "solver.static_maps=true",
    "layouts.motion=null",
    "split.kind=geographic",
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("both")
    run(root, small(*BOTH), workers=2)
    return root


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("still")
    run(root, small(*STILL))
    return root


def test_the_report_counts_both_kinds(both: Path) -> None:
    page = (both / "report.html").read_text()
    assert "<dt>maps with vehicles</dt><dd>24</dd>" in page
    assert "<dt>maps without vehicles</dt><dd>6</dd>" in page
    assert "<dt>radio maps</dt>" not in page


def test_they_are_what_the_solver_gives_without_obstacles(both: Path) -> None:
    space = Workspace(both, small(*BOTH))
    solver = space.recipe.solver.build()
    for s in range(3):
        prepared = solver.prepare(space.scene(s))
        for k, (x, y, z) in enumerate(space.store.transmitters(s).tolist()):
            expected = solver.solve(prepared, Transmitter(x, y, z))
            np.testing.assert_allclose(space.store.static_map(s, k), expected, atol=1 / 256)


def test_the_other_maps_do_not_change(both: Path, tmp_path: Path) -> None:
    run(tmp_path, small(*MOVING), stages=["pathloss"])
    one, two = Store.open(both), Store.open(tmp_path)
    assert not two.has("pathloss_static")
    for s in range(3):
        for t in range(2):
            np.testing.assert_array_equal(one.pathloss_unit(s, t), two.pathloss_unit(s, t))


def test_the_same_maps_without_trajectories(both: Path, still: Path) -> None:
    one, two = Store.open(both), Store.open(still)
    assert two.map_arrays == ["pathloss_static"]
    assert (two.sizes.traj, two.sizes.frame, two.maps) == (0, 0, 6)
    for s in range(3):
        for k in range(2):
            np.testing.assert_array_equal(one.static_map(s, k), two.static_map(s, k))
    assert two.solver["frequency_mhz"] == 3500
    assert one.maps == 6 + 3 * 2 * 2 * 2 == plan(small(*BOTH))["maps"]
    assert plan(small(*STILL))["maps"] == 6


def test_both_are_valid_and_open_with_xarray(both: Path, still: Path) -> None:
    for root in (both, still):
        assert json.loads((root / "validation.json").read_text())["errors"] == 0
        with xarray.open_zarr(root / "store.zarr") as dataset:
            maps = dataset.pathloss_static
            assert maps.dims == ("scene", "tx", "y", "x")
            assert maps.attrs["units"] == "dB"
            missing = np.isnan(maps.values).all(axis=1)
            assert (missing == dataset.buildings.values.astype(bool)).all()
    assert validate(still).checked["static maps"] == 6


def test_one_file_a_scene_and_the_ledger_has_it(both: Path, still: Path) -> None:
    for root, unit in ((both, "001_00"), (still, "001")):
        entry = json.loads((root / f".rmtools/ledger/pathloss/{unit}.json").read_text())
        files = [file["path"] for file in entry["files"]]
        assert "store.zarr/pathloss_static/c/1/0/0/0" in files
    entry = json.loads((both / ".rmtools/ledger/pathloss/001_01.json").read_text())
    assert [file["path"] for file in entry["files"]] == ["store.zarr/pathloss/c/1/1/0/0/0/0"]


def test_a_wrong_map_is_found(still: Path, tmp_path: Path) -> None:
    import shutil

    root = shutil.copytree(still, tmp_path / "x")
    store = Store.open(root, mode="r+")
    maps = np.stack([store.static_map(1, k) for k in range(2)])
    maps[1] = np.nan
    free = np.argwhere(~store.buildings(1))[0]
    maps[0, *free] = 3.0
    store.write_static_maps(1, maps)
    found = [f"{f.where}: {f.what}" for f in validate(root).findings if f.level == "error"]
    assert any("tx 0, without vehicles: path loss: 1 pixels lose less" in text for text in found)
    assert any("tx 1, without vehicles: path loss was not written" in text for text in found)


def test_a_resumed_run_ends_with_the_same_bytes(both: Path, tmp_path: Path) -> None:
    run(tmp_path, small(*BOTH), stages=["pathloss"])
    for unit in ("000_00", "002"):
        (tmp_path / f".rmtools/ledger/pathloss/{unit}.json").unlink(missing_ok=True)
    run(tmp_path, small(*BOTH), stages=["pathloss"])
    assert sha256_tree(tmp_path / "store.zarr") == sha256_tree(both / "store.zarr")


def test_turned_off_again_they_are_removed(both: Path, tmp_path: Path) -> None:
    run(tmp_path, small(*STILL), stages=["pathloss"])
    run(tmp_path, small(*MOVING), stages=["pathloss"], overwrite=True)
    assert Store.open(tmp_path).map_arrays == ["pathloss"]


def test_nothing_to_solve_and_nothing_that_moves_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="there is no map to make"):
        run(tmp_path, small(*STILL, "solver.static_maps=false"), stages=["pathloss"])
    with pytest.raises(RecipeError, match="has no motion layout"):
        run(tmp_path, small(*STILL, "layouts.motion.names=paper"), stages=["motion"])
    with pytest.raises(RecipeError, match=r"solver\.static_maps is off"):
        run(tmp_path, small(*MOVING, "layouts.seer={}"), stages=["seer"])
    with pytest.raises(RecipeError, match="has 256 x 256 pixels of 1 m, this recipe 96"):
        run(tmp_path, small(*BOTH, "layouts.seer={}"), stages=["seer"])


def test_verbs_that_show_something_show_them(still: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["info", str(still), "--json"])
    assert json.loads(done.stdout)["maps"] == 6
    for what in ("map", "sheet", "scene"):
        picture = tmp_path / f"{what}.png"
        done = CliRunner().invoke(app, ["preview", str(still), "--what", what, "-o", str(picture)])
        assert done.exit_code == 0, done.output
        assert picture.is_file()
    done = CliRunner().invoke(
        app, ["preview", str(still), "--what", "sequence", "-o", str(tmp_path / "x.gif")]
    )
    assert done.exit_code != 0
    assert "Traceback" not in done.output
    report = (still / "report.html").read_text()
    assert "seen from 2 transmitters each, without vehicles." in report
    assert "has not been simulated" not in report


@pytest.mark.parametrize(
    ("name", "simulator"),
    [
        ("pathloss", None),
        ("pathloss_static", None),
        ("pathloss_irt2", "irt2"),
        ("pathloss_static_irt4", "irt4"),
    ],
)
def test_names_of_arrays(name: str, simulator: str | None) -> None:
    match = MAPS_NAME.fullmatch(name)
    assert match is not None
    assert match["simulator"] == simulator
    assert not MAPS_NAME.fullmatch("pathloss_")
    assert not MAPS_NAME.fullmatch("track_x")


def test_maps_of_further_simulators_stand_beside(tmp_path: Path) -> None:
    from fakes_store import make_store

    store = make_store(tmp_path, scenes=1, traj=1)
    store.create_static_maps({"solver": {"solver": "other"}}, "irt2")
    store.create_pathloss({"solver": {"solver": "other"}}, "irt2")
    maps = np.random.default_rng(0).uniform(50, 150, (2, 48, 48)).astype(np.float32)
    store.write_static_maps(0, maps, "irt2")
    store.write_pathloss(0, 0, np.repeat(maps[:, None], 15, axis=1), "irt2")
    again = Store.open(tmp_path)
    assert again.simulators == ["irt2"]
    assert again.map_arrays == ["pathloss", "pathloss_irt2", "pathloss_static_irt2"]
    assert np.abs(again.static_map(0, 1, "irt2") - maps[1]).max() <= 1 / 256
    assert np.abs(again.pathloss(0, 0, 1, "irt2") - maps[1]).max() <= 1 / 256
    assert again.solver["solver"] == "made up"
