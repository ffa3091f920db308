"""The RadioMapMotion layout: written as published, read back equal, hostile files refused."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fakes_store import make_store
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from rmtools.errors import InputError, RecipeError
from rmtools.files import sha256_files, sha256_tree, walk_files
from rmtools.grid import Grid
from rmtools.layouts.motion import (
    MotionLayout,
    grid_receivers,
    write_description,
    write_layout,
    write_scene,
    write_unit,
)
from rmtools.layouts.motion_format import NPZ_KEYS, MotionDescription
from rmtools.store import Store
from rmtools.units import MOTION_SCALE

if TYPE_CHECKING:
    from pathlib import Path

N = 32


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("store"), n=N, scenes=2, traj=2, tx=2)  # 15 frames


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("small"), n=N, scenes=2, traj=2, tx=1, frames=2)


@pytest.fixture(scope="module")
def both(store: Store) -> Path:
    """A dataset folder with both kinds of names; tests only read it."""
    write_layout(store, store.path.parent / "motion", names="both")
    return store.path.parent


# -- placing receivers -------------------------------------------------------------------------


@given(st.data())
def test_receivers_follow_equation_4(data: st.DataObject) -> None:
    n = data.draw(st.integers(8, 40))
    grid = Grid(n, data.draw(st.sampled_from([0.5, 1.0, 2.0])))
    cells = data.draw(
        st.lists(st.tuples(st.integers(1, n), st.integers(1, n)), unique=True, max_size=30)
    )
    shift = data.draw(st.floats(0.001, 1.0))
    # a receiver anywhere in the half-open cell (i - 1, i] has ceil(x) = i
    x = np.array([(i - 1 + shift) * grid.resolution_m for i, _ in cells])
    y = np.array([(j - 1 + shift) * grid.resolution_m for _, j in cells])
    raster = grid_receivers(x, y, np.arange(len(cells)), grid)
    expected = np.full((n, n), np.nan)
    for value, (i, j) in enumerate(cells):
        expected[n - j, i - 1] = value
    np.testing.assert_array_equal(raster, expected)


def test_receivers_on_and_near_edges() -> None:
    grid = Grid(8)
    raster = grid_receivers([0, 8.0000001, 3, 3 + 1e-9], [0, 8.005, 3, 7.5], [1, 2, 3, 4], grid)
    assert raster[7, 0] == 1  # the rule gives -1 there
    assert raster[0, 7] == 2  # a hair outside
    assert raster[5, 2] == 3  # a whole number goes to the lower cell
    assert raster[0, 2] == 4  # and so does one that misses it by a rounding error
    assert np.count_nonzero(~np.isnan(raster)) == 4


@given(st.permutations(range(6)))
def test_nearest_to_the_centre_wins(order: list[int]) -> None:
    x = np.array([3.5, 3.1, 3.9, 3.5, 3.4, 3.45])
    y = np.array([3.9, 3.5, 3.5, 3.1, 3.4, 3.52])
    raster = grid_receivers(x[order], y[order], np.arange(6.0)[order], Grid(8))
    assert raster[4, 3] == 5


def test_receivers_ties_missing_and_outside() -> None:
    tied = grid_receivers([3.3, 3.7], [3.5, 3.5], [10, 20], Grid(8))
    assert tied[4, 3] == 10
    hidden = grid_receivers([3.5, 3.3], [3.5, 3.5], [np.nan, 20], Grid(8))
    assert hidden[4, 3] == 20
    for x in (-0.02, 8.02, np.nan, np.inf):
        with pytest.raises(InputError, match="1 of 2 receivers"):
            grid_receivers([1, x], [1, 1], [0, 0], Grid(8))


# -- round trip --------------------------------------------------------------------------------


def test_npz_is_exact_and_png_is_the_papers_equation(store: Store, both: Path) -> None:
    layout = MotionLayout(both)
    assert layout.sizes.scene == 2
    for s, t, k in np.ndindex(2, 2, 2):
        loss = store.pathloss(s, t, k)
        for f in (0, 7, 14):
            np.testing.assert_array_equal(layout.pathloss_db(s, t, k, f), loss[f])
            # equations 5 and 6, written out independently
            unit = (np.clip(-loss[f].astype(float), -135, -39.5) + 135) / 95.5
            expected = np.nan_to_num(np.floor(255 * unit), nan=0)
            np.testing.assert_array_equal(layout.grey(s, t, k, f), expected)
    np.testing.assert_array_equal(layout.sequence(1, 1, 1)[4], layout.grey(1, 1, 1, 4))


def test_images_alone_give_half_a_level(store: Store, both: Path, tmp_path: Path) -> None:
    shutil.copytree(both / "motion", tmp_path / "motion", ignore=lambda *_: {"npz"})
    layout = MotionLayout(tmp_path)
    loss, decoded = store.pathloss(0, 1, 1)[3], layout.pathloss_db(0, 1, 1, 3)
    np.testing.assert_array_equal(np.isnan(decoded), store.buildings(0))
    inside = (loss > 39.5) & (loss < 135)
    assert np.abs(decoded - loss)[inside].max() <= 95.5 / 255 / 2 + 1e-4


@given(hnp.arrays(np.float32, (8, 8), elements=st.floats(39.625, 134.875, width=32)))
def test_decoding_any_map_within_the_clip_range(loss: np.ndarray) -> None:
    decoded = MOTION_SCALE.decode(MOTION_SCALE.encode(loss))
    assert np.abs(decoded - loss).max() <= 95.5 / 255 / 2 + 1e-4


def test_published_check_values() -> None:
    loss = np.array([43.32, 68.32, 93.32, 135.0, 39.5, np.nan])
    assert MOTION_SCALE.encode(loss).tolist() == [244, 178, 111, 0, 255, 0]


def test_side_data_comes_back(store: Store, both: Path) -> None:
    layout = MotionLayout(both)
    for s in range(2):
        np.testing.assert_array_equal(layout.buildings(s), store.buildings(s))
        np.testing.assert_array_equal(layout.roads(s), store.roads(s))
        np.testing.assert_array_equal(layout.building_height(s), store.building_height(s))
        np.testing.assert_array_equal(layout.transmitters(s), store.transmitters(s))
        for t in range(2):
            ours, theirs = layout.tracks(s, t), store.tracks(s, t)
            for name in ("x", "y", "heading_deg", "speed_mps", "state"):
                np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
            assert ours.size == theirs.size
            masks = [layout.vehicles(s, t, f) for f in range(15)]
            np.testing.assert_array_equal(masks, store.vehicle_masks(s, t))


def test_transmitter_table_names_the_pixel_of_the_strongest_value(both: Path) -> None:
    table = (both / "motion/environment/env_001/transmitters.csv").read_text().splitlines()
    layout = MotionLayout(both)
    for line in table[1:]:
        tx, *_, row, col = line.split(",")
        loss = layout.pathloss_db(1, 0, int(tx), 0)
        assert loss[int(row), int(col)] == np.nanmin(loss)


# -- what others read --------------------------------------------------------------------------


def released_loader_sequences(data: Path, environments: int, trajectories: list[int]) -> list:
    """The released loader's conventions, restated: data_loader.py of UNIC-Lab/RadioMapMotion."""
    sequences = []
    for env in range(environments):
        for traj in trajectories:
            folder = data / "gain" / f"env_{env:03d}" / f"traj_{traj:02d}"
            for tx in sorted(p.name for p in folder.iterdir() if p.name.startswith("tx_")):
                names = [p.name for p in (folder / tx).glob("*.png")]
                names.sort(key=lambda name: int(name.rsplit(".", 1)[0].split("_")[-1]))
                frames = [np.asarray(Image.open(folder / tx / name)) / 255 for name in names]
                if len(frames) >= 2 + 8 + 5:
                    sequences.append(np.stack(frames))
    return sequences


def test_the_released_loader_reads_it(store: Store, both: Path) -> None:
    sequences = released_loader_sequences(both / "motion", 2, [0, 1])
    assert len(sequences) == 8
    order = [(s, t, k) for s in range(2) for t in range(2) for k in range(2)]
    for index, sequence in zip(order, sequences, strict=True):
        np.testing.assert_array_equal(sequence * 255, MOTION_SCALE.encode(store.pathloss(*index)))


def test_numpy_reads_the_npz_without_pickle(store: Store, both: Path) -> None:
    path = both / "motion/npz/env_001/traj_00/tx_01/07.npz"
    with np.load(path, allow_pickle=False) as archive:
        assert set(archive.files) == set(NPZ_KEYS)
        assert archive["pathloss_db"].dtype == np.float32
        np.testing.assert_array_equal(archive["pathloss_db"], store.pathloss(1, 0, 1)[7])
        assert archive["unit"] == "dB"
        assert archive["time_s"] == 0.7
        assert archive["scene"] == store.scene_names[1]
        assert archive["tx_y_m"] == store.transmitters(1)[1, 1]
        assert json.loads(archive["scale"].item())["gain_min_db"] == -135
        assert "OpenStreetMap" in archive["attribution"].item()


def test_names_and_trees(both: Path) -> None:
    folder = re.compile(
        r"(png|gain|npz)/env_\d{3}/traj_\d{2}/tx_\d{2}/(\d{2}\.png|frame_\d+\.png|\d{2}\.npz)"
    )
    maps = [
        name
        for path in walk_files(both / "motion")
        if (name := path.relative_to(both / "motion").as_posix()).startswith(("png", "gain", "npz"))
    ]
    assert len(maps) == 3 * 2 * 2 * 2 * 15
    assert all(folder.fullmatch(name) for name in maps)


def test_twins_are_one_file(both: Path) -> None:
    first = both / "motion/png/env_000/traj_01/tx_00/14.png"
    second = both / "motion/gain/env_000/traj_01/tx_00/frame_14.png"
    assert first.read_bytes() == second.read_bytes()
    assert first.samefile(second)


def test_twins_are_copied_where_links_are_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "no hard links here")

    monkeypatch.setattr("os.link", refuse)
    write_unit(store, tmp_path, 0, 0, names="both")
    first = tmp_path / "png/env_000/traj_00/tx_00/00.png"
    second = tmp_path / "gain/env_000/traj_00/tx_00/frame_0.png"
    assert first.read_bytes() == second.read_bytes()
    assert not first.samefile(second)


@pytest.mark.parametrize(
    ("name", "column", "value", "message"),
    [
        ("traj_00/tracks.csv", 3, "inf", "not a finite number"),
        ("traj_00/tracks.csv", 5, "nan", "not a finite number"),
        ("traj_00/tracks.csv", 4, "1e300", "outside the tile"),
        ("traj_00/tracks.csv", 2, "1", "negative or repeated index"),
        ("traj_00/tracks.csv", 0, "-1", "negative or repeated index"),
        ("traj_00/tracks.csv", 7, "flying", "KeyError"),
        ("transmitters.csv", 1, "nan", "not a finite number"),
        ("transmitters.csv", 1, "-3.0", "outside the tile"),
        ("transmitters.csv", 4, "0", "not the pixel of x_m and y_m"),
        ("transmitters.csv", 0, "1", "transmitters 0 to 1 in order"),
    ],
)
def test_tables_with_impossible_values_are_refused(
    both: Path, tmp_path: Path, name: str, column: int, value: str, message: str
) -> None:
    (tmp_path / "environment").mkdir()
    shutil.copy(both / "motion/dataset.json", tmp_path)
    shutil.copytree(both / "motion/environment/env_000", tmp_path / "environment/env_000")
    path = tmp_path / "environment/env_000" / name
    header, first, *rest = path.read_text().splitlines()
    cells = first.split(",")
    cells[column] = value
    path.write_text("\n".join([header, ",".join(cells), *rest]) + "\n")
    layout = MotionLayout(tmp_path)
    with pytest.raises(InputError, match=message):
        layout.tracks(0, 0) if "tracks" in name else layout.transmitters(0)


def test_text_chunks_say_what_a_pixel_means(both: Path) -> None:
    text = Image.open(both / "motion/png/env_000/traj_00/tx_00/00.png").text
    assert text["gain_min_db"] == "-135.0"
    assert text["gain_max_db"] == "-39.5"
    assert float(text["step_db"]) == pytest.approx(95.5 / 255)
    assert (text["unit"], text["sign"]) == ("dB", "gain = -path loss")
    assert text["Software"].startswith("rmtools ")


# -- files returned, bytes repeated ------------------------------------------------------------


@pytest.mark.parametrize("names", ["paper", "loader", "both"])
def test_exactly_the_files_returned_are_written_and_always_the_same(
    small: Store, tmp_path: Path, names: str
) -> None:
    store = small
    first = write_layout(store, tmp_path / "a", names=names)
    found = [p.relative_to(tmp_path / "a").as_posix() for p in walk_files(tmp_path / "a")]
    assert sorted(first) == found
    assert {"paper": 0, "loader": 1, "both": 1}[names] == (tmp_path / "a/gain").is_dir()
    assert {"paper": 1, "loader": 0, "both": 1}[names] == (tmp_path / "a/png").is_dir()
    # units in another order, and each twice
    for scene, traj in [(1, 1), (0, 1), (1, 0), (0, 0), (1, 1), (0, 0)]:
        write_unit(store, tmp_path / "b", scene, traj, names=names)
        write_scene(store, tmp_path / "b", scene)
    write_description(store, tmp_path / "b", names=names)
    assert sha256_tree(tmp_path / "a") == sha256_tree(tmp_path / "b")
    assert sha256_files(tmp_path / "a", first) == sha256_tree(tmp_path / "b")


def test_unknown_names_are_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="papers"):
        write_unit(store, tmp_path, 0, 0, names="papers")
    assert not list(tmp_path.iterdir())


def test_description(store: Store, both: Path) -> None:
    text = (both / "motion/dataset.json").read_text()
    description = MotionDescription.model_validate_json(text)
    assert description.sizes.model_dump() == {
        "scene": 2,
        "traj": 2,
        "tx": 2,
        "frame": 15,
        "vehicle": 3,
    }
    assert description.vehicle["length_m"] == 4.0
    assert description.licence == ["ODbL-1.0"]
    assert [scene.name for scene in description.scenes] == store.scene_names
    schema = MotionDescription.model_json_schema()
    assert set(schema["required"]) <= set(json.loads(text))


def test_a_store_without_path_loss_cannot_be_described(store: Store, tmp_path: Path) -> None:
    shutil.copytree(store.path, tmp_path / "store.zarr")
    for name in ("traj", "frame"):  # as before the tracks were made
        shutil.rmtree(tmp_path / "store.zarr" / name)
    with pytest.raises(InputError, match="generate-trajectories"):
        write_description(Store.open(tmp_path), tmp_path / "motion")


def test_what_was_not_computed_is_not_published(tmp_path: Path) -> None:
    store = make_store(tmp_path, n=N, scenes=2, traj=1, tx=2, frames=1)
    loss = store.pathloss_unit(1, 0)
    loss[1] = np.nan
    store.write_pathloss(1, 0, loss)
    with pytest.raises(InputError, match=r"'fake_001' has no path loss of .* transmitter 1 yet"):
        write_layout(store, tmp_path / "motion")
    store.write_transmitters(0, np.full((2, 3), np.nan))
    with pytest.raises(InputError, match=r"'fake_000' has no transmitters yet"):
        write_scene(store, tmp_path / "motion", 0)


# -- folders without description ----------------------------------------------------------------


@pytest.mark.parametrize("tree", ["gain", "png"])
def test_published_folders_are_read_without_description(
    both: Path, tmp_path: Path, tree: str
) -> None:
    shutil.copytree(both / "motion" / tree, tmp_path / "data" / tree)
    layout, ours = MotionLayout(tmp_path / "data"), MotionLayout(both)
    assert layout.description is None
    assert (layout.sizes.scene, layout.sizes.traj, layout.sizes.tx, layout.sizes.frame) == (
        *(2, 2, 2),
        15,
    )
    np.testing.assert_array_equal(layout.grey(1, 0, 1, 12), ours.grey(1, 0, 1, 12))
    assert np.isnan(layout.pathloss_db(1, 0, 1, 12)[layout.grey(1, 0, 1, 12) == 0]).all()


def test_a_folder_without_anything_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no dataset\.json"):
        MotionLayout(tmp_path)


def test_indices_outside_are_refused(both: Path) -> None:
    layout = MotionLayout(both)
    for index in [(2, 0, 0, 0), (0, 2, 0, 0), (0, 0, 2, 0), (0, 0, 0, 15), (-1, 0, 0, 0)]:
        with pytest.raises(IndexError, match="is not in 0"):
            layout.pathloss_db(*index)
