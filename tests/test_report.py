"""The HTML report: true numbers, bounded size, nothing executable from data, the same bytes."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from fakes_store import (
    make_pathloss,
    make_scene,
    make_store,
    make_tracks,
    make_transmitters,
    vehicle_attributes,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rmtools.errors import InputError
from rmtools.findings import Report
from rmtools.report import charts, figures, gallery, ground, markup, viewer
from rmtools.report.html import script_json, write_report
from rmtools.report.material import gather
from rmtools.report.reader import BUILDING_LAYER, ROAD_LAYER
from rmtools.report.sets import SceneSets, scene_sets
from rmtools.report.statistics import Histogram, Statistics, sampled, target_window
from rmtools.store import STORE_NAME, Store
from rmtools.units import MOTION_SCALE

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&<b>"


class Page(HTMLParser):
    """Tags with their attributes, and the text of scripts and styles."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.words: list[str] = []
        self._inside: str | None = None
        self.text = path.read_text()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in self.raw:
            self._inside = tag
            self.raw[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = None if tag == self._inside else self._inside

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.raw[self._inside][-1] += data
        else:
            self.words.append(data)

    @property
    def plain(self) -> str:
        return " ".join(" ".join(self.words).split())

    def script(self, key: str) -> Any:
        """JSON of the script element with an id."""
        ids = [attrs.get("id") for tag, attrs in self.tags if tag == "script"]
        return json.loads(self.raw["script"][ids.index(key)])

    @property
    def data(self) -> dict[str, Any]:
        return self.script("data")

    @property
    def packs(self) -> dict[int, dict[str, Any]]:
        """What is embedded of each scene."""
        return {int(s): self.script(f"scene-{s}") for s in self.data["names"]}

    @property
    def program(self) -> str:
        """The one script that is carried out."""
        return next(text for text in self.raw["script"] if not text.startswith("{"))


def unpacked(text: str, side: int) -> np.ndarray:
    """The levels of a stack, shape (frame, side, side), undone step by step."""
    levels = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    levels = levels.reshape(-1, side, side).copy()
    for row in range(1, side):
        levels[0, row] += levels[0, row - 1]
    for frame in range(1, len(levels)):
        levels[frame] += levels[frame - 1]
    return levels


def collect(store: Store, max_sequences: int = 1000) -> Statistics:
    return gather(store, MOTION_SCALE, max_sequences)[0]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(write_report(store, tmp_path_factory.mktemp("page") / "report.html"))


# -- statistics ------------------------------------------------------------------------------


def test_statistics_equal_those_of_the_whole_array(store: Store) -> None:
    found = collect(store)
    sizes = store.sizes
    units = [(s, t) for s in range(sizes.scene) for t in range(sizes.traj)]
    whole = np.stack([store.pathloss_unit(s, t) for s, t in units])
    step = np.diff(whole, axis=2)
    finite = np.isfinite(step)
    assert found.sequences == found.available == sizes.scene * sizes.traj * sizes.tx
    assert found.loss.total == np.isfinite(whole).sum()
    assert found.compared == finite.sum()
    assert found.changed == (np.abs(step[finite]) > 0).sum()
    assert found.consecutive.rms == pytest.approx(np.sqrt(np.mean(step[finite] ** 2)))
    levels = MOTION_SCALE.encode(whole) / 255.0
    error = levels[:, :, 10:] - levels[:, :, 9:10]
    assert found.repeat_error.mean_square == pytest.approx(np.mean(error**2))
    assert found.target_power.mean_square == pytest.approx(np.mean(levels[:, :, 10:] ** 2))
    centres = np.arange(250) + 0.5
    mean = (found.loss.counts * centres).sum() / found.loss.total
    assert mean == pytest.approx(np.nanmean(whole), abs=0.5)
    tracks = [store.tracks(s, t) for s, t in units]
    assert found.vehicles == [track.present.sum() for track in tracks]


def test_a_steady_drift_gives_its_closed_form(tmp_path: Path) -> None:
    made = make_store(tmp_path, scenes=1, traj=1, tx=1, n=16, frames=15)
    drift = 1.5
    frames = 80.0 + drift * np.arange(15)[:, None, None] + np.zeros((15, 16, 16))
    made.write_pathloss(0, 0, frames[None])
    found = collect(made)
    assert found.changed == found.compared == 14 * 256
    assert found.consecutive.rms == pytest.approx(drift)
    assert found.change.counts.nonzero()[0].tolist() == [round((drift + 20) / 0.5)]
    for f, moment in enumerate(found.from_first):
        assert (moment.rms or 0.0) == pytest.approx(drift * f)
    # RMS of 1, 2, 3, 4, 5 drifts is sqrt(11) drifts; a grey step is the resolution.
    assert found.repeat_error.rms == pytest.approx(drift * 11**0.5 / 95.5, abs=1 / 255)
    assert found.clipped == 0


def test_sequences_that_were_never_written_are_counted_and_left_out(tmp_path: Path) -> None:
    made = make_store(tmp_path, scenes=2, traj=1, tx=2, frames=3)
    before = collect(made)
    made.write_pathloss(1, 0, np.full((2, 3, 48, 48), np.nan))
    after = collect(made)
    assert (before.empty, after.empty) == (0, 2)
    assert 0 < after.loss.total < before.loss.total
    text = Page(write_report(made, tmp_path / "r.html")).plain
    assert "2 of the 4 sequences looked at hold no value yet" in text


@pytest.mark.parametrize(
    ("frames", "window"),
    [(1, None), (2, (0, (1, 1))), (6, (3, (4, 5))), (15, (9, (10, 14))), (40, (9, (10, 14)))],
)
def test_targets_follow_the_context(
    frames: int, window: tuple[int, tuple[int, int]] | None
) -> None:
    assert target_window(frames) == window


@given(st.integers(1, 5000), st.integers(2, 300))
def test_a_sample_is_even_bounded_and_holds_both_ends(total: int, most: int) -> None:
    chosen = sampled(total, most)
    assert len(chosen) == min(total, most)
    assert (chosen[0], chosen[-1]) == (0, total - 1)
    gaps = np.diff(chosen)
    assert len(gaps) == 0 or (gaps.min() >= 1 and gaps.max() - gaps.min() <= 1)


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=50))
def test_a_histogram_counts_every_value_once(values: list[float]) -> None:
    histogram = Histogram.empty(-20.0, 20.0, 80)
    histogram.add(np.array(values))
    assert histogram.total == len(values)
    trimmed = charts.trimmed(histogram)
    assert trimmed.total == len(values)
    assert trimmed.counts[0] > 0
    assert trimmed.counts[-1] > 0
    low, high = np.clip([min(values), max(values)], -20, 20)
    assert trimmed.low - 1e-9 <= low <= high <= trimmed.high


@given(st.lists(st.integers(0, 500), min_size=1, max_size=20), st.booleans())
def test_few_values_spread_over_whole_bins(values: list[int], centred: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
    histogram = figures.spread(values, centred=centred)
    bins = len(histogram.counts)
    width = (histogram.high - histogram.low) / bins
    assert 6 <= bins <= 20
    assert width == round(width) >= 1
    assert histogram.low <= min(values)
    assert max(values) < histogram.high
    inside = [((v >= e) & (v < e + width)) for v in values for e in histogram.edges[:-1]]
    assert histogram.total == sum(inside) == len(values)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (999, "999 B"),
        (1000, "1 kB"),
        (999_499, "999 kB"),
        (999_600, "1 MB"),
        (70_800_000, "70.8 MB"),
        (5_000_000_000, "5 GB"),
        (123 * 10**15, "123 PB"),
    ],
)
def test_sizes_have_three_digits_and_the_prefix_that_suits(count: int, words: str) -> None:
    assert markup.size(count) == words


# -- charts ----------------------------------------------------------------------------------


def test_bars_are_as_high_as_their_counts() -> None:
    histogram = Histogram(0.0, 4.0, np.array([1, 0, 3, 2]))
    root = ET.fromstring(  # noqa: S314 - we wrote it
        charts.histogram_svg(histogram, "a < b", "x & y", "share")
    )
    bars = [bar for bar in root.iter("rect") if bar.get("class") == "bar"]
    heights = np.array([float(bar.get("height", 0)) for bar in bars])
    np.testing.assert_allclose(heights / heights[0], [1, 3, 2], rtol=1e-3)
    lefts = [float(bar.get("x", 0)) for bar in bars]
    assert lefts[2] - lefts[1] == pytest.approx((lefts[1] - lefts[0]) / 2, abs=0.02)
    assert root.findtext("title") == "a < b"


def test_the_ground_is_drawn_north_up(store: Store) -> None:
    corners = np.array([(0.0, 0.0), (0.0, 256.0), (256.0, 0.0)])
    place = ground.Place("town", [0, 1, 2], corners)
    html = ground.ground_html(place, ["south", "north", "east"], SceneSets(), 256.0, 0)
    root = ET.fromstring(re.search(r"<svg.*</svg>", html)[0])  # noqa: S314 - we wrote it
    at = {rect.get("aria-label"): rect for rect in root.iter("rect")}
    assert float(at["north"].get("y", 0)) < float(at["south"].get("y", 0))
    assert float(at["east"].get("x", 0)) > float(at["south"].get("x", 0))
    assert at["north"].get("x") == at["south"].get("x")


@given(st.lists(st.integers(0, 12), min_size=1, max_size=12), st.data())
def test_cities_are_what_hangs_together(steps: list[int], data: st.DataObject) -> None:
    # Along a line with gaps of 0, 10 ... 120 % of two cells, a city ends where a cell is empty.
    x = np.cumsum(np.array([0, *steps]) * 0.2 * ground.CITY_GAP_M)
    corners = np.stack([x, np.full(len(x), data.draw(st.floats(-1e7, 1e7)))], axis=-1)
    order = data.draw(st.permutations(range(len(x))))
    found = ground.cities(corners[order])
    assert sorted(i for city in found for i in city) == list(range(len(x)))
    gaps = np.diff(np.floor(x / ground.CITY_GAP_M)) > 1
    assert len(found) == gaps.sum() + 1
    label = np.concatenate([[0], np.cumsum(gaps)])
    for city in found:
        assert len({label[order[i]] for i in city}) == 1


def test_scenes_of_one_system_that_lie_far_apart_get_a_map_each(tmp_path: Path) -> None:
    near, far = make_scene(0), make_scene(1)
    away = far.frame.model_copy(update={"easting_m": far.frame.easting_m + 200_000.0})
    lost = make_scene(2)
    nowhere = lost.frame.model_copy(update={"crs": None, "easting_m": None, "northing_m": None})
    scenes = [near, replace(far, frame=away), replace(lost, frame=nowhere)]
    found = ground.places(Store.create(tmp_path / STORE_NAME, scenes, {}))
    assert [place.scenes for place in found] == [[0], [1], [2]]
    assert found[0].title == found[1].title == "made-up.osm.pbf (EPSG:32635)"
    assert "no place" in found[2].title


def test_scenes_get_the_colour_of_their_sets() -> None:
    split = {
        "sets": {
            "val": {"scenes": ["b"]},
            "extra": {"scenes": ["d"]},
            "train": {"scenes": ["a", "b"]},
        }
    }
    sets = scene_sets(["a", "b", "c", "d"], split)
    assert sets.labels == ("train", "extra", "train + val", "in no set")
    assert [sets.label(s) for s in range(4)] == ["train", "train + val", "in no set", "extra"]
    assert [sets.colour(s) for s in range(4)] == ["set1", "set3", "set0", "set2"]
    assert scene_sets(["a"], None).label(0) == ""


# -- what is embedded ------------------------------------------------------------------------


def test_embedded_maps_hold_the_grey_levels_without_loss(store: Store, page: Page) -> None:
    assert list(page.data["names"]) == ["0", "1", "2", "3"]
    assert [pack["traj"] for pack in page.packs.values()] == [0, 1, 0, 1]
    for s, pack in page.packs.items():
        (layers,) = unpacked(pack["layers"], 48)
        np.testing.assert_array_equal(layers == BUILDING_LAYER, store.buildings(s))
        np.testing.assert_array_equal(layers == ROAD_LAYER, store.roads(s) & ~store.buildings(s))
        np.testing.assert_allclose(pack["at"], store.transmitters(s)[:, :2])
        assert pack["tx"] == [0, 1]
        for k, stack in zip(pack["tx"], pack["stacks"], strict=True):
            wanted = MOTION_SCALE.encode(store.pathloss(s, pack["traj"], k))
            np.testing.assert_array_equal(unpacked(stack, 48), wanted)
        tracks = store.tracks(s, pack["traj"])
        for vehicles in pack["vehicles"]:
            assert len(vehicles) == tracks.present.sum()
        first = np.array(pack["vehicles"][7])
        np.testing.assert_allclose(first[:, 0], tracks.x[7, tracks.present], atol=0.006)


@given(arrays(np.uint8, st.tuples(st.integers(1, 4), st.just(9), st.just(9))))
def test_any_stack_comes_back(levels: np.ndarray) -> None:
    text = base64.b64encode(viewer.packed(levels)).decode()
    np.testing.assert_array_equal(unpacked(text, 9), levels)


def test_a_large_grid_is_thinned_and_the_page_says_so(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "DETAILS", (gallery.Detail(20, 4, 30),))
    thinned = Page(write_report(store, tmp_path / "r.html"))
    assert (thinned.data["stride"], thinned.data["pixels"]) == (3, 16)
    wanted = MOTION_SCALE.encode(store.pathloss(0, 0, 0))[:, ::3, ::3]
    np.testing.assert_array_equal(unpacked(thinned.packs[0]["stacks"][0], 16), wanted)
    assert "one pixel in 3 × 3 of each map" in thinned.plain


def test_a_tight_budget_takes_detail_and_never_more_than_it_is(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Page(write_report(store, tmp_path / "whole.html"))
    sizes = {}
    for part in (0.6, 0.3, 0.02):
        bound = int(part * embedded_bytes(whole))
        monkeypatch.setattr(gallery, "MAX_BYTES", bound)
        cut = Page(write_report(store, tmp_path / "cut.html"))
        sizes[part] = embedded_bytes(cut)
        assert sizes[part] <= bound
        assert "To keep this page small" in cut.plain or "No scene fits" in cut.plain
    assert sizes[0.6] > sizes[0.3]


def embedded_bytes(page: Page) -> int:
    """Base64 text of all maps and thumbnails."""
    maps = sum(len(pack["layers"]) + sum(map(len, pack["stacks"])) for pack in page.packs.values())
    return maps + sum(map(len, re.findall(r"webp;base64,([^\"]*)", page.text)))


def test_more_scenes_than_a_page_holds_are_shown_evenly(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "MAX_SCENES", 3)
    cut = Page(write_report(store, tmp_path / "cut.html"))
    assert list(cut.packs) == [0, 2, 3]
    assert "3 of 4 scenes are shown" in cut.plain


# -- the page --------------------------------------------------------------------------------


def test_the_same_store_gives_the_same_bytes(store: Store, tmp_path: Path) -> None:
    one = write_report(store, tmp_path / "a" / "report.html").read_bytes()
    assert write_report(store, tmp_path / "b.html").read_bytes() == one
    assert str(tmp_path).encode() not in one
    assert len(one) < 300_000


def test_the_policy_allows_exactly_the_inline_style_and_script(page: Page) -> None:
    metas = [attrs for tag, attrs in page.tags if tag == "meta"]
    policy = next(m["content"] for m in metas if m.get("http-equiv") == "Content-Security-Policy")
    assert policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    (style,), script = page.raw["style"], page.program
    for directive, text in (("style-src", style), ("script-src", script)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert not [tag for tag, attrs in page.tags if "style" in attrs]


def test_nothing_in_the_page_points_outside(page: Page) -> None:
    for tag, attrs in page.tags:
        for key in ("src", "href", "action", "srcset", "data", "poster"):
            if value := attrs.get(key):
                assert value.startswith(("data:", "#")), (tag, value)
        assert not [key for key in attrs if key.startswith("on")]
    assert not re.search(
        r"@import|url\(|fetch\(|XMLHttpRequest|https?:", "".join(page.raw["style"])
    )
    assert not re.search(r"fetch\(|XMLHttpRequest|https?:|eval\(", page.program)


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    scene = replace(make_scene(0), name=HOSTILE, notes={HOSTILE: 1, "word": HOSTILE})
    made = Store.create(tmp_path / STORE_NAME, [scene], {"title": HOSTILE, HOSTILE: HOSTILE})
    made.create_transmitters(1, {})
    tracks, transmitters = make_tracks(0), make_transmitters(0, 1)
    made.create_tracks(1, 15, 3, {**vehicle_attributes(), HOSTILE: HOSTILE})
    made.create_pathloss({"solver": {"solver": HOSTILE, "name": HOSTILE}})
    made.write_tracks(0, 0, tracks)
    made.write_transmitters(0, transmitters)
    made.write_pathloss(0, 0, make_pathloss(scene, transmitters, tracks))
    findings = Report(path=HOSTILE)
    findings.error(HOSTILE, HOSTILE)
    findings.count(HOSTILE)
    split = {
        "name": HOSTILE,
        "description": HOSTILE,
        "leaky": True,
        "leaky_reason": HOSTILE,
        "notes": [HOSTILE],
        "sets": {HOSTILE: {"scenes": [HOSTILE], "trajectories": None, "sequences": 1}},
    }
    page = Page(
        write_report(
            made,
            tmp_path / "r.html",
            split=split,
            validation=findings,
            recipe={HOSTILE: HOSTILE, "a": HOSTILE},
        )
    )
    kinds = [attrs.get("type") for tag, attrs in page.tags if tag == "script"]
    assert kinds == ["application/json", "application/json", None]
    assert "b" not in [tag for tag, _ in page.tags]
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(images) == 1
    assert (images[0]["src"] or "").startswith("data:")
    assert not [attrs for _, attrs in page.tags if any(key.startswith("on") for key in attrs)]
    assert page.data["names"]["0"] == HOSTILE
    assert page.plain.count("alert(1)") > 10


@given(st.text())
def test_embedded_json_cannot_leave_its_script(text: str) -> None:
    written = script_json({text: text + "</script><!--"})
    assert "<" not in written
    assert json.loads(written) == {text: text + "</script><!--"}


def test_records_are_shown(store: Store, tmp_path: Path) -> None:
    names = store.scene_names
    split = {
        "name": "blocks",
        "description": "by hand",
        "leaky": True,
        "leaky_reason": "validation shares scenes",
        "sets": {
            "train": {"scenes": names[:2], "trajectories": [0], "sequences": 4},
            "val": {"scenes": names[1:2], "trajectories": [1], "sequences": 2},
            "test": {"scenes": names[2:3], "trajectories": None, "sequences": 4},
        },
    }
    findings = Report(path="x")
    findings.warning("fake_001", "something odd")
    page = Page(
        write_report(
            store,
            tmp_path / "r.html",
            split=split,
            validation=findings,
            recipe={"traffic": {"vehicles": 30}, "units": 8},
        )
    )
    text = page.plain
    for words in (
        "This split leaks: validation shares scenes",
        "train (1)",
        "train + val",
        "in no set",
        "0 errors, 1 warning.",
        "something odd",
        "traffic.vehicles 30",
        "units 8",
        "made-up.osm.pbf",
        "2026-01-01",
        "ODbL-1.0",
        "0" * 64,
        "Contains data from: © OpenStreetMap contributors",
        "2.8 / 2.7",
        "0.0899 / 0.1083",
    ):
        assert words in text, words
    tiles = [attrs["class"] for tag, attrs in page.tags if "tile" in (attrs.get("class") or "")]
    assert tiles == ["tile set1", "tile set3", "tile set2", "tile set0"]


def test_a_store_with_scenes_alone_gets_a_page(tmp_path: Path) -> None:
    bare = Store.create(tmp_path / STORE_NAME, [make_scene(0)], {})
    page = Page(write_report(bare, tmp_path / "report.html"))
    assert "Path loss has not been simulated yet: run `rmtools simulate`" in page.plain
    assert page.packs[0]["stacks"] == []
    assert "Not validated" in page.plain


def test_a_folder_without_scenes_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no rmtools store"):
        write_report(Store.open(tmp_path), tmp_path / "report.html")


def test_counts_of_a_source_are_told_once_and_those_of_scenes_are_summed(tmp_path: Path) -> None:
    notes = {"heights_from_default": 4, "roads": 2, "city_roads": 587}
    made = [replace(make_scene(index), notes=notes) for index in range(3)]
    bare = Store.create(tmp_path / STORE_NAME, made, {})
    text = Page(write_report(bare, tmp_path / "report.html")).plain
    assert "heights from default 4 4 12 3 roads 2 2 6 3" in text
    assert "Counts from reading the whole of made-up.osm.pbf Count Value roads 587" in text


def test_the_header_says_what_the_dataset_is(tmp_path: Path) -> None:
    made = make_store(tmp_path, scenes=2, traj=1, tx=2, frames=5)
    made.create_pathloss({"solver": {"solver": "dpm", "name": "p", "frequency_mhz": 3500.0}})
    text = Page(write_report(made, tmp_path / "report.html")).plain
    assert (
        "Path loss over 2 scenes of 48 m by 48 m, seen from 2 transmitters each, while vehicles "
        "move for 0.4 s (5 frames at 10 Hz, 1 trajectory per scene). "
        "Solver: dpm, preset p, 3.5 GHz."
    ) in text
    assert "scenes 2 trajectories 2 transmitters 4 sequences 4 radio maps 20 pixels 46,080" in text


def test_a_store_whose_arrays_are_still_empty_gets_a_page(tmp_path: Path) -> None:
    bare = Store.create(tmp_path / STORE_NAME, [make_scene(0), make_scene(1)], {})
    bare.create_tracks(1, 4, 3, vehicle_attributes())
    bare.create_transmitters(2, {})
    bare.create_pathloss({})
    page = Page(write_report(bare, tmp_path / "report.html"))
    assert "4 of the 4 sequences looked at hold no value yet" in page.plain
    assert page.packs[0]["vehicles"] == [[], [], [], []]
    assert page.packs[0]["at"] == [None, None]
