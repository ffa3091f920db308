"""New splits: whole groups, disjoint sets, shares kept, buffers kept, the same file again."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fakes_store import make_store
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rmtools.errors import RecipeError
from rmtools.layouts.motion import write_layout
from rmtools.splits import check_manifest
from rmtools.splits.config import USED_BY, SplitConfig
from rmtools.splits.grouped import (
    block_split,
    blocks,
    city_split,
    component_split,
    random_split,
    trajectory_split,
)
from rmtools.splits.inventory import Inventory, SceneEntry, inventory_of, inventory_of_store
from rmtools.splits.places import Place
from rmtools.splits.ratios import counts, share_out

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from rmtools.splits.manifest import SplitManifest

SIDE = 256.0
RATIOS = {"train": 0.7, "val": 0.1, "test": 0.2}
CITIES = ["north.osm.pbf", "south.osm.pbf", "place:Elsewhere", "bbox:1,2,3,4", "far.osm.pbf"]

ratios = st.dictionaries(
    st.sampled_from(["train", "val", "test", "extra"]),
    st.floats(0.05, 10.0),
    min_size=2,
    max_size=4,
)
buffers = st.sampled_from([0.0, 1.0, 100.0, 400.0])


def inventory(
    squares: Sequence[tuple[str, float, float]],
    cities: Sequence[str] | None = None,
    trajectories: int = 2,
) -> Inventory:
    """Scenes s0, s1, ... at (crs, easting, northing), three transmitters each."""
    scenes = tuple(
        SceneEntry(f"s{i}", cities[i] if cities else None, Place(f"s{i}", crs, east, north, SIDE))
        for i, (crs, east, north) in enumerate(squares)
    )
    return Inventory("Made up", Path("made-up"), scenes, trajectories, 3, "0" * 64)


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    squares = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["EPSG:32635", "EPSG:25832"]),
                st.integers(0, 60).map(lambda k: 64.0 * k),
                st.integers(0, 60).map(lambda k: 64.0 * k),
            ),
            unique=True,
            min_size=4,
            max_size=50,
        )
    )
    cities = draw(st.lists(st.sampled_from(CITIES), min_size=len(squares), max_size=len(squares)))
    return inventory(squares, cities)


def gap(a: Place, b: Place) -> float:
    """Distance between two squares, negative when they overlap; without shapely."""
    if a.crs != b.crs:
        return math.inf
    dx = abs(a.easting_m - b.easting_m) - SIDE
    dy = abs(a.northing_m - b.northing_m) - SIDE
    return max(dx, dy) if max(dx, dy) < 0 else math.hypot(max(dx, 0), max(dy, 0))


def partition(split: SplitManifest) -> dict[str, str]:
    """Set of every scene; no scene is in two sets."""
    found = [(scene, name) for name, members in split.sets.items() for scene in members.scenes]
    assert len(dict(found)) == len(found)
    return dict(found)


def smallest_gap(found: Inventory, split: SplitManifest) -> float:
    """Smallest distance between squares of different sets."""
    where, of = {place.name: place for place in found.places}, partition(split)
    return min(
        (gap(where[a], where[b]) for a, b in combinations(of, 2) if of[a] != of[b]),
        default=math.inf,
    )


def linked(found: Inventory, buffer_m: float, labels: Sequence[Hashable]) -> dict[str, int]:
    """Group of every scene by flooding: same label, overlapping, or nearer than the buffer."""
    places, group = found.places, {}
    for start in range(len(places)):
        if places[start].name in group:
            continue
        queue = [start]
        while queue:
            i = queue.pop()
            if places[i].name not in group:
                group[places[i].name] = start
                queue += [
                    j
                    for j in range(len(places))
                    if labels[i] == labels[j]
                    or (d := gap(places[i], places[j])) < 0
                    or d < buffer_m
                ]
    return group


def assert_shares(split: SplitManifest, shares: dict[str, float], groups: dict[str, int]) -> None:
    """Every set has a group, and none exceeds its share by as much as the largest group."""
    total, largest = len(groups), max(Counter(groups.values()).values())
    for name, share in shares.items():
        size = len(split.sets[name].scenes)
        assert 0 < size < share / sum(shares.values()) * total + largest + 1e-6


def assert_whole(split: SplitManifest, groups: dict[str, int]) -> None:
    """No group is in two sets."""
    sets = defaultdict(set)
    for scene, name in partition(split).items():
        sets[groups[scene]].add(name)
    assert all(len(names) == 1 for names in sets.values())


# -- shares ------------------------------------------------------------------------------------


@given(st.lists(st.floats(0.01, 10), min_size=2, max_size=6), st.integers(6, 500))
def test_counts_add_up_and_round(shares: list[float], things: int) -> None:
    sizes = counts(shares, things)
    assert sum(sizes) == things
    assert min(sizes) >= 1
    if all(share / sum(shares) * things >= 1.5 for share in shares):
        for size, share in zip(sizes, shares, strict=True):
            assert abs(size - share / sum(shares) * things) <= 1 + 1e-9


@given(
    st.lists(st.integers(1, 40), min_size=4, max_size=40),
    st.lists(st.floats(0.01, 10), min_size=2, max_size=4),
    st.integers(0, 9),
)
def test_groups_are_shared_out(sizes: list[int], shares: list[float], seed: int) -> None:
    chosen = share_out(sizes, shares, seed)
    assert chosen == share_out(sizes, shares, seed)
    got = Counter()
    for size, group in zip(sizes, chosen, strict=True):
        got[group] += size
    for rank, share in enumerate(shares):
        assert 0 < got[rank] < share / sum(shares) * sum(sizes) + max(sizes) + 1e-6


# -- whole groups ------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(inventories(), ratios, st.integers(0, 5), buffers)
def test_component(found: Inventory, shares: dict[str, float], seed: int, buffer_m: float) -> None:
    groups = linked(found, buffer_m, found.names)
    if len(set(groups.values())) < len(shares):
        with pytest.raises(RecipeError, match="components cannot be cut"):
            component_split(found, ratios=shares, seed=seed, buffer_m=buffer_m)
        return
    split = component_split(found, ratios=shares, seed=seed, buffer_m=buffer_m)
    assert sorted(partition(split)) == sorted(found.names)
    assert not split.left_out
    assert_whole(split, groups)
    assert_shares(split, shares, groups)
    assert smallest_gap(found, split) >= buffer_m
    assert not split.leaky
    assert all(m.sequences == 6 * len(m.scenes) for m in split.sets.values())


@settings(max_examples=60, deadline=None)
@given(inventories(), ratios, st.integers(0, 5), buffers)
def test_city(found: Inventory, shares: dict[str, float], seed: int, buffer_m: float) -> None:
    groups = linked(found, buffer_m, [scene.city for scene in found.scenes])
    if len(set(groups.values())) < len(shares):
        with pytest.raises(RecipeError, match="cities cannot be cut"):
            city_split(found, ratios=shares, seed=seed, buffer_m=buffer_m)
        return
    split = city_split(found, ratios=shares, seed=seed, buffer_m=buffer_m)
    assert sorted(partition(split)) == sorted(found.names)
    assert_whole(split, groups)
    assert_shares(split, shares, groups)
    assert smallest_gap(found, split) >= buffer_m
    assert not split.leaky


@settings(max_examples=60, deadline=None)
@given(inventories(), ratios, st.integers(0, 5), buffers, st.sampled_from([300.0, 1024.0]))
def test_block(
    found: Inventory, shares: dict[str, float], seed: int, buffer_m: float, block_m: float
) -> None:
    labels = blocks(found.places, block_m, seed)
    where = {place.name: place for place in found.places}
    of_block = dict(zip(where, labels, strict=True))
    for a, b in combinations(where.values(), 2):
        if of_block[a.name] == of_block[b.name]:
            assert a.crs == b.crs
            assert abs(a.easting_m - b.easting_m) < block_m
            assert abs(a.northing_m - b.northing_m) < block_m
    try:
        split = block_split(found, ratios=shares, seed=seed, buffer_m=buffer_m, block_m=block_m)
    except RecipeError:
        assume(False)
        return
    assert_whole(split, of_block)
    assert sorted([*partition(split), *split.left_out]) == sorted(found.names)
    assert smallest_gap(found, split) >= buffer_m
    assert not split.leaky
    # nobody is left out who was not in the way
    for name in split.left_out:
        near = [gap(where[name], p) for p in found.places if p.name != name]
        assert min(near) < max(buffer_m, 1e-9)


@settings(max_examples=40, deadline=None)
@given(inventories(), ratios, st.integers(0, 5))
def test_random(found: Inventory, shares: dict[str, float], seed: int) -> None:
    split = random_split(found, ratios=shares, seed=seed)
    assert sorted(partition(split)) == sorted(found.names)
    sizes = [len(members.scenes) for members in split.sets.values()]
    assert sizes == counts(list(shares.values()), len(found.names))
    # honest about the ground: leaky exactly when squares of different sets overlap
    assert split.leaky == (smallest_gap(found, split) < 0)


@given(st.integers(1, 12), ratios, st.integers(0, 5))
def test_trajectory(number: int, shares: dict[str, float], seed: int) -> None:
    found = inventory([("EPSG:32635", 300.0 * k, 0.0) for k in range(3)], trajectories=number)
    if number < len(shares):
        with pytest.raises(RecipeError, match="trajectories cannot be cut"):
            trajectory_split(found, ratios=shares, seed=seed)
        return
    split = trajectory_split(found, ratios=shares, seed=seed)
    taken = [t for members in split.sets.values() for t in members.trajectories or ()]
    assert sorted(taken) == list(range(number))
    assert all(members.scenes == found.names for members in split.sets.values())
    assert sum(m.sequences for m in split.sets.values()) == 3 * number * 3
    assert not any(a.shares_sequences(b) for a, b in combinations(split.sets.values(), 2))
    assert split.leaky


# -- the seed ----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [random_split, component_split, block_split, trajectory_split])
def test_the_seed_decides_and_nothing_else(make: Any) -> None:
    squares = [("EPSG:32635", 300.0 * i, 300.0 * j) for i in range(12) for j in range(12)]
    found = inventory(squares, trajectories=20)
    made = [make(found, seed=seed) for seed in range(6)]
    assert [make(found, seed=seed) for seed in range(6)] == made
    assert len({split.sha256 for split in made}) == len(made)
    assert [split.seed for split in made] == list(range(6))


def test_blocks_are_squares_of_the_ground() -> None:
    """Scenes far closer than a block are mostly of one set, unlike in a random split."""
    squares = [("EPSG:32635", 260.0 * i, 260.0 * j) for i in range(24) for j in range(24)]
    found = inventory(squares)

    def neighbours_together(split: SplitManifest) -> float:
        of = partition(split)
        pairs = [
            (f"s{24 * i + j}", f"s{24 * i + j + 1}")
            for i in range(24)
            for j in range(23)
            if f"s{24 * i + j}" in of and f"s{24 * i + j + 1}" in of
        ]
        return sum(of[a] == of[b] for a, b in pairs) / len(pairs)

    assert neighbours_together(block_split(found, block_m=1300.0)) > 0.85
    assert neighbours_together(random_split(found)) < 0.65
    buffered = block_split(found, block_m=1300.0, buffer_m=10.0)
    assert 0 < len(buffered.left_out) < len(squares) / 2
    assert "blocks" in buffered.notes[0]


# -- cities ------------------------------------------------------------------------------------


def test_two_extracts_of_one_town_are_one_city() -> None:
    squares = [("EPSG:32635", 256.0 * k, 0.0) for k in range(4)]
    far = [("EPSG:32635", 9000.0 + 256.0 * k, 0.0) for k in range(2)]
    cities = ["east", "east", "west", "west", "far", "far"]
    found = inventory([*squares, *far], cities)
    two = {"train": 2.0, "test": 1.0}
    apart = city_split(found, ratios=two)
    assert {len(m.scenes) for m in apart.sets.values()} == {4, 2}
    joined = city_split(found, ratios=two, buffer_m=50.0)
    assert joined.sets["train"].scenes == ["s0", "s1", "s2", "s3"]
    assert joined.notes[:2] == ["train: east, west.", "test: far."]
    with pytest.raises(RecipeError, match="2 cities cannot be cut into 3 sets"):
        city_split(found, ratios=RATIOS, buffer_m=50.0)


def test_scenes_without_a_city_or_a_place_are_refused() -> None:
    scenes = (SceneEntry("159"), SceneEntry("17"), SceneEntry("4"))
    found = Inventory("RadioMapSeer", Path("seer"), scenes, 1, 80)
    with pytest.raises(RecipeError, match=r"city of 3 scenes is not known.*'159'"):
        city_split(found)
    for make in (component_split, block_split):
        with pytest.raises(RecipeError, match="3 scenes have no place"):
            make(found)
    split = random_split(found)
    assert split.notes == ["3 scenes have no place: whether sets overlap is not known."]


def test_nonsense_is_refused() -> None:
    found = inventory([("EPSG:32635", 256.0 * k, 0.0) for k in range(6)], ["a"] * 6)
    for bad in ({"train": 1.0}, {"train": 1.0, "test": -1.0}):
        with pytest.raises(RecipeError, match="not two or more positive shares"):
            random_split(found, ratios=bad)
    with pytest.raises(RecipeError, match="is no distance"):
        component_split(found, buffer_m=math.inf)
    with pytest.raises(RecipeError, match="blocks of 0 m"):
        block_split(found, block_m=0.0)
    with pytest.raises(RecipeError, match=r"1 components cannot be cut into 3 sets"):
        component_split(found, buffer_m=1.0)
    with pytest.raises(RecipeError, match="no scene is left for the set"):
        block_split(found, block_m=300.0, buffer_m=5000.0)


# -- datasets and the recipe -------------------------------------------------------------------


def test_kinds_of_a_true_store_pass_the_check(tmp_path: Path) -> None:
    store = make_store(tmp_path, n=32, scenes=8, traj=3, tx=2, frames=1, gap_m=40.0)
    for kind in ("component", "random", "geographic", "block", "trajectory", "motion"):
        config = SplitConfig.model_validate({"kind": kind, "block_m": 80.0})
        split = config.make(store, seed=2)
        assert split.method in (kind, "radiomapmotion")
        report = check_manifest(split, store)
        assert report.ok, (kind, report.findings)
        assert split == config.make(inventory_of_store(store), seed=2)
    own = SplitConfig(kind="random", seed=7)
    assert own.make(store, seed=2).seed == 7
    with pytest.raises(RecipeError, match="1 cities cannot be cut"):
        SplitConfig(kind="city").make(store, seed=2)


def test_a_layout_is_split_like_its_store(tmp_path: Path) -> None:
    store = make_store(tmp_path, n=32, scenes=4, traj=1, tx=1, frames=1, gap_m=40.0)
    write_layout(store, tmp_path / "motion")
    for folder in (tmp_path, store.path, tmp_path / "motion"):
        found = inventory_of(folder)
        assert [scene.city for scene in found.scenes] == ["made-up.osm.pbf"] * 4
        assert component_split(found).sets == component_split(inventory_of_store(store)).sets


def test_published_folders_are_taken_stock_of(tmp_path: Path) -> None:
    frame = tmp_path / "motion" / "gain" / "env_000" / "traj_00" / "tx_00"
    store = make_store(tmp_path / "made", n=32, scenes=1, traj=1, tx=1, frames=1)
    write_layout(store, tmp_path / "written", names="loader")
    frame.mkdir(parents=True)
    image = next((tmp_path / "written" / "gain").rglob("*.png"))
    (frame / "frame_0.png").write_bytes(image.read_bytes())
    assert inventory_of(tmp_path / "motion").names == ["env_000"]
    seer = tmp_path / "seer" / "gain" / "DPM"
    seer.mkdir(parents=True)
    for name in ("3_0", "3_12", "20_5"):
        (seer / f"{name}.png").touch()
    found = inventory_of(tmp_path / "seer")
    assert (found.names, found.transmitters) == (["3", "20"], 13)


def test_the_section_says_what_matters_to_which_kind() -> None:
    with pytest.raises(ValueError, match="needs the name of a split"):
        SplitConfig(kind="published")
    SplitConfig(kind="block").check_used(["block_m", "buffer_m", "seed", "ratios"])
    with pytest.raises(RecipeError, match="buffer_m does not matter to a split of kind random"):
        SplitConfig(kind="random").check_used(["seed", "buffer_m"])
    assert set(USED_BY) == set(SplitConfig.model_fields) - {"kind"}
