"""The audit: what sets share by name and on the ground, windows, and published splits."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import jsonschema
import pytest
from fakes_store import make_store
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rmtools.audit import AuditReport, Windows, audit
from rmtools.audit.evidence import Evidence
from rmtools.audit.ground import check_ground
from rmtools.audit.picture import LEAK, SET_COLOURS, draw_audit
from rmtools.audit.sets import check_sets
from rmtools.audit.text import as_lines, verdict
from rmtools.audit.windows import SetWindows, check_windows
from rmtools.errors import InputError, RecipeError
from rmtools.splits import SplitManifest, SplitSet, make_manifest
from rmtools.splits import geographic as geo
from rmtools.splits.catalogue import PUBLISHED
from rmtools.splits.inventory import Inventory, SceneEntry, inventory_of_store
from rmtools.splits.places import Place
from rmtools.splits.published import published_split
from rmtools.splits.separation import meetings


def split(sets: dict[str, SplitSet], leaky: str | None = None) -> SplitManifest:
    return make_manifest(
        sets,
        name="made up",
        method="geographic",
        description="for a test",
        dataset="x",
        leaky=leaky is not None,
        leaky_reason=leaky,
    )


def whole(*scenes: str, sequences: int | None = None) -> SplitSet:
    return SplitSet(scenes=list(scenes), sequences=sequences or len(scenes))


def leaks(manifest: SplitManifest) -> dict[str, int]:
    """Offending pairs of the levels that leak, by the names alone."""
    return {level.level: level.pairs for level in audit(manifest).leaks}


# -- published splits --------------------------------------------------------------------------

DOCUMENTED = {
    # name: scenes in two sets, sequences, scenes of val that are in test
    "radiodiff-2024": (51, 51 * 80, 51),
    "radiodiff-2025": (51 + 1 + 1, 53 * 80, 51),
    "radiodiff-k2": (51, 51 * 80, 51),
    "radiodiff-irt4-2025": (100 + 1 + 1, 102 * 2, 1),
    "radioflow-3dseer": (84, 84 * 80, 0),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_splits_leak_as_documented_and_not_otherwise(name: str) -> None:
    manifest = published_split(name)
    report = audit(manifest)
    if name not in DOCUMENTED:
        assert not manifest.leaky
        assert report.leaks == []
        return
    scenes, sequences, selection = DOCUMENTED[name]
    found = leaks(manifest)
    assert found["scenes"] == scenes
    assert found["sequences"] == found["transmitters"] == found["windows"] == sequences
    assert found.get("selection", 0) == selection
    assert "trajectories" not in found
    assert manifest.leaky
    assert report.undeclared == []


def test_radiomapmotion_shares_scenes_and_transmitters_but_no_trajectory() -> None:
    report = audit(published_split("radiomapmotion"))
    assert {level.level: level.pairs for level in report.leaks} == {
        "scenes": 3 * 250,
        "transmitters": 3 * 250 * 20,
    }
    assert report.undeclared == []
    assert report.level("scenes").share == pytest.approx(250 / 300, abs=1e-4)
    assert "test_unseen" not in report.level("scenes").finding


def test_what_a_split_cannot_show_is_told_as_it_declares_it() -> None:
    level = audit(published_split("radiodiff-k2")).level("inputs")
    assert level.verdict == "not checked"
    assert "target" in level.finding


# -- sets by name ------------------------------------------------------------------------------

SIZES = (3, 4)
members = st.builds(
    lambda scenes, traj, tx: SplitSet(
        scenes=sorted(scenes),
        trajectories=traj,
        transmitters=tx,
        sequences=len(scenes) * len(traj or range(SIZES[0])) * len(tx or range(SIZES[1])),
    ),
    st.sets(st.sampled_from("abcdef"), min_size=1),
    st.none() | st.lists(st.integers(0, SIZES[0] - 1), min_size=1, unique=True),
    st.none() | st.lists(st.integers(0, SIZES[1] - 1), min_size=1, unique=True),
)


@given(st.dictionaries(st.sampled_from(["train", "val", "test"]), members, min_size=2))
def test_counts_are_those_of_a_plain_enumeration(sets: dict[str, SplitSet]) -> None:
    manifest = split(sets)
    levels = {level.level: level for level in check_sets(manifest, SIZES)}
    enumerated = {
        name: set(
            product(
                each.scenes,
                each.trajectories or range(SIZES[0]),
                each.transmitters or range(SIZES[1]),
            )
        )
        for name, each in sets.items()
    }
    expected = dict.fromkeys(levels, 0)
    names = list(sets)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            one, other = enumerated[a], enumerated[b]
            scenes = {s for s, _, _ in one} & {s for s, _, _ in other}
            expected["scenes"] += len(scenes)
            expected["transmitters"] += len(
                {(s, x) for s, _, x in one} & {(s, x) for s, _, x in other}
            )
            expected["trajectories"] += len(
                {(s, t) for s, t, _ in one} & {(s, t) for s, t, _ in other}
            )
            expected["sequences"] += len(one & other)
            if {a, b} == {"val", "test"}:
                expected["selection"] += len({s for s, _, _ in one & other})
    assert {name: level.pairs for name, level in levels.items()} == expected
    assert all((level.verdict == "leak") == (level.pairs > 0) for level in levels.values())


def test_sizes_of_a_split_without_a_dataset_come_from_its_counts() -> None:
    assert Evidence(published_split("radiounet"), None).sizes == (1, 80)
    assert Evidence(published_split("radiomapmotion"), None).sizes == (5, 20)


def test_maps_without_vehicles_count_as_one_trajectory() -> None:
    still = Inventory("still", Path(), (SceneEntry("a"), SceneEntry("b")), 0, 3)
    manifest = split({"train": whole("a", sequences=3), "test": whole("a", "b", sequences=6)})
    assert {level.level: level.pairs for level in audit(manifest, still).leaks} == {
        "scenes": 1,
        "transmitters": 3,
        "sequences": 3,
        "windows": 3,
    }


def test_one_trajectory_in_two_sets() -> None:
    one = SplitSet(scenes=["a"], trajectories=[0, 1], transmitters=[0], sequences=2)
    two = SplitSet(scenes=["a"], trajectories=[1, 2], transmitters=[1], sequences=2)
    assert leaks(split({"train": one, "test": two})) == {"scenes": 1, "trajectories": 1}
    report = audit(split({"train": one, "test": two}))
    assert len(report.undeclared) == 2
    assert verdict(report) == "LEAKS: scenes, trajectories"


# -- on the ground -----------------------------------------------------------------------------


def row_of(*eastings: float, size: float = 256.0) -> list[Place]:
    return [Place(f"s{k}", "EPSG:32635", e, 0.0, size) for k, e in enumerate(eastings)]


def test_squares_that_overlap_by_five_per_cent() -> None:
    places = row_of(0.0, 256.0 * 0.95, 1000.0)
    level = check_ground(split({"train": whole("s0"), "test": whole("s1", "s2")}), places, 0.0)
    assert (level.verdict, level.risk, level.pairs, level.smallest_m) == ("leak", "high", 1, 0.0)
    assert level.examples[0].what == "5.0% of a square in common"
    assert level.share == pytest.approx(2 / 3, abs=1e-4)
    assert not level.declared


def test_a_buffer_decides_what_is_too_near() -> None:
    places = row_of(0.0, 300.0)
    manifest = split({"train": whole("s0"), "test": whole("s1")}, leaky="otherwise")
    for buffer_m, expected in ((0.0, "pass"), (44.0, "pass"), (44.1, "leak")):
        level = check_ground(manifest, places, buffer_m)
        assert (level.verdict, level.smallest_m) == (expected, 44.0)
    assert not level.declared  # that scenes lie close is not what such a split tells
    with pytest.raises(RecipeError, match="no distance"):
        audit(manifest, buffer_m=math.nan)


def test_squares_that_touch_are_a_warning_only() -> None:
    manifest = split({"train": whole("s0"), "test": whole("s1")})
    level = check_ground(manifest, row_of(0.0, 256.0), 0.0)
    assert (level.verdict, level.risk, level.pairs) == ("warning", "low", 1)
    assert check_ground(manifest, row_of(0.0, 256.0), 1.0).verdict == "leak"
    assert check_ground(manifest, [], 0.0).verdict == "not checked"


def gap(a: Place, b: Place) -> float:
    """Distance of two squares, -1 where they overlap; independent of shapely."""
    dx = abs(a.easting_m - b.easting_m) - a.size_m
    dy = abs(a.northing_m - b.northing_m) - a.size_m
    return -1.0 if dx < 0 and dy < 0 else math.hypot(max(dx, 0), max(dy, 0))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=2, max_size=15),
    st.lists(st.sampled_from(["train", "val", "test", "train val"]), min_size=15, max_size=15),
    st.sampled_from([0.0, 10.0, 200.0]),
)
def test_meetings_are_those_of_all_pairs(
    corners: list[tuple[int, int]], sets: list[str], reach_m: float
) -> None:
    places = [
        Place(f"s{k:02d}", "EPSG:32635", 64.0 * e, 64.0 * n, 256.0)
        for k, (e, n) in enumerate(corners)
    ]
    in_sets = {place.name: set(sets[k].split()) for k, place in enumerate(places)}
    chosen = {
        name: whole(*[scene for scene, names in in_sets.items() if name in names])
        for name in ("train", "val", "test")
        if any(name in names for names in in_sets.values())
    }
    found = {(m.first, m.second) for m in meetings(split(chosen), places, reach_m)}
    expected = {
        (a.name, b.name)
        for k, a in enumerate(places)
        for b in places[k + 1 :]
        if gap(a, b) <= reach_m
        and in_sets[a.name] - in_sets[b.name]
        and in_sets[b.name] - in_sets[a.name]
    }
    assert found == expected


def test_a_geographic_split_passes_with_its_buffer() -> None:
    places = [
        Place(f"s{i}{j}", "EPSG:32635", 256.0 * i, 256.0 * j, 256.0)
        for i in range(8)
        for j in range(8)
    ]
    inventory = Inventory(
        "town", Path(), tuple(SceneEntry(place.name, place=place) for place in places), 1, 1
    )
    manifest = geo.geographic_split(places, 1, 1, dataset="town", buffer_m=50.0)
    report = audit(manifest, inventory, buffer_m=50.0)
    assert report.leaks == []
    assert report.level("ground").smallest_m >= 50.0


# -- windows -----------------------------------------------------------------------------------


def test_a_window_across_a_boundary() -> None:
    manifest = split({"train": whole("a", "b"), "test": whole("b", "c")})
    early, late = SetWindows(last_frame=9), SetWindows(first_frame=9)
    crossing = Windows(context=3, horizon=2, frames=15, sets={"train": early, "test": late})
    level = check_windows(manifest, (1, 4), crossing)
    assert (level.verdict, level.pairs) == ("leak", 4)  # frame 9 of four sequences of scene b
    assert level.finding == "train/test frames 9 of their common sequences"
    later = SetWindows(first_frame=10)
    apart = crossing.model_copy(update={"sets": {"train": early, "test": later}})
    assert check_windows(manifest, (1, 4), apart).verdict == "pass"


def test_windows_of_whole_sequences_cannot_cross() -> None:
    """RadioMapMotion's released code: 8 + 5 frames from frame 2."""
    manifest = published_split("radiomapmotion")
    start = SetWindows(starts=[2])
    windows = Windows(context=8, horizon=5, frames=15, sets=dict.fromkeys(manifest.sets, start))
    assert windows.covered("train") == set(range(2, 15))
    assert check_windows(manifest, (5, 20), windows).verdict == "pass"


@given(st.integers(1, 6), st.integers(0, 4), st.integers(1, 5), st.integers(0, 8))
def test_windows_cover_what_stepping_through_them_covers(
    context: int, horizon: int, stride: int, first: int
) -> None:
    frames = 20
    rule = SetWindows(first_frame=first, stride=stride)
    windows = Windows(context=context, horizon=horizon, frames=frames, sets={"train": rule})
    covered, start = set(), first
    while start + context + horizon <= frames:
        covered |= set(range(start, start + context + horizon))
        start += stride
    assert windows.covered("train") == covered


def test_windows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit into 15 frames"):
        Windows(context=8, horizon=5, frames=15, sets={"train": SetWindows(first_frame=3)})
    with pytest.raises(ValueError, match="do not fit"):
        Windows(context=8, horizon=5, frames=15, sets={"train": SetWindows(starts=[3])})
    stray = Windows(context=2, horizon=1, frames=15, sets={"dev": SetWindows()})
    with pytest.raises(InputError, match="'dev', which the split does not have"):
        audit(split({"train": whole("a"), "test": whole("b")}), windows=stray)


# -- the report --------------------------------------------------------------------------------


def test_a_dataset_in_part_is_looked_at_in_part(tmp_path: Path) -> None:
    store = make_store(tmp_path, n=32, scenes=3, traj=2, tx=2, frames=2, gap_m=-2.0)
    manifest = split(
        {"train": whole("fake_000", "gone_1", "gone_2"), "test": whole("fake_001", "fake_002")}
    )
    report = audit(manifest, inventory_of_store(store))
    assert (report.missing_scenes, report.missing) == (2, ["gone_1", "gone_2"])
    ground = report.level("ground")
    assert (ground.verdict, ground.pairs) == ("leak", 1)
    assert [(pair.first, pair.second) for pair in ground.examples] == [("fake_000", "fake_001")]
    assert "3 of 5 scenes have a place" in ground.finding
    text = "\n".join(as_lines(report))
    assert "2 scenes are not in the dataset and could not be looked at, the first is gone_1" in text
    assert "LEAKS: ground" in text


def test_a_report_comes_back_and_fits_its_schema(tmp_path: Path) -> None:
    report = audit(published_split("radiodiff-2025"))
    path = tmp_path / "audit.json"
    path.write_text(report.model_dump_json())
    assert AuditReport.read(path) == report
    jsonschema.validate(report.model_dump(mode="json"), AuditReport.model_json_schema())
    path.write_text("{}")
    with pytest.raises(InputError, match="the result of an audit"):
        AuditReport.read(path)


def test_the_picture_shows_sets_in_their_colours_and_what_leaks_in_red() -> None:
    manifest = split({"train": whole("s0", "lost"), "test": whole("s1")})
    for places, red in ((row_of(0.0, 200.0), True), (row_of(0.0, 900.0), False)):
        level = check_ground(manifest, places, 0.0)
        report = audit(manifest).model_copy(update={"levels": [level]})
        image = draw_audit(report, manifest, places)
        assert isinstance(image, Image.Image)
        half = image.crop((0, 60, image.width, 840))  # without the legend
        colours = {colour for _, colour in half.getcolors(1 << 20)}
        assert {SET_COLOURS[0], SET_COLOURS[1]} <= colours
        assert (LEAK in colours) == red
    everything = published_split("radiodiff-2025")
    draw_audit(audit(everything), everything, [])  # hundreds of scenes without a place
