"""Datasets: who is in, the same from every layout and worker, sample masks that tell nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fakes_store import make_store

from rmtools.errors import InputError, RecipeError
from rmtools.layouts.hdf5 import write_hdf5
from rmtools.layouts.maps import open_maps
from rmtools.layouts.motion import write_layout
from rmtools.layouts.packed import pack
from rmtools.layouts.selection import select
from rmtools.splits import SplitSet, make_manifest, write_manifest
from rmtools.store import Store
from rmtools.units import MOTION_SCALE

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.splits import SplitManifest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, Subset  # noqa: E402

from rmtools.layouts import SequenceForecast, SparseSamples, StaticMaps, collate  # noqa: E402
from rmtools.layouts.datasets import Rows  # noqa: E402

N, FRAMES = 32, 15
PLACES = ("store.zarr", "motion", "dataset.h5", "packed")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One dataset in every layout but RadioMapSeer's; the caches hold static maps as well."""
    root = tmp_path_factory.mktemp("loaders")
    store = make_store(root, n=N, scenes=3, traj=2, tx=2)
    write_layout(store, root / "motion")
    store.create_static_maps({"solver": {"solver": "made up"}})
    for scene in range(3):
        maps = np.stack([store.pathloss(scene, 0, tx)[0] - 1 for tx in range(2)])
        store.write_static_maps(scene, maps)
    write_hdf5(store, root / "dataset.h5")
    pack(open_maps(root), root / "packed")
    return root


def manifest(**sets: SplitSet) -> SplitManifest:
    return make_manifest(
        sets,
        name="by hand",
        method="geographic",
        description="for a test",
        dataset="A made-up dataset",
        leaky=False,
    )


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    return torch.equal(a, b)


# -- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
def test_forecasts_from_every_layout(root: Path, place: str) -> None:
    store = Store.open(root)
    data = SequenceForecast(root / place, window=(2, 8, 5))
    assert len(data) == 12
    item = data[7]  # scene 1, trajectory 1, transmitter 1
    ids = {key: int(value) for key, value in item["meta"].items() if key != "gain_db"}
    row, col = store.grid.pixel(*store.transmitters(1)[1, :2])
    assert ids == {"scene": 1, "traj": 1, "tx": 1, "frame": 10, "tx_row": row, "tx_col": col}
    truth = MOTION_SCALE.encode(store.pathloss(1, 1, 1)).astype(np.float32) / 255
    np.testing.assert_array_equal(item["input"][:, 0], truth[2:10])
    np.testing.assert_array_equal(item["target"][:, 0], truth[10:15])
    slope, intercept = item["meta"]["gain_db"]
    assert slope * 1.0 + intercept == pytest.approx(-39.5 + 95.5 / 255 / 2, abs=1e-4)


@pytest.mark.parametrize("place", PLACES)
def test_dynamic_maps_show_the_vehicles_of_their_frame(root: Path, place: str) -> None:
    store = Store.open(root)
    data = StaticMaps(root / place, task="dynamic", frames=[3, 14])
    assert len(data) == 3 * 2 * 2 * 2
    item = data[2 * 7 + 1]
    assert [int(item["meta"][key]) for key in ("scene", "traj", "tx", "frame")] == [1, 1, 1, 14]
    buildings, transmitter, vehicles = item["input"].numpy()
    np.testing.assert_array_equal(buildings, store.buildings(1))
    np.testing.assert_array_equal(vehicles, store.vehicle_masks(1, 1)[14])
    where = tuple(np.argwhere(transmitter)[0])
    assert transmitter.sum() == 1
    np.testing.assert_array_equal(where, store.grid.pixel(*store.transmitters(1)[1, :2]))
    truth = MOTION_SCALE.encode(store.pathloss(1, 1, 1))[14] / np.float32(255)
    np.testing.assert_array_equal(item["target"][0], truth)


def test_static_maps_are_those_without_vehicles(root: Path) -> None:
    data = StaticMaps(root / "packed")
    assert (data.kind, len(data)) == ("pathloss_static", 6)
    truth = MOTION_SCALE.encode(Store.open(root).static_map(2, 1)) / np.float32(255)
    np.testing.assert_array_equal(data[5]["target"][0], truth)
    assert StaticMaps(root / "packed", kind="pathloss").kind == "pathloss"  # if asked for
    with pytest.raises(RecipeError, match="none is called 'pathloss_static'"):
        StaticMaps(root / "packed", task="dynamic", kind="pathloss_static")


def test_description_says_what_the_numbers_are(root: Path) -> None:
    about = StaticMaps(root / "packed", convention="radiounet").describe()
    assert about["channels"] == ["buildings", "transmitter"]
    assert about["scale"]["gain_min_db"] == -135
    assert about["target"].startswith("gain in dB = 76.4 * target")
    assert "OpenStreetMap" in about["attribution"][0]


def test_indices_outside_are_refused(root: Path) -> None:
    data = StaticMaps(root / "packed")
    assert equal(data[-1], data[5])
    for index in (6, -7):
        with pytest.raises(IndexError):
            data[index]


# -- splits ------------------------------------------------------------------------------------


def test_sets_are_looked_up_by_name_and_keep_their_order(root: Path, tmp_path: Path) -> None:
    split = manifest(
        train=SplitSet(scenes=["fake_002", "fake_000"], transmitters=[1], sequences=4),
        test=SplitSet(scenes=["fake_001"], trajectories=[1], sequences=2),
    )
    write_manifest(tmp_path / "split.json", split)
    train = SequenceForecast(root / "packed", tmp_path / "split.json", "train")
    ids = [[int(item["meta"][key]) for key in ("scene", "traj", "tx")] for item in train]
    assert ids == [[2, 0, 1], [2, 1, 1], [0, 0, 1], [0, 1, 1]]
    assert len(StaticMaps(root / "packed", split, "test")) == 2  # both transmitters, no trajectory
    with pytest.raises(InputError, match="no set 'validation'"):
        SequenceForecast(root / "packed", split, "validation")
    with pytest.raises(InputError, match="without a split"):
        SequenceForecast(root / "packed", subset="train")


def test_what_the_dataset_has_not_is_refused(root: Path) -> None:
    source = open_maps(root / "packed")
    missing = manifest(train=SplitSet(scenes=["fake_000", "kallio"], sequences=8))
    with pytest.raises(InputError, match="no scene 'kallio' \\(1 are missing\\)"):
        select(source, "pathloss", missing, "train")
    for axis, word in (("trajectories", "trajectory 5"), ("transmitters", "transmitter 5")):
        split = manifest(train=SplitSet(scenes=["fake_000"], **{axis: [0, 5]}, sequences=2))
        with pytest.raises(InputError, match=word):
            select(source, "pathloss", split, "train")


def test_sets_that_differ_by_trajectory_only_are_no_sets_of_static_maps(root: Path) -> None:
    split = make_manifest(
        {
            name: SplitSet(scenes=["fake_000"], trajectories=[k], sequences=2)
            for k, name in enumerate(("train", "val"))
        },
        name="by trajectory",
        method="radiomapmotion",
        description="for a test",
        dataset="A made-up dataset",
        leaky=True,
        leaky_reason="shares scenes",
    )
    assert len(select(open_maps(root / "packed"), "pathloss", split, "val")) == 2
    with pytest.raises(InputError, match="the same maps would be in both"):
        StaticMaps(root / "packed", split, "val")


# -- windows -----------------------------------------------------------------------------------


def test_windows_stay_inside_their_sequence(root: Path) -> None:
    data = SequenceForecast(root / "packed", window=(1, 4, 2), stride=3)
    assert len(data) == 12 * 3  # frames 1, 4 and 7 begin windows of 6 frames
    firsts = {int(data[k]["meta"]["frame"]) - 4 for k in range(len(data))}
    assert firsts == {1, 4, 7}
    last = data[len(data) - 1]
    truth = MOTION_SCALE.encode(Store.open(root).pathloss(2, 1, 1)) / np.float32(255)
    np.testing.assert_array_equal(torch.cat([last["input"], last["target"]])[:, 0], truth[7:13])
    for window in ((0, 11, 5), (-1, 3, 3), (0, 0, 5), (0, 5, 0)):
        with pytest.raises(RecipeError, match="windows of"):
            SequenceForecast(root / "packed", window=window)


# -- batches and workers -----------------------------------------------------------------------


def test_a_batch_is_the_same_however_it_is_put_together(root: Path) -> None:
    data = SparseSamples(root / "packed", samples=(5, 9))
    rows = data.__getitems__([4, 1, 1])
    assert isinstance(rows, Rows)
    assert equal(collate(rows), torch.utils.data.default_collate(list(rows)))
    assert equal(rows[-3], data[4])
    assert collate(rows)["input"].data_ptr() == rows.batch["input"].data_ptr()
    assert equal(collate([data[4], data[1]]), collate(data.__getitems__([4, 1])))
    halves = next(iter(DataLoader(Subset(data, [4, 1, 1]), batch_size=3, collate_fn=collate)))
    assert equal(halves, collate(rows))
    assert equal(next(iter(DataLoader(Subset(data, [4, 1, 1]), batch_size=3))), collate(rows))


@pytest.mark.parametrize(
    ("place", "start", "dtype"),
    [
        ("packed", "fork", "uint8"),
        ("packed", "spawn", "float32"),
        ("store.zarr", "fork", "float32"),
        ("dataset.h5", "fork", "uint8"),
    ],
)
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork beside threads
def test_workers_change_nothing(root: Path, place: str, start: str, dtype: Any) -> None:
    data = SparseSamples(root / place, samples=(3, 20), seed=4, dtype=dtype)
    alone = list(DataLoader(data, batch_size=2, collate_fn=collate))
    data[0]  # the parent has files open when its workers start
    loader = DataLoader(
        data,
        batch_size=2,
        collate_fn=collate,
        num_workers=2 if start == "fork" else 1,
        multiprocessing_context=start,
    )
    assert all(equal(a, b) for a, b in zip(alone, loader, strict=True))


def test_layouts_load_without_torch() -> None:
    code = (
        "import sys\nimport rmtools.layouts\nfrom rmtools.layouts import open_maps, pack\n"
        "assert 'torch' not in sys.modules\nsys.modules['torch'] = None\n"
        "try:\n    from rmtools.layouts import StaticMaps\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("MissingError StaticMaps needs PyTorch")


# -- sample masks ------------------------------------------------------------------------------


def pixels(data: SparseSamples) -> list[list[int]]:
    return [data.sample_mask(s, k).tolist() for s in range(3) for k in range(2)]


def test_masks_depend_on_seed_scene_and_transmitter_only(root: Path, tmp_path: Path) -> None:
    ours = pixels(SparseSamples(root / "packed", samples=20, seed=7))
    assert len({tuple(mask) for mask in ours}) == 6  # other scenes and transmitters, other masks
    for place in ("store.zarr", "dataset.h5"):
        assert pixels(SparseSamples(root / place, samples=20, seed=7)) == ours
    dynamic = SparseSamples(root / "packed", samples=20, seed=7, task="sparse-dynamic")
    assert pixels(dynamic) == ours
    assert equal(dynamic[0]["mask"], dynamic[14]["mask"])  # receivers stay where they are
    assert pixels(SparseSamples(root / "packed", samples=20, seed=8)) != ours
    # other values of the maps, another order of the scenes: the same masks
    store = make_store(tmp_path, n=N, scenes=3, traj=1, tx=2, frames=1)
    store.create_static_maps({})
    for scene in range(3):
        store.write_static_maps(scene, np.full((2, N, N), 77.0))
    assert pixels(SparseSamples(tmp_path, samples=20, seed=7)) == ours


def test_masks_avoid_buildings_and_reach_every_other_pixel(root: Path) -> None:
    free = ~Store.open(root).buildings(1)
    data = SparseSamples(root / "packed", samples=int(free.sum()))
    np.testing.assert_array_equal(data[2]["mask"][0], free)  # the last row and column, too
    everywhere = SparseSamples(root / "packed", samples=N * N, avoid_buildings=False)
    assert everywhere[2]["mask"].all()
    too_many = SparseSamples(root / "packed", samples=int(free.sum()) + 1)
    with pytest.raises(RecipeError, match="pixels without building"):
        too_many[2]


def test_numbers_of_samples_are_those_asked_for(root: Path) -> None:
    data = SparseSamples(root / "packed", samples=(3, 6))
    counts = set()
    for epoch in range(12):
        data.set_epoch(epoch)
        for k in range(6):
            mask = data[k]["mask"]
            assert mask.sum() == len(data.sample_mask(k // 2, k % 2))
            counts.add(int(mask.sum()))
    assert counts == {3, 4, 5, 6}
    for samples in (0, (5, 3), N * N + 1):
        with pytest.raises(RecipeError, match="samples of a map"):
            SparseSamples(root / "packed", samples=samples)


def test_a_sample_of_value_zero_is_still_a_sample(root: Path, tmp_path: Path) -> None:
    store = make_store(tmp_path, n=N, scenes=1, traj=1, tx=1, frames=1)
    store.create_static_maps({})
    store.write_static_maps(0, np.full((1, N, N), 200.0))  # far below the scale
    item = SparseSamples(tmp_path, samples=30)[0]
    samples, mask = item["input"][2], item["input"][3]
    assert samples.abs().max() == 0
    assert mask.sum() == 30
    assert equal(mask, item["mask"][0].float())


def test_an_epoch_reaches_workers_that_run_already(root: Path) -> None:
    data = SparseSamples(root / "packed", samples=20)
    loader = DataLoader(
        data, batch_size=6, collate_fn=collate, num_workers=1, persistent_workers=True
    )
    first = next(iter(loader))["mask"]
    assert equal(next(iter(loader))["mask"], first)
    data.set_epoch(1)
    assert not equal(next(iter(loader))["mask"], first)
    data.set_epoch(0)
    assert equal(next(iter(loader))["mask"], first)


def test_samples_of_an_epoch_whatever_epoch_is_set(root: Path) -> None:
    data = SparseSamples(root / "packed", samples=20)
    data.set_epoch(3)
    third, other = data[0]["mask"], data.at_epoch(1)
    assert equal(data.at_epoch(3)[0]["mask"], third)
    data.set_epoch(1)
    assert equal(other[0]["mask"], data[0]["mask"])
    assert not equal(other[0]["mask"], third)
    still = StaticMaps(root / "packed", kind="pathloss_static")
    assert equal(still.at_epoch(7)[0]["input"], still[0]["input"])
