"""Published splits: the check values of the released loaders, leaks, and datasets in part."""

from __future__ import annotations

import hashlib
import re
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from conftest import REPOSITORY
from fakes_store import make_scene, make_store

from rmtools.errors import RecipeError
from rmtools.splits import check_manifest, read_manifest, write_manifest
from rmtools.splits.catalogue import PUBLISHED, ordered_ids, shared_in_words
from rmtools.splits.inventory import Inventory, SceneEntry, inventory_of, inventory_of_store
from rmtools.splits.published import list_published, published_split, restrict
from rmtools.store import STORE_NAME, Store

if TYPE_CHECKING:
    from pathlib import Path

TRAIN, VAL, TEST = "train", "val", "test"


def digest(ids: list[int]) -> str:
    return hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()


# -- the order ---------------------------------------------------------------------------------


def test_the_order_of_the_released_loaders() -> None:
    ids = ordered_ids()
    assert digest(ids) == "c0828dae12b0e60fe4e173cb7afb867886476068b84512768fd595fd78fc37d7"
    assert ids[:12] == [159, 501, 397, 156, 322, 213, 235, 290, 301, 357, 674, 329]
    positions = [500, 501, 549, 550, 599, 600, 601, 650, 699]
    assert [ids[p] for p in positions] == [187, 124, 377, 385, 379, 289, 419, 14, 103]
    assert [ids.index(m) for m in (17, 126, 508, 419)] == [377, 272, 17, 601]


@pytest.mark.parametrize(
    ("first", "last", "start"),
    [
        (0, 500, "e4257e7611dc0ebe"),
        (501, 600, "ed269b4d63182544"),
        (601, 699, "3718126dd4d05efd"),
        (0, 549, "bc2f79b0c0874f03"),
        (550, 599, "5593e88dd0cd494d"),
        (600, 699, "d5817d229f7c2b81"),
        (600, 650, "086949e489a595ba"),
        (0, 600, "cf3708303b3be503"),
        (0, 200, "87b8d5ae12afb25f"),
        (501, 520, "c2c8af22d1df94df"),
        (0, 83, "d1f1494f0ce96b35"),
    ],
)
def test_ranges_of_positions(first: int, last: int, start: str) -> None:
    ids = sorted(ordered_ids()[first : last + 1])
    assert digest(ids).startswith(start)
    # and wherever a split of RadioMapSeer has this range, its set is these maps
    for name, entry in PUBLISHED.items():
        for key, where in entry.positions.items():
            if where == (first, last) and (entry.seed, entry.size, entry.add) == (42, 700, 1):
                scenes = published_split(name).sets[key].scenes
                assert sorted(map(int, scenes)) == ids


@pytest.mark.parametrize(("seed", "size", "add"), [(42, 700, 1), (2024, 700, 0), (42, 99, 0)])
def test_the_order_as_a_loader_computes_it(seed: int, size: int, add: int) -> None:
    """Not with a generator object, as we do, but with the global one, and on small integers."""
    values = np.arange(0, size, 1, dtype=np.int16)
    np.random.seed(seed)  # noqa: NPY002 - the call of the loaders
    np.random.shuffle(values)  # noqa: NPY002 - the call of the loaders
    assert ordered_ids(seed, size, add) == [int(value) + add for value in values]


def test_the_order_without_a_shuffle() -> None:
    assert ordered_ids(None, 5, 0) == [0, 1, 2, 3, 4]


# -- the table ---------------------------------------------------------------------------------

SIZES = {
    "radiounet": (501, 100, 99),
    "radiomamba": (550, 50, 100),
    "radiodiff-2024": (501, 51, 100),
    "radiodiff-2025": (601, 51, 100),
    "radiodiff-k2": (501, 51, 100),
    "radiodiff-irt4-2024": (501, 100, 99),
    "radiodiff-irt4-2025": (601, 100, 100),
    "radiodiff-s": (201, 20, 99),
    "radioflow-3dseer": (501, 100, 84),
    "pathfinder-3dseer": (500, 100, 100),
    "pathfinder-3dseer-random": (500, 100, 100),
    "locunet": (69, 15, 15),
    "radiodiff-paper": (500, 200),
    "rmdm-paper": (500, 200),
    "radiodun-paper": (525, 35, 140),
    "radiomapmotion": (250, 250, 250, 50),
    "radiodun": (561, 560, 140),
}

LEAKS = {
    "radiodiff-2024": "all 51 scenes of val are in test",
    "radiodiff-2025": "all 51 scenes of val are in test; scene 289 is in train, val and test",
    "radiodiff-k2": "all 51 scenes of val are in test; the loader's input k2_neg_norm was computed "
    "from the target",
    "radiodiff-irt4-2025": "all 100 scenes of val are in train; scene 289 is in train, val and "
    "test",
    "radioflow-3dseer": "all 84 scenes of test are in train",
    "radiomapmotion": "test_seen and val share scenes with train; only test_unseen is "
    "scene-disjoint",
}


def test_sizes_and_leaks_of_all() -> None:
    listed = {each.name: each for each in list_published()}
    assert {name: tuple(each.sizes.values()) for name, each in listed.items()} == SIZES
    leaks = {name: each.leak for name, each in listed.items() if each.leak is not None}
    assert "share 560 maps" in leaks.pop("radiodun")
    assert leaks == LEAKS
    assert [name for name, each in listed.items() if not each.reproducible] == ["radiodun"]


@pytest.mark.parametrize("name", [*PUBLISHED, "radiomapmotion"])
def test_every_manifest_is_sound(name: str, tmp_path: Path) -> None:
    split = published_split(name)
    assert split == published_split(name)
    assert split.name == name
    assert split.source is not None
    assert (split.source.commit is None) == name.endswith("-paper")
    assert split.source.commit is None or re.fullmatch("[0-9a-f]{40}", split.source.commit)
    # "leaky" is true exactly when a scene is in two sets
    assert split.leaky == bool(split.shared_scenes())
    write_manifest(tmp_path / "split.json", split)
    assert read_manifest(tmp_path / "split.json") == split
    if split.order is not None:
        for key, (first, last) in split.order.positions.items():
            assert len(split.sets[key].scenes) == last - first + 1


def test_samples_and_first_files() -> None:
    radiounet, radiomamba = published_split("radiounet"), published_split("radiomamba")
    assert radiounet.sets[TRAIN].scenes[:5] == ["159", "501", "397", "156", "322"]
    assert radiounet.sets[VAL].scenes[0] == "124"
    assert radiounet.sets[TEST].scenes[0] == "419"
    assert radiounet.left_out == ["0"]  # map 0 is never read
    counts = [members.sequences for members in radiomamba.sets.values()]
    assert counts == [44_000, 4_000, 8_000]
    assert len(published_split("radiodiff-2024").left_out) == 99 + 1
    assert len(published_split("radiodiff-s").left_out) == 380 + 1
    for name in ("radiodiff-irt4-2024", "radiodiff-irt4-2025"):
        for members in published_split(name).sets.values():
            assert members.transmitters == [0, 1]
            assert members.sequences == 2 * len(members.scenes)


def test_radiomamba_against_radiounet() -> None:
    """What the note of radiomamba says."""
    unet, mamba = (
        {key: set(members.scenes) for key, members in published_split(name).sets.items()}
        for name in ("radiounet", "radiomamba")
    )
    assert len(mamba[TRAIN] & unet[VAL]) == 49
    assert mamba[VAL] < unet[VAL]
    assert mamba[TEST] - unet[TEST] == {"289"} <= unet[VAL]
    assert unet[TEST] < mamba[TEST]


def test_map_289_of_radiodiff() -> None:
    for name in ("radiodiff-2025", "radiodiff-irt4-2025"):
        sets = published_split(name).sets
        assert all("289" in members.scenes for members in sets.values())
        assert set(sets[TRAIN].scenes) & set(sets[TEST].scenes) == {"289"}


def test_radiodun_paper_is_at_the_papers_ratios_by_whole_maps() -> None:
    split = published_split("radiodun-paper")
    assert [len(m.scenes) / 700 for m in split.sets.values()] == [0.75, 0.05, 0.2]
    assert not any(set(a.scenes) & set(b.scenes) for a, b in combinations(split.sets.values(), 2))


def test_radiomapmotion_as_published() -> None:
    split = published_split("radiomapmotion")
    counts = {key: members.sequences for key, members in split.sets.items()}
    assert counts == {TRAIN: 15_000, VAL: 5_000, "test_seen": 5_000, "test_unseen": 5_000}
    assert split.sets["test_unseen"].scenes == [f"env_{env}" for env in range(250, 300)]
    assert [split.sets[key].trajectories for key in (TRAIN, VAL, "test_seen")] == [
        [0, 1, 2],
        [3],
        [4],
    ]


def test_radiodun_is_refused_and_says_why() -> None:
    with pytest.raises(RecipeError, match=r"without a seed.*file system.*radiodun-paper") as no:
        published_split("radiodun")
    assert "42,075, 2,805 and 11,200" in str(no.value)


def test_a_wrong_name_gets_a_hint() -> None:
    with pytest.raises(RecipeError, match="did you mean 'radiomamba'"):
        published_split("radiomanba")
    with pytest.raises(RecipeError, match="--list"):
        published_split("xyz")


def test_shared_scenes_in_words() -> None:
    assert shared_in_words({"a": ["1", "2"], "b": ["3"]}) == []
    assert shared_in_words({"a": ["1", "2"], "b": ["2", "3"]}) == ["scene 2 is in a and b"]
    assert shared_in_words({"a": ["1", "2", "3"], "b": ["1", "2", "4"], "c": ["1"]}) == [
        "all 1 scenes of c are in a",
        "all 1 scenes of c are in b",
        "scene 1 is in a, b and c",
        "scene 2 is in a and b",
    ]


# -- datasets that have only some of the scenes ------------------------------------------------


def stock(*names: str, trajectories: int = 1, transmitters: int = 80) -> Inventory:
    from pathlib import Path

    scenes = tuple(SceneEntry(name) for name in names)
    return Inventory("Some maps", Path("some"), scenes, trajectories, transmitters)


def test_restricted_to_what_is_there() -> None:
    whole = published_split("radiounet")
    split = restrict(whole, stock("map_0", "map_419", "map_501", "map_159"))
    assert {key: members.scenes for key, members in split.sets.items()} == {
        TRAIN: ["map_159", "map_501"],
        TEST: ["map_419"],
    }
    assert split.left_out == ["map_0"]
    assert split.sets[TRAIN].sequences == 160
    notes = " ".join(split.notes)
    assert "train: 499 of 501 scenes are not in this dataset, the first is 397." in notes
    assert "val: 100 of 100 scenes are not in this dataset, the first is 124; nothing" in notes
    everything = restrict(whole, stock(*map(str, range(701))))
    assert everything.sets == whole.sets
    assert not any("not in this dataset" in note for note in everything.notes)


def test_other_numbers_of_transmitters_and_trajectories() -> None:
    few = restrict(published_split("radiounet"), stock("159", "419", transmitters=4))
    assert few.sets[TRAIN].sequences == 4
    assert "train: 4 sequences of each scene, 80 in RadioMapSeer." in few.notes
    with pytest.raises(RecipeError, match=r"transmitter 1, the dataset only 1"):
        restrict(published_split("radiodiff-irt4-2024"), stock("159", transmitters=1))
    motion = published_split("radiomapmotion")
    with pytest.raises(RecipeError, match=r"trajectory 2, the dataset only 2"):
        restrict(motion, stock("env_000", trajectories=2))
    part = restrict(motion, stock("env_007", "env_251", trajectories=5, transmitters=20))
    assert [m.sequences for m in part.sets.values()] == [60, 20, 20, 100]


def test_a_leaky_split_stays_marked() -> None:
    split = restrict(published_split("radiodiff-2025"), stock("159", "419"))
    assert split.leaky_reason == LEAKS["radiodiff-2025"]


def test_the_wrong_dataset_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"split of RadioMapSeer.*'159'.*'helsinki_r00_c00'"):
        restrict(published_split("radiounet"), stock("helsinki_r00_c00"))
    with pytest.raises(RecipeError, match="split of RadioMapMotion"):
        restrict(published_split("radiomapmotion"), stock("map_001", trajectories=5))
    with pytest.raises(RecipeError, match="'7' and 'map_007' have the same number"):
        restrict(published_split("radiounet"), stock("7", "map_007"))


def test_the_true_folder(reference_data: Path) -> None:
    found = inventory_of(reference_data / "radiomapseer")
    assert found.transmitters == 80
    split = restrict(published_split("radiounet"), found)
    assert split.sets[TRAIN].scenes == ["508", "126", "17"]  # positions 17, 272, 377
    small = restrict(published_split("radiodiff-s"), found)
    assert small.sets[TRAIN].scenes == ["508"]


def test_a_store_of_maps_gets_a_manifest_that_fits(tmp_path: Path) -> None:
    made = make_store(tmp_path / "a", n=32, scenes=3, traj=1, tx=2, frames=1)
    scenes = [
        type(scene)(name, scene.frame, scene.buildings, scene.roads, scene.provenance)
        for scene, name in zip(
            (make_scene(k, 32) for k in range(3)), ("map_159", "map_124", "map_419"), strict=True
        )
    ]
    store = Store.create(tmp_path / "b" / STORE_NAME, scenes, {"title": "Three maps"})
    store.create_tracks(1, 1, 3, made.array_attributes("vehicles"))
    store.create_transmitters(2, {})
    split = restrict(published_split("radiounet"), inventory_of_store(store))
    report = check_manifest(split, store)
    assert report.ok, report.findings
    assert list(split.sequences(VAL, store)) == [(1, 0, 0), (1, 0, 1)]


# -- the documentation -------------------------------------------------------------------------


def test_the_documentation_lists_every_published_split() -> None:
    text = (REPOSITORY / "docs" / "splits.md").read_text(encoding="utf-8")
    for each in list_published():
        sizes = " / ".join(map(str, each.sizes.values()))
        rows = [line for line in text.splitlines() if line.startswith(f"| `{each.name}` |")]
        assert len(rows) == 1, each.name
        assert f"| {sizes} |" in rows[0]
        assert ("**" in rows[0]) == (each.leak is not None)
