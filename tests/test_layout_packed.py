"""The packed cache: what it holds, that it is found, shared and refused when damaged."""

from __future__ import annotations

import json
import pickle
import shutil
from typing import TYPE_CHECKING

import jsonschema
import numpy as np
import pytest
from fakes_store import make_store

from rmtools.errors import InputError, RecipeError
from rmtools.layouts.maps import LayerMissingError, open_maps
from rmtools.layouts.motion import write_layout
from rmtools.layouts.packed import pack
from rmtools.layouts.packed_format import PackedDescription
from rmtools.layouts.packed_reader import PackedMaps
from rmtools.units import MOTION_SCALE, SEER_SCALE

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.store import Store

N = 24


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset folder with a store, a motion layout and a cache of the store."""
    root = tmp_path_factory.mktemp("packed")
    store = make_store(root, n=N, scenes=2, traj=2, tx=3, frames=4)
    write_layout(store, root / "motion")
    pack(open_maps(root), root / "packed")
    return root


@pytest.fixture(scope="module")
def store(root: Path) -> Store:
    from rmtools.store import Store

    return Store.open(root)


def test_plain_numpy_reads_it(root: Path, store: Store) -> None:
    maps = np.load(root / "packed/pathloss.npy", mmap_mode="r", allow_pickle=False)
    assert maps.shape == (2, 2, 3, 4, N, N)
    assert maps.dtype == np.uint8
    for s, t, k in np.ndindex(2, 2, 3):
        np.testing.assert_array_equal(maps[s, t, k], MOTION_SCALE.encode(store.pathloss(s, t, k)))
    vehicles = np.load(root / "packed/vehicles.npy", mmap_mode="r")
    buildings = np.load(root / "packed/buildings.npy", mmap_mode="r")
    for s in range(2):
        np.testing.assert_array_equal(buildings[s], store.buildings(s))
        for t in range(2):
            np.testing.assert_array_equal(vehicles[s, t], store.vehicle_masks(s, t))


def test_pixels_of_transmitters_hold_the_strongest_value(root: Path, store: Store) -> None:
    pixels = np.load(root / "packed/transmitter_pixels.npy")
    for s, k in np.ndindex(2, 3):
        first = store.pathloss(s, 0, k)[0]
        assert first[tuple(pixels[s, k])] == np.nanmin(first)


def test_layouts_agree(root: Path) -> None:
    sources = [open_maps(root / name) for name in ("store.zarr", "motion", "packed")]
    assert [source.layout for source in sources] == ["store", "motion", "packed"]
    first = sources[0]
    for other in sources[1:]:
        assert other.scene_names == first.scene_names
        assert other.kinds == first.kinds
        assert other.scale == first.scale
        for index in np.ndindex(2, 2, 3):
            np.testing.assert_array_equal(
                other.grey("pathloss", *index), first.grey("pathloss", *index)
            )
        np.testing.assert_array_equal(other.vehicles(1, 1), first.vehicles(1, 1))
        np.testing.assert_array_equal(other.buildings(1), first.buildings(1))
        np.testing.assert_array_equal(other.roads(1), first.roads(1))
        np.testing.assert_array_equal(other.building_height(1), first.building_height(1))
        np.testing.assert_array_equal(other.transmitter_pixels(1), first.transmitter_pixels(1))
    np.testing.assert_array_equal(
        sources[2].grey("pathloss", 1, 0, 2, slice(1, 3)), first.grey("pathloss", 1, 0, 2)[1:3]
    )


def test_grey_levels_decode_to_half_a_level(root: Path, store: Store) -> None:
    found = open_maps(root / "packed").pathloss_db("pathloss", 1, 0, 2)
    true = store.pathloss(1, 0, 2)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(true))
    assert np.nanmax(np.abs(found - true)) <= MOTION_SCALE.step_db / 2 + 1e-4


@pytest.mark.parametrize(("values", "error_db"), [("float32", 0.0), ("float16", 0.0625)])
def test_packed_path_loss(
    root: Path, store: Store, tmp_path: Path, values: str, error_db: float
) -> None:
    pack(open_maps(root), tmp_path / "cache", values=values)  # type: ignore[arg-type]
    packed = open_maps(tmp_path / "cache", "radiomapseer")
    true = store.pathloss(1, 1, 2)
    found = packed.pathloss_db("pathloss", 1, 1, 2)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(found), np.isnan(true))
    assert np.nanmax(np.abs(found - true)) <= error_db
    np.testing.assert_array_equal(
        packed.grey("pathloss", 1, 1, 2), SEER_SCALE.encode(packed.pathloss_db("pathloss", 1, 1, 2))
    )


def test_the_same_source_gives_the_same_bytes(root: Path, tmp_path: Path) -> None:
    pack(open_maps(root), tmp_path / "a")
    pack(open_maps(root / "motion"), tmp_path / "b")
    for path in (tmp_path / "a").glob("*.npy"):
        assert path.read_bytes() == (root / "packed" / path.name).read_bytes()
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_description_satisfies_its_schema(root: Path) -> None:
    about = json.loads((root / "packed/packed.json").read_text())
    jsonschema.validate(about, PackedDescription.model_json_schema())
    assert about["scale"]["gain_min_db"] == -135
    assert "OpenStreetMap" in about["attribution"][0]
    assert PackedMaps(root / "packed").verify() == []


def test_a_source_travels_as_its_path(root: Path) -> None:
    data = pickle.dumps(open_maps(root / "packed"))
    assert len(data) < 2000
    again = pickle.loads(data)  # noqa: S301 - our own
    np.testing.assert_array_equal(
        again.grey("pathloss", 1, 0, 1), open_maps(root).grey("pathloss", 1, 0, 1)
    )


def test_images_without_description_make_a_cache_of_images(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "motion/png", tmp_path / "data/png")
    pack(open_maps(tmp_path / "data"), tmp_path / "cache")
    packed = open_maps(tmp_path / "cache")
    assert packed.scene_names == ["env_000", "env_001"]
    np.testing.assert_array_equal(
        packed.grey("pathloss", 1, 0, 1), open_maps(root).grey("pathloss", 1, 0, 1)
    )
    with pytest.raises(LayerMissingError, match="no buildings"):
        packed.buildings(0)


def test_a_killed_run_leaves_nothing_that_looks_finished(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(open_maps(root), tmp_path / "cache")
    before = (tmp_path / "cache/packed.json").read_bytes()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(open_maps(root), tmp_path / "cache", values="float32", progress=stop)
    assert (tmp_path / "cache/packed.json").read_bytes() == before
    assert PackedMaps(tmp_path / "cache").verify() == []
    pack(open_maps(root), tmp_path / "cache", values="float32")
    assert not (tmp_path / "cache.partial").exists()
    assert PackedMaps(tmp_path / "cache").description.values == "float32"


def test_what_was_not_computed_is_an_error_and_not_zeros(tmp_path: Path) -> None:
    store = make_store(tmp_path, n=N, scenes=1, traj=1, tx=2, frames=2)
    loss = store.pathloss_unit(0, 0)
    loss[1] = np.nan
    store.write_pathloss(0, 0, loss)
    source = open_maps(tmp_path)
    with pytest.raises(InputError, match=r"'fake_000' has no pathloss of .* transmitter 1"):
        pack(source, tmp_path / "cache")
    pack(source, tmp_path / "cache", transmitters=1)
    assert open_maps(tmp_path / "cache").kinds["pathloss"].tx == 1


def test_other_folders_are_left_alone(root: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    with pytest.raises(RecipeError, match="something else"):
        pack(open_maps(root), tmp_path / "mine")
    assert (tmp_path / "mine/thesis.txt").read_text() == "years of work"


def test_unknown_values_kinds_and_scales_are_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="int4"):
        pack(open_maps(root), tmp_path / "x", values="int4")  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="none is called 'IRT2'"):
        pack(open_maps(root), tmp_path / "x", kinds=["IRT2"])
    with pytest.raises(RecipeError, match="not in radiomapseer"):
        open_maps(root / "packed", "radiomapseer")


def test_nothing_there_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no radio maps .*packed\.json.*store\.zarr.*gain/DPM"):
        open_maps(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        open_maps(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a["scenes"].append("one_more"), "expected float32"),
        (lambda a: a.update(n=N * 2), "expected"),
        (lambda a: a["kinds"]["pathloss"].update(frame=3), "expected"),
        (lambda a: a["kinds"].update(more=a["kinds"]["pathloss"]), "do not fit"),
        (lambda a: a["arrays"].update(more=a["arrays"]["roads"]), "do not fit"),
        (lambda a: a["arrays"]["roads"].update(file="../roads.npy"), "file"),
        (lambda a: a["arrays"]["roads"].update(dtype="object"), "dtype"),
        (lambda a: a["arrays"]["roads"].update(size=10**15), "expected"),
        (lambda a: a["arrays"]["roads"].update(shape=[2**40, 2**40]), "expected"),
        (lambda a: a.update(values="float32"), "expected float32"),
        (lambda a: a.update(surprise=1), "surprise"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(
    root: Path, tmp_path: Path, change: object, message: str
) -> None:
    shutil.copytree(root / "packed", tmp_path / "cache")
    about = json.loads((tmp_path / "cache/packed.json").read_text())
    change(about)  # type: ignore[operator]
    (tmp_path / "cache/packed.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match=message):
        open_maps(tmp_path / "cache")


@pytest.mark.parametrize("keep", [0, 40, 128, 600])
def test_files_that_were_cut_off_are_refused(root: Path, tmp_path: Path, keep: int) -> None:
    shutil.copytree(root / "packed", tmp_path / "cache")
    victim = tmp_path / "cache/pathloss.npy"
    victim.write_bytes(victim.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"pathloss\.npy"):
        open_maps(tmp_path / "cache")


def test_verify_finds_a_changed_pixel(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "packed", tmp_path / "cache")
    data = bytearray((tmp_path / "cache/pathloss.npy").read_bytes())
    data[-5] ^= 1
    (tmp_path / "cache/pathloss.npy").write_bytes(data)
    assert PackedMaps(tmp_path / "cache").verify() == ["pathloss.npy"]


def test_pickled_objects_are_never_loaded(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "packed", tmp_path / "cache")
    about = json.loads((tmp_path / "cache/packed.json").read_text())
    np.save(tmp_path / "cache/roads.npy", np.array([print], object), allow_pickle=True)
    about["arrays"]["roads"]["size"] = (tmp_path / "cache/roads.npy").stat().st_size
    (tmp_path / "cache/packed.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match=r"roads\.npy"):
        open_maps(tmp_path / "cache")
