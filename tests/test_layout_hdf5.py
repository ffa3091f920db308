"""The HDF5 layout: complete, self-describing, read back exactly, and read with suspicion."""

from __future__ import annotations

import pickle
import shutil
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from fakes_store import make_store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rmtools.errors import InputError
from rmtools.layouts.hdf5 import write_hdf5
from rmtools.layouts.maps import open_maps
from rmtools.layouts.motion import write_layout
from rmtools.layouts.to_store import restore
from rmtools.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

N = 24


def same(ours: Store, theirs: Store) -> None:
    """Two stores hold the same: arrays, types, attributes."""
    assert ours.array_names == theirs.array_names
    for name in ours.array_names:
        a, b = ours.array(name), theirs.array(name)
        assert a.dtype == b.dtype
        assert (a.chunks, a.shards) == (b.chunks, b.shards)
        assert a.metadata.dimension_names == b.metadata.dimension_names
        assert dict(a.attrs) == dict(b.attrs), name
        np.testing.assert_array_equal(a[:], b[:], err_msg=name)
    assert ours.attributes == theirs.attributes


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with a store and the HDF5 file of it."""
    root = tmp_path_factory.mktemp("hdf5")
    store = make_store(root, n=N, scenes=2, traj=2, tx=3, frames=4, long="x" * 70_000)
    static = np.stack([store.pathloss(1, 0, tx)[0] for tx in range(3)])
    store.create_static_maps({"solver": {"solver": "made up"}})
    store.create_static_maps({"imported_from": "a test"}, "irt4")
    for scene in range(2):
        store.write_static_maps(scene, static + scene)
        static[2] = np.nan  # as IRT4 of RadioMapSeer: not all transmitters
        store.write_static_maps(scene, static, "irt4")
    write_hdf5(store, root / "dataset.h5")
    return root


def test_h5py_alone_finds_values_units_and_sign(root: Path) -> None:
    store = Store.open(root)
    with h5py.File(root / "dataset.h5") as file:
        loss = file["pathloss"]
        np.testing.assert_array_equal(loss[1, 1, 2], store.pathloss(1, 1, 2))
        assert loss.attrs["units"] == "dB"
        assert loss.attrs["sign"] == "positive loss; gain = -path loss"
        assert "NaN" in loss.attrs["missing"]
        assert [loss.dims[axis][0].name for axis in range(6)] == [
            *("/scene", "/traj", "/tx", "/frame", "/y", "/x")
        ]
        assert loss.chunks == (1, 1, 1, 4, N, N)
        assert loss.compression == "gzip"
        assert file["y"].attrs["units"] == "m"
        assert "OpenStreetMap" in file.attrs["attribution"][0]
        assert '"sha256"' in file["scenes_json"].asstr()[0]


def test_store_to_hdf5_and_back_loses_nothing(root: Path, tmp_path: Path) -> None:
    same(Store.open(root), restore(root / "dataset.h5", tmp_path / "store.zarr"))


def test_the_same_store_gives_the_same_bytes(root: Path, tmp_path: Path) -> None:
    write_hdf5(Store.open(root), tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == (root / "dataset.h5").read_bytes()


def test_a_source_of_maps(root: Path) -> None:
    file, store = open_maps(root / "dataset.h5"), open_maps(root)
    assert (file.layout, store.layout) == ("hdf5", "store")
    assert file.kinds == store.kinds
    again = pickle.loads(pickle.dumps(file))  # noqa: S301 - our own
    for source in (file, again):
        for kind in ("pathloss", "pathloss_static"):
            np.testing.assert_array_equal(source.grey(kind, 1, 0, 1), store.grey(kind, 1, 0, 1))
        np.testing.assert_array_equal(source.vehicles(1, 1), store.vehicles(1, 1))
        np.testing.assert_array_equal(source.transmitter_pixels(1), store.transmitter_pixels(1))
        np.testing.assert_array_equal(source.inside_buildings(1), store.inside_buildings(1))
    with pytest.raises(InputError, match=r"no pathloss_static_irt4 of .* transmitter 2"):
        file.grey("pathloss_static_irt4", 1, 0, 2)


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_store_survives_both_round_trips(tmp_path_factory: Any, data: st.DataObject) -> None:
    """Random sizes and values, NaN in odd places, through HDF5 and through RadioMapMotion."""
    root = tmp_path_factory.mktemp("trip")
    sizes = {
        "n": data.draw(st.integers(24, 32)),
        "scenes": data.draw(st.integers(1, 2)),
        "traj": data.draw(st.integers(1, 2)),
        "tx": data.draw(st.integers(1, 3)),
        "frames": data.draw(st.integers(1, 3)),
        "seed": data.draw(st.integers(0, 1000)),
    }
    store = make_store(root, **sizes)
    random = np.random.default_rng(sizes["seed"])
    shape = store.pathloss_unit(0, 0).shape
    loss = random.uniform(0, 400, shape)
    loss[random.random(shape) < 0.3] = np.nan
    loss[..., 0, 0] = 100.0
    store.write_pathloss(0, 0, loss)
    stored = store.pathloss_unit(0, 0)
    assert np.nanmax(np.abs(stored - loss)) <= 2.0**-8 + 4e-5  # half a quantum and float32
    write_hdf5(store, root / "file.h5")
    write_layout(store, root / "motion")
    same(store, restore(root / "file.h5", root / "from_hdf5.zarr"))
    same(store, restore(root / "motion", root / "from_motion.zarr"))


def test_images_alone_do_not_make_a_store(root: Path, tmp_path: Path) -> None:
    write_layout(Store.open(root), tmp_path / "motion")
    (tmp_path / "motion/dataset.json").unlink()
    with pytest.raises(InputError, match="images alone"):
        restore(tmp_path / "motion", tmp_path / "store.zarr")
    assert not (tmp_path / "store.zarr").exists()


def test_a_failed_restore_leaves_the_old_store(root: Path, tmp_path: Path) -> None:
    make_store(tmp_path, n=12, scenes=1, traj=1, tx=1, frames=1)
    before = Store.open(tmp_path).attributes
    data = bytearray((root / "dataset.h5").read_bytes())
    with h5py.File(root / "dataset.h5") as file:
        where = file["pathloss"].id.get_chunk_info(0).byte_offset
    data[where : where + 40] = bytes(40)
    (tmp_path / "bad.h5").write_bytes(data)
    with pytest.raises(InputError, match="not a dataset in the HDF5 layout"):
        restore(tmp_path / "bad.h5", tmp_path / "store.zarr")
    assert Store.open(tmp_path).attributes == before


def test_a_store_without_maps_is_refused(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "store.zarr", tmp_path / "store.zarr")
    store = Store.open(tmp_path, "r+")
    store.remove(store.map_arrays)
    with pytest.raises(InputError, match="no path loss"):
        write_hdf5(store, tmp_path / "dataset.h5")
    assert not (tmp_path / "dataset.h5").exists()


def _replace(file: Any, name: str, **how: Any) -> None:
    del file[name]
    file.create_dataset(name, **how)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.attrs.update(rmtools_layout="other"), "does not call itself"),
        (lambda f: f.attrs.update(format=2), "does not call itself"),
        (lambda f: f.attrs.update(resolution_m=-1.0), "resolution"),
        (lambda f: f.attrs.update(licence=[1, 2], json_attributes=["licence"]), "TypeError"),
        (lambda f: _replace(f, "pathloss", shape=(2,) * 6, dtype="f4"), "pathloss is float32"),
        (lambda f: _replace(f, "scene", shape=(10**9,), dtype="i4"), "'scene' has chunks"),
        (lambda f: _replace(f, "tx", shape=(0,), dtype="i4"), "dimension 'tx'"),
        (lambda f: _replace(f, "frame", shape=(10**5,), dtype="i4"), "expected"),
        (lambda f: _replace(f, "x", shape=(7,), dtype="f8"), "expected"),
        (lambda f: _replace(f, "roads", shape=(2, N, N), dtype="f8"), "roads is float64"),
        (lambda f: _replace(f, "roads", shape=(2, N, N), dtype="u1", compression="lzf"), "stored"),
        (
            lambda f: _replace(
                f, "roads", shape=(2, N, N), dtype="u1", external=[("/etc/passwd", 0, 2 * N * N)]
            ),
            "stored in a way",
        ),
        (lambda f: f.create_dataset("surprise", data=[1]), "unknown array 'surprise'"),
        (lambda f: f.create_group("tracks"), "tracks"),
        (lambda f: f.pop("buildings"), "buildings is missing"),
        (lambda f: _replace(f, "scenes_json", data=["{}"] * 2), "KeyError"),
        (lambda f: _replace(f, "scenes_json", data=["{"] * 2), "JSON"),
        (lambda f: _replace(f, "scenes_json", data=["[" * 100_000] * 2), "Recursion"),
    ],
)
def test_odd_files_are_refused(
    root: Path, tmp_path: Path, change: Callable[[Any], object], message: str
) -> None:
    path = tmp_path / "odd.h5"
    shutil.copy(root / "dataset.h5", path)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(InputError, match=message):
        open_maps(path)


def test_links_to_other_files_are_refused(root: Path, tmp_path: Path) -> None:
    for link in (
        h5py.ExternalLink(str(root / "dataset.h5"), "/roads"),
        h5py.SoftLink("/buildings"),
    ):
        path = tmp_path / "linked.h5"
        shutil.copy(root / "dataset.h5", path)
        with h5py.File(path, "r+") as file:
            del file["roads"]
            file["roads"] = link
        with pytest.raises(InputError, match="'roads' is not an array of this file"):
            open_maps(path)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(keep=st.floats(0, 0.999), flip=st.integers(0, 10**6))
def test_truncated_and_flipped_files_never_crash(
    root: Path, tmp_path: Path, keep: float, flip: int
) -> None:
    data = bytearray((root / "dataset.h5").read_bytes())
    data[9 + flip % (len(data) - 9)] ^= 0xFF
    path = tmp_path / "broken.h5"
    for broken in (data, data[: int(keep * len(data))]):
        path.write_bytes(broken)
        try:
            source = open_maps(path)
            source.pathloss_db("pathloss", 1, 1, 2)
            source.buildings(0)
        except InputError:
            pass
