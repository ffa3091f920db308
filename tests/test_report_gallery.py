"""The maps that the report embeds: without loss, bounded in size, spread evenly."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fakes_store import (
    make_store,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from report_page import Page, unpacked

from rmtools.report import gallery, viewer
from rmtools.report.html import write_report
from rmtools.report.reader import BUILDING_LAYER, ROAD_LAYER
from rmtools.units import MOTION_SCALE

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(write_report(store, tmp_path_factory.mktemp("page") / "report.html"))


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
