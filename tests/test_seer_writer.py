"""Writing the RadioMapSeer layout and reading it back."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fakes_seer import make_seer_tree
from fakes_seer_store import SOLVER, make_seer_store, scene_reader
from fakes_store import make_scene
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rmtools.city.seer import read_png
from rmtools.errors import InputError, RecipeError
from rmtools.files import sha256_tree, walk_files
from rmtools.images import read_grey_image
from rmtools.layouts import seer_format as fmt
from rmtools.layouts.seer_description import gain_folders, read_description
from rmtools.layouts.seer_import import import_seer
from rmtools.layouts.seer_missing import VARIANTS, choose_missing
from rmtools.layouts.seer_reader import SeerLayout
from rmtools.layouts.seer_writer import check_store, write_layout, write_scene
from rmtools.store import Store
from rmtools.units import SEER_SCALE

if TYPE_CHECKING:
    from collections.abc import Iterator


def package(dataset: Path, store: Store, **options: Any) -> Path:
    write_layout(store, scene_reader(dataset, store), dataset / "seer", **options)
    return dataset / "seer"


def values(path: Path) -> Any:
    """What a file says, without what it says of itself."""
    if path.suffix == ".png":
        with Image.open(path) as image:
            return (image.mode, image.size, image.tobytes())
    if path.suffix == ".csv":
        return list(csv.reader(path.read_text().splitlines()))
    return json.loads(path.read_text())


def tree_values(root: Path) -> dict[str, Any]:
    files = (path for path in walk_files(root) if path.name != fmt.DESCRIPTION_NAME)
    return {path.relative_to(root).as_posix(): values(path) for path in files}


@pytest.fixture(scope="module", autouse=True)
def _unflushed() -> Iterator[None]:
    """Thousands of small files: what is tested is what they say, not that a crash spares them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dataset")
    package(root, make_seer_store(root))
    return root


# -- the tree ------------------------------------------------------------------------------------


def test_the_tree_has_the_files_of_radiomapseer(dataset: Path) -> None:
    """Per map, with 3 for 80 transmitters: the table of folders in RadioMapSeer's own counts."""
    names = {path.relative_to(dataset / "seer").as_posix() for path in walk_files(dataset / "seer")}
    expected = {"dataset.csv", "dataset.json"}
    for m in (0, 1):
        expected |= {f"antenna/{m}.json", f"png/cars/{m}.png", f"png/roads/{m}.png"}
        expected |= {f"png/buildings_complete/{m}.png"}
        for layer in ("buildings_complete", "buildings_and_cars", "roads"):
            expected.add(f"polygon/{layer}/{m}.json")
        for k in range(1, 5):
            for v in range(1, 7):
                expected |= {
                    f"png/buildings_missing{k}/{v}/{m}.png",
                    f"png/buildings_removed{k}/{v}/{m}.png",
                    f"polygon/buildings_difference{k}/{v}/{m}.json",
                    f"polygon/buildings_removed{k}/{v}/{m}.json",
                }
        for tx in range(3):
            expected |= {f"png/antennas/{m}_{tx}.png"}
            expected |= {f"gain/{s}/{m}_{tx}.png" for s in ("DPM", "carsDPM")}
    assert names == expected
    table = values(dataset / "seer/dataset.csv")
    assert table == [
        ["maps", "json", "Gain1", "Gain2", "Gain3"],
        ["0.png", "0.json", "0_0.png", "0_1.png", "0_2.png"],
        ["1.png", "1.json", "1_0.png", "1_1.png", "1_2.png"],
    ]


def test_gain_is_the_rounded_scale_and_cars_cost_half(dataset: Path) -> None:
    """Against the formula as the paper states it, in a form of its own."""
    store = Store.open(dataset)
    for scene, tx in ((0, 0), (1, 2)):
        still, moving = store.static_map(scene, tx), store.pathloss(scene, 0, tx)[0]
        for folder, loss in (("DPM", still), ("carsDPM", (still + moving) / 2)):
            grey = read_png(dataset / f"seer/gain/{folder}/{scene}_{tx}.png")
            share = np.clip((147 - np.nan_to_num(loss, nan=999)) / 99.16, 0, 1)
            expected = np.round(255 * share)
            np.testing.assert_array_equal(grey, expected)
        assert (moving > still).any()


def test_the_whole_effect_on_request(dataset: Path, tmp_path: Path) -> None:
    store = Store.open(dataset)
    root = tmp_path / "seer"
    write_layout(store, scene_reader(dataset, store), root, halve=False)
    grey = read_png(root / "gain/carsDPM/0_0.png")
    np.testing.assert_array_equal(grey, SEER_SCALE.encode(store.pathloss(0, 0, 0)[0]))
    description = read_description(root)
    assert description is not None
    assert description.vehicle_effect == "full"


def test_transmitters_are_at_their_pixels(dataset: Path) -> None:
    layout, store = SeerLayout(dataset), Store.open(dataset)
    x, y, _ = store.transmitters(0).T
    np.testing.assert_array_equal(layout.antennas(0), np.floor(np.stack([x, y], axis=1)))
    for tx, (row, col) in enumerate(layout.transmitter_pixels(0).tolist()):
        assert np.argwhere(layout.antenna_image(0, tx)).tolist() == [[row, col]]
        assert layout.grey("DPM", 0, tx)[row, col] == layout.grey("DPM", 0, tx).max()


def test_images_say_what_they_are(dataset: Path) -> None:
    gain = read_grey_image(dataset / "seer/gain/DPM/0_0.png", (256, 256))
    assert (gain.text["gain_min_db"], gain.text["gain_max_db"]) == ("-147.0", "-47.84")
    cars = read_grey_image(dataset / "seer/png/cars/0.png", (256, 256))
    assert cars.text["quantity"] == "cars"


def test_the_same_bytes_twice_and_scene_by_scene(dataset: Path, tmp_path: Path) -> None:
    store = Store.open(dataset)
    read = scene_reader(dataset, store)
    for index in (1, 0):
        write_scene(store, read(index), tmp_path, index)
    for name in ("gain", "png", "polygon", "antenna"):
        assert sha256_tree(tmp_path / name) == sha256_tree(dataset / "seer" / name)


def test_a_dataset_without_trajectories(tmp_path: Path) -> None:
    store = make_seer_store(tmp_path, scenes=[make_scene(0, 256)], tx=1, cars=False)
    root = package(tmp_path, store)
    assert [path.name for path in (root / "gain").iterdir()] == ["DPM"]
    assert not (root / "png/cars").exists()
    description = read_description(root)
    assert description is not None
    assert description.vehicle_effect is None


# -- missing buildings ---------------------------------------------------------------------------


@given(st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_missing_buildings_are_nested_and_seeded(rings: int, seed: int) -> None:
    chosen = choose_missing("a", rings, seed)
    assert list(chosen) == list(VARIANTS)
    for (count, version), gone in chosen.items():
        assert len(set(gone)) == len(gone) == min(count, rings)
        assert set(gone) <= set(range(rings))
        assert chosen.get((count - 1, version), []) == gone[: count - 1]
    assert choose_missing("a", rings, seed) == chosen


def test_versions_and_scenes_differ() -> None:
    chosen = choose_missing("a", 60, 1)
    assert len({tuple(chosen[4, version]) for version in range(1, 7)}) == 6
    assert chosen != choose_missing("b", 60, 1)


def test_what_is_known_to_be_missing_stays_and_the_rest_follows() -> None:
    chosen = choose_missing("a", 60, 1, {(1, 1): [39], (2, 1): [39, 9], (3, 2): [5, 6, 7]})
    assert chosen[1, 1] == [39]
    assert chosen[4, 1][:2] == chosen[3, 1][:2] == chosen[2, 1] == [39, 9]
    assert chosen[4, 2][:3] == chosen[3, 2] == [5, 6, 7]


def test_missing_images_are_all_buildings_without_the_removed(dataset: Path) -> None:
    layout = SeerLayout(dataset)
    whole, rings = layout.buildings(0), layout.polygons(0)
    for count, version in VARIANTS:
        less, gone = layout.buildings(0, count, version), layout.removed(0, count, version)
        assert (less ^ gone == whole).all()
        removed = layout.removed_polygons(0, count, version)
        assert len(removed) == count
        assert layout.polygons(0, count, version) == [r for r in rings if r not in removed]


# -- round trips ---------------------------------------------------------------------------------


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["halved", "full"]))
def test_store_seer_store_loses_only_what_is_documented(
    tmp_path_factory: pytest.TempPathFactory, seed: int, effect: str
) -> None:
    """Random losses: half a grey level, and the ends of the scale. Cars: half a metre."""
    root, halve = tmp_path_factory.mktemp("trip"), effect == "halved"
    rng = np.random.default_rng(seed)
    scene = make_scene(int(rng.integers(100)), 256)
    store = make_seer_store(root / "a", scenes=[scene], tx=2)
    inside = store.buildings(0)
    still = rng.uniform(40, 160, (2, 256, 256))
    moving = still + rng.uniform(0, 20, still.shape)
    still[:, inside] = moving[:, inside] = np.nan
    store.write_static_maps(0, still)
    store.write_pathloss(0, 0, moving[:, None])
    again = import_seer(package(root / "a", store, halve=halve), root / "b")

    expected = {"pathloss_static": still, "pathloss": (still + moving) / 2 if halve else moving}
    assert again.map_arrays == sorted(expected)
    for tx in range(2):
        for name, found in (
            ("pathloss_static", again.static_map(0, tx)),
            ("pathloss", again.pathloss(0, 0, tx)[0]),
        ):
            on_scale = np.clip(expected[name][tx], 47.84, 147)
            error = np.abs(found - on_scale)
            assert (np.isnan(found) == inside).all()
            assert np.nanmax(error) <= SEER_SCALE.step_db / 2 + 1 / 128
    assert again.array_attributes("pathloss")["vehicle_effect"] == effect
    assert again.array_attributes("pathloss_static")["solver"] == SOLVER
    np.testing.assert_array_equal(again.transmitters(0), store.transmitters(0))
    assert (again.buildings(0) == inside).all()
    np.testing.assert_array_equal(again.building_height(0), store.building_height(0))
    mine, theirs = store.tracks(0, 0), again.tracks(0, 0)
    assert theirs.size == mine.size
    assert np.abs(mine.x - theirs.x).max() <= 0.5
    kept = ("name", "crs", "easting_m", "northing_m", "provenance")
    entries = [s.attributes["scenes"][0] for s in (store, again)]
    assert [entries[0][key] for key in kept] == [entries[1][key] for key in kept]
    assert again.attributes["title"] == "Made up"


@pytest.mark.parametrize("part", ["whole", "some files"])
def test_seer_store_seer_keeps_every_value(tmp_path: Path, part: str) -> None:
    """All simulators, numbers of maps, choices of missing buildings; also of part of a tree."""
    root = make_seer_tree(tmp_path / "tree", (4, 17), transmitters=3)
    if part != "whole":
        for name in ("gain/DPM/4_1.png", "gain/carsIRT2/17_0.png", "png/cars/4.png"):
            (root / name).unlink()
        for path in root.glob("polygon/buildings_[dr]*/1/17.json"):
            path.unlink()
    before = tree_values(root)
    store = import_seer(root, tmp_path / "b")
    assert store.simulators == ["irt2", "irt4"]
    assert np.isnan(store.static_map(0, 2, "irt4")).all()  # there are two transmitters only
    after = tree_values(package(tmp_path / "b", store))
    different = [name for name in before if before[name] != after.get(name)]
    # the corners of a car come in another order
    assert {name for name in different if "buildings_and_cars" not in name} == set()
    for name in different:
        assert _corner_sets(before[name]) == _corner_sets(after[name])
    if part == "whole":
        assert set(after) == set(before)


def _corner_sets(rings: list[list[list[int]]]) -> list[frozenset[tuple[int, ...]]]:
    return [frozenset(map(tuple, ring)) for ring in rings]


def test_our_tree_written_again_is_the_same(dataset: Path, tmp_path: Path) -> None:
    """Oblique walls and cars that were rounded once stay where they are."""
    store = import_seer(dataset / "seer", tmp_path)
    before, after = tree_values(dataset / "seer"), tree_values(package(tmp_path, store))
    cars = [name for name in before if "buildings_and_cars" in name]
    assert {name for name in before if before[name] != after[name]} <= set(cars)
    for name in cars:
        assert _corner_sets(before[name]) == _corner_sets(after[name])


@pytest.mark.parametrize("map_id", [0])
def test_a_published_map_is_identical_in_every_file(
    reference_data: Path, tmp_path: Path, map_id: int
) -> None:
    """Images, polygons, transmitters and gain of map 0 in every pixel and number."""
    root = reference_data / "radiomapseer"
    store = import_seer(root, tmp_path, maps=[map_id])
    after = package(tmp_path, store)
    compared = 0
    for path in walk_files(root):
        name = path.relative_to(root)
        if name.parts[0] != "dpm_unknown_ids" and path.stem.split("_")[0] == str(map_id):
            assert values(path) == values(after / name), name
            compared += 1
    assert compared == 17


# -- refusals ------------------------------------------------------------------------------------


def test_what_the_layout_cannot_hold_is_refused(tmp_path: Path) -> None:
    from fakes_store import make_store

    with pytest.raises(RecipeError, match="256 x 256 pixels of 1 m, this dataset 48 x 48"):
        check_store(make_store(tmp_path / "small", scenes=1))
    store = make_seer_store(tmp_path / "a", scenes=[make_scene(0, 256)], tx=1)
    with pytest.raises(InputError, match=r"not the scene 'fake_000'"):
        write_scene(store, make_scene(0, 256, seed=2), tmp_path, 0)
    store.write_static_maps(0, np.full((1, 256, 256), np.nan))
    with pytest.raises(InputError, match="has no path loss of transmitter 0 yet"):
        write_scene(store, make_scene(0, 256), tmp_path, 0)
    store.remove(["pathloss_static"])
    with pytest.raises(RecipeError, match="no maps without vehicles"):
        check_store(store)


@pytest.mark.parametrize(
    ("solver", "folder"),
    [
        ({"solver": "dpm", "name": "winprop2021"}, "DPM"),
        ({"solver": "sionna", "name": "irt2-like"}, "IRT2"),
        ({"solver": "sionna", "name": "irt4-like"}, "IRT4"),
        ({"solver": "winprop", "name": "DPM"}, "DPM"),
        ({"solver": "other", "name": "fast"}, None),
    ],
)
def test_the_folder_names_the_solver(
    tmp_path: Path, solver: dict[str, str], folder: str | None
) -> None:
    store = make_seer_store(tmp_path, scenes=[make_scene(0, 256)], tx=1, cars=False)
    store.create_static_maps({"solver": solver})
    if folder is None:
        with pytest.raises(InputError, match="no folder for maps of the solver 'other'"):
            gain_folders(store)
    else:
        assert gain_folders(store) == {folder: ("pathloss_static", None)}


def test_halving_cannot_be_undone(dataset: Path, tmp_path: Path) -> None:
    store = import_seer(dataset / "seer", tmp_path, maps=[0])
    with pytest.raises(RecipeError, match="cannot be undone"):
        check_store(store, halve=False)


def test_a_damaged_tree_is_named(dataset: Path, tmp_path: Path) -> None:
    import shutil

    root = Path(shutil.copytree(dataset / "seer", tmp_path / "seer"))
    (root / "gain/DPM/1_1.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="no PNG image found") as caught:
        import_seer(root, tmp_path / "b")
    assert str(caught.value.where).endswith("gain/DPM/1_1.png")
    description = json.loads((root / "dataset.json").read_text())
    description["maps"][0]["name"] = "../../evil"
    (root / "dataset.json").write_text(json.dumps(description))
    with pytest.raises(InputError, match="not a description of the RadioMapSeer layout"):
        import_seer(root, tmp_path / "b")
