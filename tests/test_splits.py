"""Splits: the paper's numbers, separation on the ground, and manifests that cannot be edited."""

from __future__ import annotations

import json
import math
from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from fakes_store import make_store
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rmtools.errors import InputError, RecipeError
from rmtools.splits import (
    SplitManifest,
    SplitSet,
    check_manifest,
    dataset_digest,
    make_manifest,
    motion,
    read_manifest,
    write_manifest,
)
from rmtools.splits import geographic as geo
from rmtools.splits.inventory import inventory_of_store
from rmtools.splits.places import Place, near, smallest_distances

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Six tiles side by side, touching."""
    return make_store(tmp_path_factory.mktemp("split"), n=32, scenes=6, traj=2, tx=2, frames=2)


def names(count: int) -> list[str]:
    return [f"env_{index:03d}" for index in range(count)]


# -- the paper's split -------------------------------------------------------------------------


def test_the_published_table() -> None:
    split = motion.radiomapmotion_split(names(300), 5, 20, dataset="RadioMapMotion")
    table = {
        name: (s.scenes[0], s.scenes[-1], s.trajectories, s.sequences)
        for name, s in split.sets.items()
    }
    assert table == {
        "train": ("env_000", "env_249", [0, 1, 2], 15_000),
        "val": ("env_000", "env_249", [3], 5_000),
        "test_seen": ("env_000", "env_249", [4], 5_000),
        "test_unseen": ("env_250", "env_299", [0, 1, 2, 3, 4], 5_000),
    }
    assert split.leaky
    assert split.leaky_reason == (
        "test_seen and val share scenes with train; only test_unseen is scene-disjoint"
    )


@given(st.integers(2, 700), st.integers(1, 40), st.integers(1, 30))
def test_any_size_is_partitioned(scenes: int, trajectories: int, transmitters: int) -> None:
    split = motion.radiomapmotion_split(names(scenes), trajectories, transmitters, dataset="x")
    seen = Counter(
        (scene, traj)
        for members in split.sets.values()
        for scene in members.scenes
        for traj in members.trajectories
    )
    assert set(seen.values()) == {1}
    assert len(seen) == scenes * trajectories
    assert sum(s.sequences for s in split.sets.values()) == scenes * trajectories * transmitters
    unseen = len(split.sets["test_unseen"].scenes)
    assert unseen == max(1, math.floor(scenes / 6 + 0.5))
    assert not set(split.sets["train"].scenes) & set(split.sets["test_unseen"].scenes)
    # leaky exactly when a set other than train uses scenes of train
    assert split.leaky == bool(split.shared_scenes())
    assert ("val" in split.sets) == (trajectories >= 3)
    assert ("test_seen" in split.sets) == (trajectories >= 2)
    assert any("no set val" in note for note in split.notes) == (trajectories < 3)
    assert any("There is no validation set" in note for note in split.notes) == (trajectories < 3)
    published = (scenes, trajectories) == (300, 5)
    assert any("at another size" in note for note in split.notes) != published


@pytest.mark.parametrize(
    ("trajectories", "counts"),
    [(1, [1]), (2, [1, 1]), (3, [1, 1, 1]), (4, [2, 1, 1]), (5, [3, 1, 1]), (10, [6, 2, 2])],
)
def test_trajectories_three_to_one_to_one(trajectories: int, counts: list[int]) -> None:
    assert [len(c) for c in motion.trajectory_sets(trajectories).values()] == counts


@pytest.mark.parametrize(
    ("trajectories", "reason"),
    [
        (1, None),
        (2, "test_seen shares scenes with train; only test_unseen is scene-disjoint"),
        (3, "test_seen and val share scenes with train; only test_unseen is scene-disjoint"),
    ],
)
def test_small_splits_are_honest(trajectories: int, reason: str | None) -> None:
    split = motion.radiomapmotion_split(names(2), trajectories, 1, dataset="x")
    assert split.leaky_reason == reason
    assert split.notes[0].endswith(
        "seen scenes 1 (RadioMapMotion 250), unseen scenes 1 (50), "
        f"trajectories of each {trajectories} (5)."
    )


def test_one_scene_trains_and_says_that_nothing_measures_other_scenes() -> None:
    split = motion.radiomapmotion_split(names(1), 5, 20, dataset="x")
    assert {name: members.sequences for name, members in split.sets.items()} == {
        "train": 60,
        "val": 20,
        "test_seen": 20,
    }
    assert (
        split.leaky_reason == "test_seen and val share scenes with train; no set is scene-disjoint"
    )
    assert any("no set test_unseen" in note for note in split.notes)


def test_no_scene_cannot_be_split() -> None:
    with pytest.raises(RecipeError, match="0 scenes"):
        motion.radiomapmotion_split(names(0), 5, 20, dataset="x")


# -- geographic --------------------------------------------------------------------------------


def chebyshev_gap(a: Place, b: Place) -> float:
    """Distance between two squares; negative when they overlap. Independent of shapely."""
    dx = abs(a.easting_m - b.easting_m) - (a.size_m + b.size_m) / 2
    dy = abs(a.northing_m - b.northing_m) - (a.size_m + b.size_m) / 2
    if dx < 0 and dy < 0:
        return max(dx, dy)
    return math.hypot(max(dx, 0), max(dy, 0))


places = st.lists(
    st.builds(
        lambda crs, east, north: (crs, east * 64.0, north * 64.0),
        st.sampled_from(["EPSG:32635", "EPSG:25832"]),
        st.integers(0, 40),
        st.integers(0, 40),
    ),
    unique=True,
    min_size=8,
    max_size=60,
).map(lambda all_: [Place(f"s{i}", c, e, n, 256.0) for i, (c, e, n) in enumerate(all_)])


@settings(max_examples=40, deadline=None)
@given(places, st.integers(0, 5), st.sampled_from([0.0, 1.0, 100.0, 300.0]))
def test_sets_are_apart_on_the_ground(squares: list, seed: int, buffer_m: float) -> None:
    try:
        split = geo.geographic_split(squares, 2, 3, dataset="x", seed=seed, buffer_m=buffer_m)
    except RecipeError:
        assume(False)
        return
    by_name = {place.name: place for place in squares}
    assigned = [scene for members in split.sets.values() for scene in members.scenes]
    assert sorted(assigned + split.left_out) == sorted(by_name)
    for a, b in combinations(split.sets.values(), 2):
        for scene_a in a.scenes:
            for scene_b in b.scenes:
                one, other = by_name[scene_a], by_name[scene_b]
                if one.crs == other.crs:
                    gap = chebyshev_gap(one, other)
                    assert gap >= buffer_m - 1e-6
    assert all(s.sequences == len(s.scenes) * 6 for s in split.sets.values())
    assert not split.leaky


@settings(max_examples=40, deadline=None)
@given(places, st.integers(0, 5))
def test_every_scene_left_out_was_in_the_way(squares: list, seed: int) -> None:
    try:
        split = geo.geographic_split(squares, 1, 1, dataset="x", seed=seed, buffer_m=100.0)
    except RecipeError:
        assume(False)
        return
    by_name = {place.name: place for place in squares}
    for name in split.left_out:
        others = [p for p in squares if p.name != name and p.crs == by_name[name].crs]
        assert min(chebyshev_gap(by_name[name], other) for other in others) < 100.0
    assert all(members.scenes for members in split.sets.values())
    # of two scenes in conflict the one in the later set stays, so the last set is never thinned
    assert len(split.sets["test"].scenes) == len(squares) - round(len(squares) * 0.8)


def test_ratios_order_of_input_and_seed() -> None:
    squares = [
        Place(f"s{i}{j}", "EPSG:32635", 256.0 * i, 256.0 * j, 256.0)
        for i in range(10)
        for j in range(10)
    ]
    ratios = {"train": 6, "val": 1, "test": 3}
    split = geo.geographic_split(squares, 1, 1, dataset="x", ratios=ratios, seed=4)
    assert [len(s.scenes) for s in split.sets.values()] == [60, 10, 30]
    again = geo.geographic_split(squares[::-1], 1, 1, dataset="x", ratios=ratios, seed=4)
    for name in ratios:
        assert set(again.sets[name].scenes) == set(split.sets[name].scenes)
    others = [
        geo.geographic_split(squares, 1, 1, dataset="x", ratios=ratios, seed=s) for s in range(5)
    ]
    assert len({other.sha256 for other in others}) > 1
    # the first set lies between the others
    gap = smallest_distances(squares, split.sets)
    assert gap["train/val"] == gap["train/test"] == 0 < gap["val/test"]
    assert split.notes[-1].startswith(
        "Smallest distance between squares of two sets: train/val 0 m, train/test 0 m, val/test "
    )
    # strips: a straight border costs few scenes; a scattered choice would lose nearly all
    buffered = geo.geographic_split(squares, 1, 1, dataset="x", ratios=ratios, buffer_m=10.0)
    assert 0 < len(buffered.left_out) < 50


def test_coordinates_in_different_crs_do_not_meet() -> None:
    squares = [Place(f"s{i}", f"EPSG:{32631 + i}", 500_000.0, 6_000_000.0, 256.0) for i in range(4)]
    split = geo.geographic_split(
        squares, 1, 1, dataset="x", ratios={"train": 0.5, "test": 0.5}, buffer_m=1000.0
    )
    assert split.left_out == []


def test_geographic_split_refuses_nonsense(store: Store) -> None:
    squares = inventory_of_store(store).places
    for bad in ({"train": 1.0}, {"train": 1.0, "test": 0.0}, {"train": 1.0, "test": math.nan}):
        with pytest.raises(RecipeError, match="not two or more positive shares"):
            geo.geographic_split(squares, 1, 1, dataset="x", ratios=bad)
    with pytest.raises(RecipeError, match="cannot be cut"):
        geo.geographic_split(squares[:2], 1, 1, dataset="x")
    with pytest.raises(RecipeError, match="no scene is left for the set 'train'"):
        geo.geographic_split(
            squares, 1, 1, dataset="x", ratios={"train": 1.0, "test": 1.0}, buffer_m=1e4
        )


def test_scenes_without_a_place_are_an_error_with_a_remedy(tmp_path: Path) -> None:
    store = make_store(tmp_path, n=32, scenes=3, traj=1, tx=1, frames=1)
    scenes = store.attributes["scenes"]
    scenes[1]["easting_m"] = None
    store.update_attributes({"scenes": scenes})
    with pytest.raises(RecipeError, match=r"'fake_001'.*--kind motion"):
        geo.split_store(store)
    report = check_manifest(motion.split_store(store), store)
    assert report.ok
    assert any("no place on the ground" in f.what for f in report.findings)


def test_near_tells_touching_from_overlapping() -> None:
    squares = [Place(str(e), "EPSG:32635", e, 0.0, 256.0) for e in (0.0, 256.0, 511.0, 900.0)]
    found = near(squares, 200.0)
    pairs = dict(zip(zip(found.first, found.second, strict=True), found.distance_m, strict=True))
    assert pairs == {(0, 1): 0.0, (1, 2): -1.0, (2, 3): pytest.approx(133.0)}


# -- manifests ---------------------------------------------------------------------------------


def test_a_manifest_comes_back(store: Store, tmp_path: Path) -> None:
    for split in (motion.split_store(store), geo.split_store(store, seed=3)):
        write_manifest(tmp_path / "split.json", split)
        assert read_manifest(tmp_path / "split.json") == split
        assert split.dataset_sha256 == dataset_digest(store)
        assert check_manifest(split, store).ok


def test_an_edited_manifest_is_refused(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    write_manifest(path, motion.split_store(store))
    good = json.loads(path.read_text())
    moved = json.loads(path.read_text())
    moved["sets"]["train"]["scenes"].append(moved["sets"]["test_unseen"]["scenes"].pop())
    silent = {**good, "leaky": False}
    for bad, message in (
        (moved, "scenes: List should have at least 1 item"),
        ({**good, "sha256": "0" * 64}, "changed after writing"),
        (silent, "leaky_reason must be given if and only if"),
        ({**good, "colour": "blue"}, "colour: Extra inputs"),
        ({key: value for key, value in good.items() if key != "sets"}, "sets: Field required"),
        ([], "not a split manifest"),
    ):
        path.write_text(json.dumps(bad))
        with pytest.raises(InputError, match=message):
            read_manifest(path)


def test_sequences_of_a_set(store: Store) -> None:
    split = motion.split_store(store)
    assert list(split.sequences("test_unseen", store)) == [
        (5, 0, 0),
        (5, 0, 1),
        (5, 1, 0),
        (5, 1, 1),
    ]
    assert {t for _, t, _ in split.sequences("train", store)} == {0}
    with pytest.raises(InputError, match="no set 'validation'"):
        list(split.sequences("validation", store))
    for bad in ({"trajectories": [0, 2]}, {"transmitters": [5]}):
        other = manifest(store, train=SplitSet(scenes=["fake_000"], sequences=1, **bad))
        with pytest.raises(InputError, match="counted from 0"):
            list(other.sequences("train", store))


def manifest(store: Store, **sets: SplitSet) -> SplitManifest:
    return make_manifest(
        sets,
        name="made up",
        method="published",
        description="for a test",
        dataset="x",
        leaky=False,
    )


def findings(split: SplitManifest, store: Store, level: str = "error") -> list[str]:
    report = check_manifest(split, store)
    return [f"{f.where}: {f.what}" for f in report.findings if f.level == level]


def test_check_names_what_does_not_exist(store: Store) -> None:
    split = manifest(
        store,
        train=SplitSet(scenes=["fake_000", "atlantis"], sequences=8),
        test=SplitSet(scenes=["fake_002"], trajectories=[1, 7], transmitters=[0], sequences=3),
    )
    assert findings(split, store) == [
        "train: 1 of its scenes are not in the dataset, the first is 'atlantis'",
        "test: trajectory 7: the dataset has only 2, counted from 0",
        "test: 3 sequences stated, 2 counted",
    ]


def test_check_finds_shared_sequences_and_scenes(store: Store) -> None:
    one = SplitSet(scenes=["fake_000"], trajectories=[0], sequences=2)
    rest = SplitSet(scenes=["fake_000"], trajectories=[1], sequences=2)
    every = SplitSet(scenes=["fake_000"], sequences=4)
    shared = ["a/b: 1 scenes are in both sets, the first is 'fake_000'"]
    assert findings(manifest(store, a=one, b=rest), store) == shared
    assert findings(manifest(store, a=one, b=every), store) == [
        "a/b: sequences are in both sets",
        *shared,
    ]
    declared = make_manifest(
        {"a": one, "b": rest},
        name="x",
        method="published",
        description="x",
        dataset="x",
        leaky=True,
        leaky_reason="by design",
    )
    assert findings(declared, store) == []
    assert findings(declared, store, "warning") == [
        "x: the split leaks: by design; scenes in two sets: a/b 1"
    ]


def test_check_finds_squares_that_overlap(tmp_path: Path) -> None:
    store = make_store(tmp_path, n=32, scenes=3, traj=1, tx=1, frames=1, gap_m=-1.0)
    split = manifest(
        store,
        a=SplitSet(scenes=["fake_000"], sequences=1),
        b=SplitSet(scenes=["fake_001"], sequences=1),
    )
    assert findings(split, store) == [
        "ground: squares of different sets overlap: a/b 1 (such as fake_000 and fake_001)"
    ]
    # and the geographic split never makes such sets
    made = geo.split_store(store, ratios={"a": 2.0, "b": 1.0})
    assert made.left_out
    assert findings(made, store) == []


def test_a_leaky_split_gets_two_warnings_however_many_scenes_it_has(tmp_path: Path) -> None:
    store = make_store(tmp_path, n=32, scenes=6, traj=3, tx=1, frames=1, gap_m=-1.0)
    split = motion.split_store(store)
    assert findings(split, store) == []
    assert findings(split, store, "warning") == [
        f"radiomapmotion: the split leaks: {split.leaky_reason}; "
        "scenes in two sets: train/val 5, train/test_seen 5, val/test_seen 5",
        "ground: squares of different sets overlap: "
        "test_seen+train+val/test_unseen 1 (such as fake_004 and fake_005)",
    ]


def test_scenes_meet_where_neither_is_in_all_sets_of_the_other(store: Store) -> None:
    split = manifest(
        store,
        a=SplitSet(scenes=["fake_000", "fake_001"], trajectories=[0], sequences=4),
        b=SplitSet(scenes=["fake_002", "fake_003"], trajectories=[0], sequences=4),
        c=SplitSet(scenes=["fake_001", "fake_002"], trajectories=[1], sequences=4),
        d=SplitSet(scenes=["fake_004"], sequences=4),
    )
    assert findings(split, store, "warning") == [
        "ground: squares of different sets touch: a+c/b+c 1 (such as fake_001 and fake_002), "
        "b/d 1 (such as fake_003 and fake_004)"
    ]


def test_check_warns_of_another_dataset_and_of_touching_sets(store: Store) -> None:
    split = motion.split_store(store)
    warnings = findings(split, store, "warning")
    assert warnings[1:] == [
        "ground: squares of different sets touch: "
        "test_seen+train/test_unseen 1 (such as fake_004 and fake_005)"
    ]
    other = split.model_copy(update={"dataset_sha256": "0" * 64})
    assert any("another version" in text for text in findings(other, store, "warning"))
