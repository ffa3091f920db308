"""`rmtools package --layout hdf5` and `packed`, and `rmtools pack`: caches of foreign trees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fakes import make_seer_folder
from PIL import Image
from typer.testing import CliRunner

from rmtools.cli import app
from rmtools.errors import InputError, RecipeError
from rmtools.layouts.maps import open_maps
from rmtools.layouts.packed_reader import PackedMaps
from rmtools.run.recipe import load_recipe
from rmtools.run.runner import run
from rmtools.store import Store
from rmtools.units import SEER_SCALE

if TYPE_CHECKING:
    from click.testing import Result

DEMO = Path(__file__).resolve().parent.parent / "pipelines" / "demo.yaml"
TINY = [
    "grid.n=64",
    "city.tiles.count=2",
    "city.tiles.min_road_m=20",
    "traffic.trajectories=1",
    "traffic.frames=2",
    "traffic.vehicles=2",
    "transmitters.count=1",
    "transmitters.clear_of_roads=false",
    "solver.static_maps=true",
]


def rmtools(*arguments: object) -> Result:
    """Run a verb; errors of ours are raised as they are."""
    done = CliRunner().invoke(app, [*map(str, arguments)])
    if isinstance(done.exception, Exception):
        raise done.exception
    return done


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "helsinki"
    run(root, load_recipe(DEMO, TINY), stages=["pathloss"], workers=1)
    return root


def test_package_makes_both_files_once(dataset: Path) -> None:
    done = rmtools("package", dataset, "--layout", "hdf5", "-j", 1, "--json")
    path = dataset / "dataset.h5"
    assert json.loads(done.stdout)["paths"] == {"hdf5": str(path)}
    done = rmtools("package", dataset, "--layout", "packed", "-j", 1, "--json")
    assert json.loads(done.stdout)["paths"] == {"packed": str(dataset / "packed")}
    store, file, packed = (open_maps(dataset / n) for n in ("store.zarr", "dataset.h5", "packed"))
    assert store.kinds.keys() == {"pathloss", "pathloss_static"}
    for source in (file, packed):
        assert source.kinds == store.kinds
        for kind in store.kinds:
            np.testing.assert_array_equal(source.grey(kind, 1, 0, 0), store.grey(kind, 1, 0, 0))
    before = path.stat().st_mtime_ns
    again = json.loads(rmtools("package", dataset, "--layout", "hdf5", "--json").stdout)
    assert again["stages"][-1]["name"] == "hdf5"
    assert again["stages"][-1]["done_now"] == 0
    assert path.stat().st_mtime_ns == before


def test_values_of_the_cache_are_a_setting(dataset: Path) -> None:
    rmtools("package", dataset, "--layout", "packed", "--values", "float32", "--overwrite")
    packed = open_maps(dataset / "packed")
    loss = Store.open(dataset).pathloss(0, 0, 0)
    np.testing.assert_array_equal(packed.pathloss_db("pathloss", 0, 0, 0), loss)
    setting = "layouts.packed.scale=radiomapseer"
    rmtools("package", dataset, "--layout", "packed", "--values", "uint8", "--set", setting)
    packed = open_maps(dataset / "packed")
    np.testing.assert_array_equal(packed.grey("pathloss", 0, 0, 0), SEER_SCALE.encode(loss))


def test_pack_takes_radiomapseers_tree(tmp_path: Path) -> None:
    root = make_seer_folder(tmp_path / "seer", (3, 10), transmitters=4, gains=2)
    done = rmtools("pack", root, tmp_path / "cache")
    assert done.stdout.strip() == str(tmp_path / "cache")
    packed = PackedMaps(tmp_path / "cache")
    assert packed.scene_names == ["3", "10"]
    assert packed.scale == SEER_SCALE
    assert packed.kinds["DPM"][:3] == (1, 2, 1)
    image = np.asarray(Image.open(root / "gain/DPM/10_1.png"))
    np.testing.assert_array_equal(packed.grey("DPM", 1, 0, 1)[0], image)
    np.testing.assert_array_equal(packed.buildings(1), packed.arrays["buildings"][1] == 1)
    for tx in range(2):
        antenna = np.asarray(Image.open(root / f"png/antennas/10_{tx}.png"))
        np.testing.assert_array_equal(packed.transmitter_pixels(1)[tx], np.argwhere(antenna)[0])


def test_a_missing_map_is_named(tmp_path: Path) -> None:
    root = make_seer_folder(tmp_path / "seer", (3,), transmitters=4, gains=2)
    (root / "gain/DPM/3_0.png").unlink()
    with pytest.raises(InputError, match=r"gain/DPM/3_0\.png"):
        rmtools("pack", root, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    with pytest.raises(RecipeError, match="none is called 'IRT2'"):
        rmtools("pack", root, tmp_path / "cache", "--kind", "IRT2")
