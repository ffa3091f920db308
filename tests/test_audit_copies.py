"""Copies: scenes that show the same buildings, found by nothing but their rasters."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rmtools.audit import check_copies
from rmtools.audit.alignment import align, common, phi, walls
from rmtools.audit.copies import Copy, find_copies, is_copy
from rmtools.audit.evidence import Evidence
from rmtools.audit.landmarks import (
    Landmarks,
    best_symmetry,
    find_landmarks,
    moved,
    reduced,
    symmetry,
    without_specks,
)
from rmtools.city.extract import read_extract
from rmtools.city.rasters import building_mask
from rmtools.city.tiles import Tile, cut_scene
from rmtools.data import helsinki_path
from rmtools.errors import InputError
from rmtools.grid import Grid
from rmtools.seeds import generator
from rmtools.splits import SplitSet, make_manifest
from rmtools.splits.inventory import inventory_of

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.audit.model import Level
    from rmtools.types import BoolArray


def raster_of(path: Path) -> BoolArray:
    """A whole extract as one raster of 1 m, the largest square from its north-west corner."""
    city = read_extract(path)
    west, south, east, north = city.bounds
    side = int(max(east - west, north - south))
    tile = Tile(name="all", row=0, col=0, easting_m=west, northing_m=north - side)
    raster = building_mask(cut_scene(city, tile, Grid(side, 1.0)))
    return raster[: int(north - south), : int(east - west)]


@cache
def helsinki() -> BoolArray:
    return raster_of(helsinki_path())


def tiles(city: BoolArray, n: int, least: float = 0.1) -> list[BoolArray]:
    """Tiles side by side that hold some buildings."""
    rows, cols = city.shape
    cut = (
        city[r : r + n, c : c + n]
        for r in range(0, rows - n + 1, n)
        for c in range(0, cols - n + 1, n)
    )
    return [tile for tile in cut if tile.mean() >= least]


def made_up(index: int, n: int = 128) -> BoolArray:
    """Streets at random distances, and in every block a few houses along them."""
    random = generator(3, "made-up scene", index)
    mask = np.zeros((n, n), bool)
    rows, cols = (np.cumsum(random.integers(18, 48, 12)) - random.integers(0, 20) for _ in "rc")
    for top, bottom in pairwise(rows):
        for left, right in pairwise(cols):
            y, x = top + random.integers(3, 8), left + random.integers(3, 8)
            while x < right - 6:
                deep, wide = random.integers(6, max(7, bottom - y - 3)), random.integers(6, 18)
                mask[max(y, 0) : max(y + deep, 0), max(x, 0) : max(min(x + wide, right - 3), 0)] = 1
                x += wide + random.integers(2, 9)
    return mask


def search(train: list[BoolArray], test: list[BoolArray]) -> list[Copy]:
    """Copies between two sets; scenes are called 0, 1, ... through both."""
    scenes = [*train, *test]
    names = [f"{k:03d}" for k in range(len(scenes))]
    sets = {
        name: frozenset({"train" if k < len(train) else "test"}) for k, name in enumerate(names)
    }
    return find_copies(sets, lambda name: scenes[int(name)], names).copies


def noisy(mask: BoolArray, share: float, seed: int) -> BoolArray:
    return mask ^ (generator(seed, "noise").random(mask.shape) < share)


# -- false alarms ------------------------------------------------------------------------------


def test_no_false_alarm_among_200_scenes_that_do_not_overlap() -> None:
    scenes = tiles(helsinki(), 128)
    real = len(scenes)
    assert real >= 40
    scenes += [made_up(k) for k in range(200 - real)]
    order = generator(1, "order").permutation(200)
    shuffled = [scenes[k] for k in order]
    assert search(shuffled[:100], shuffled[100:]) == []


def test_no_false_alarm_among_200_true_scenes(reference_data: Path) -> None:
    """Nine cities in tiles of 170 m, none of which overlap."""
    scenes = [
        tile
        for path in sorted((reference_data / "osm").glob("*.pbf"))
        for tile in tiles(raster_of(path), 170)
    ]
    assert len(scenes) >= 200
    for seed in range(2):
        order = generator(seed, "order").permutation(len(scenes))
        shuffled = [scenes[k] for k in order]
        assert search(shuffled[:100], shuffled[100:]) == []


# -- planted copies ----------------------------------------------------------------------------


def windows(n: int, down: int, right: int) -> tuple[list[BoolArray], list[BoolArray]]:
    """Tiles of Helsinki, and the same ones shifted, as far as there is data."""
    city = helsinki()
    here, there = [], []
    for r in range(0, city.shape[0] - n - down + 1, n):
        for c in range(0, city.shape[1] - n - right + 1, n):
            one = city[r : r + n, c : c + n]
            if one.mean() >= 0.15:
                here.append(one)
                there.append(city[r + down : r + down + n, c + right : c + right + n])
    return here, there


@pytest.mark.parametrize("number", range(8))
def test_a_scene_turned_and_shifted_by_seven_pixels_with_noise(number: int) -> None:
    train, shifted = windows(256, 7, 7)
    assert len(train) >= 6
    test = [noisy(symmetry(tile, number), 0.03, k) for k, tile in enumerate(shifted)]
    found = {(copy.first, copy.second): copy for copy in search(train, test)}
    planted = [(f"{k:03d}", f"{k + len(train):03d}") for k in range(len(train))]
    assert set(planted) <= set(found)
    for pair in planted:
        at = found[pair].alignment
        assert (at.row, at.col) == (7, 7)  # where the second lies on the first, turned back
        assert at.overlap == pytest.approx((249 / 256) ** 2)
        assert at.agreement > 0.95
        # turning or mirroring back: quarters to the left are undone by quarters to the right
        undone = (-number) % 4 if number < 4 else number
        back = symmetry(symmetry(train[0], number), undone)
        assert np.array_equal(back, train[0])
        words = found[pair].symmetry
        assert ("mirrored" in words) == (number >= 4)
        assert (f"{90 * (undone % 4)} degrees" in words) == (undone % 4 > 0)


def test_tiles_that_share_half_of_their_ground_without_coordinates() -> None:
    train, shifted = windows(256, 0, 128)
    assert len(train) >= 4
    test = [noisy(symmetry(tile, 5), 0.03, k) for k, tile in enumerate(shifted)]
    found = {(copy.first, copy.second) for copy in search(train, test)}
    assert {(f"{k:03d}", f"{k + len(train):03d}") for k in range(len(train))} <= found


def test_scenes_in_the_same_sets_are_not_compared() -> None:
    tile = tiles(helsinki(), 256)[0]
    sets = {"a": frozenset({"train"}), "b": frozenset({"train"}), "c": frozenset({"train", "test"})}
    assert find_copies(sets, lambda _: tile, ["a", "b", "c"]).copies == []
    sets["c"] = frozenset({"test"})
    found = find_copies(sets, lambda _: tile, ["a", "b", "c"]).copies
    assert [(copy.first, copy.second, copy.sets) for copy in found] == [
        ("a", "c", "test/train"),
        ("b", "c", "test/train"),
    ]
    assert found[0].in_words() == "as it is: agreement 1.00 on 100% of the scene"


def test_scenes_without_buildings_are_named_and_match_nothing() -> None:
    empty, tile = np.zeros((256, 256), bool), tiles(helsinki(), 256)[0]
    scenes = {"a": empty, "b": empty, "c": tile, "d": ~empty}
    sets = {name: frozenset({name}) for name in scenes}
    result = find_copies(sets, scenes.__getitem__, list(scenes))
    assert result.copies == []
    assert result.plain == ["a", "b", "d"]
    assert find_copies({}, scenes.__getitem__, []).compared == 0


# -- the parts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(8))
def test_landmarks_go_with_the_symmetries(number: int) -> None:
    cells, _ = reduced(tiles(helsinki(), 256)[1])
    here, there = find_landmarks(cells), find_landmarks(symmetry(cells, number))
    places = {tuple(at) for at in moved(here.at, np.full(len(here), number), len(cells)).tolist()}
    assert places == {tuple(at) for at in there.at.tolist()}
    order = np.lexsort(here.invariants.round(4).T)
    other = np.lexsort(there.invariants.round(4).T)
    assert np.allclose(here.invariants[order], there.invariants[other], atol=1e-4)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_sorted_samples_are_never_farther_apart_than_the_samples(seed: int) -> None:
    random = np.random.default_rng(seed)
    one, other = (Landmarks(np.zeros((4, 2), int), random.normal(size=(4, 49))) for _ in "ab")
    _, distance = best_symmetry(one, other)
    lower = np.linalg.norm(one.invariants - other.invariants, axis=1)
    assert (lower <= distance + 1e-9).all()


def test_the_best_symmetry_is_the_one_that_was_applied() -> None:
    random = np.random.default_rng(0)
    samples = random.normal(size=(8, 7, 7))
    turned = np.stack([symmetry(sample, number) for number, sample in enumerate(samples)])
    at = np.zeros((8, 2), int)
    number, distance = best_symmetry(
        Landmarks(at, turned.reshape(8, -1)), Landmarks(at, samples.reshape(8, -1))
    )
    assert number.tolist() == list(range(8))
    assert np.allclose(distance, 0.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(-7, 7), st.integers(-7, 7), st.integers(0, 2**32 - 1))
def test_agreement_is_the_correlation_of_the_common_part(row: int, col: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.random((2, 8, 8)) < 0.5
    pairs = [
        (a[y, x], b[y - row, x - col])
        for y in range(8)
        for x in range(8)
        if 0 <= y - row < 8 and 0 <= x - col < 8
    ]
    left, right = np.array(pairs, float).T
    result = align(a, b, row, col)
    assert result.overlap == len(pairs) / 64
    if left.std() and right.std():
        assert result.agreement == pytest.approx(np.corrcoef(left, right)[0, 1])
    else:
        assert result.agreement == 0.0


def test_alignment_finds_a_shift_within_its_reach() -> None:
    a = made_up(1)
    b = np.roll(a, (-5, 3), (0, 1))
    result = align(a, b, 4, -2, reach=2)
    assert (result.row, result.col) == (5, -3)
    parts = common(a, b, 5, -3)
    assert phi(*parts) == result.agreement > 0.99
    assert common(a, b, 200, 0)[0].size == 0


def test_walls_of_a_house() -> None:
    mask = np.zeros((10, 10), bool)
    mask[2:5, 3:8] = True
    assert walls(mask) == 2 * (3 + 5)
    assert walls(~mask) == walls(mask)


def test_the_fewer_walls_the_more_agreement_is_demanded() -> None:
    house = np.zeros((128, 128), bool)
    house[40:70, 40:70] = True
    assert not is_copy(house, house, align(house, house, 0, 0))  # any house looks like that
    town = made_up(2)
    assert is_copy(town, town, align(town, town, 0, 0))


def test_specks_go_and_houses_stay() -> None:
    town = made_up(4)
    clean = without_specks(noisy(town, 0.03, 1), 2)
    assert (clean != town).mean() < 0.02
    assert np.array_equal(without_specks(np.zeros((9, 9), bool), 1), np.zeros((9, 9), bool))


# -- the level ---------------------------------------------------------------------------------


def audited(tmp_path: Path, side: int) -> Level:
    """The level of a RadioMapSeer tree with a town, its mirror image, and another town."""
    folder = tmp_path / str(side) / "png" / "buildings_complete"
    folder.mkdir(parents=True)
    town, other = made_up(3, side), made_up(4, side)
    for number, mask in enumerate((town, town[:, ::-1], other)):
        Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(folder / f"{number}.png")
    (tmp_path / str(side) / "gain" / "DPM").mkdir(parents=True)
    (tmp_path / str(side) / "gain" / "DPM" / "0_0.png").touch()
    manifest = make_manifest(
        {
            "train": SplitSet(scenes=["0"], sequences=1),
            "test": SplitSet(scenes=["1", "2"], sequences=2),
        },
        name="maps",
        method="geographic",
        description="for a test",
        dataset="maps",
        leaky=False,
    )
    return check_copies(manifest, Evidence(manifest, inventory_of(tmp_path / str(side))))


def test_copies_of_small_scenes_are_a_warning(tmp_path: Path) -> None:
    level = audited(tmp_path, 160)
    assert (level.verdict, level.risk, level.pairs) == ("leak", "high", 1)
    assert level.share == pytest.approx(2 / 3, abs=1e-4)
    assert level.examples[0].what == "mirrored: agreement 1.00 on 100% of the scene"
    assert not level.declared
    level = audited(tmp_path, 96)
    assert (level.verdict, level.risk, level.pairs) == ("warning", "medium", 1)


def test_images_that_are_no_building_images_are_refused(tmp_path: Path) -> None:
    audited(tmp_path, 160)
    folder = tmp_path / "160" / "png" / "buildings_complete"
    manifest = make_manifest(
        {name: SplitSet(scenes=[name], sequences=1) for name in "012"},
        name="maps",
        method="geographic",
        description="for a test",
        dataset="maps",
        leaky=False,
    )
    for shape, message in (((160, 80), "160 x 80 pixels"), ((96, 96), "different sizes")):
        Image.fromarray(np.zeros(shape, np.uint8)).save(folder / "2.png")
        with pytest.raises(InputError, match=message):
            check_copies(manifest, Evidence(manifest, inventory_of(tmp_path / "160")))
