"""What the report draws as SVG: charts, maps of cities, the colours of sets; words for sizes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from fakes_store import (
    make_scene,
)
from hypothesis import given
from hypothesis import strategies as st

from rmtools.report import charts, ground, markup
from rmtools.report.sets import SceneSets, scene_sets
from rmtools.report.statistics import Histogram
from rmtools.store import STORE_NAME, Store

if TYPE_CHECKING:
    from pathlib import Path


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


def test_the_ground_is_drawn_north_up() -> None:
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
