"""The HTML report as a page: true words, nothing executable from data, the same bytes."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

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
from report_page import Page

from rmtools.errors import InputError
from rmtools.findings import Report
from rmtools.report.html import script_json, write_report
from rmtools.store import STORE_NAME, Store

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&<b>"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(write_report(store, tmp_path_factory.mktemp("page") / "report.html"))


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
