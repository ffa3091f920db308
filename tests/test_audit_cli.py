"""``rmtools audit`` as a user meets it, and the audit at the end of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jsonschema
import numpy as np
from fakes import make_seer_folder
from fakes_store import make_store
from PIL import Image
from typer.testing import CliRunner

from rmtools.audit import AuditReport
from rmtools.cli import app
from rmtools.errors import ExitCode, LeakError
from rmtools.layouts.motion import write_layout
from rmtools.splits import SPLIT_NAME, SplitSet, make_manifest, write_manifest
from rmtools.splits.motion import split_store

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def rmtools(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_published_split_by_its_name_alone() -> None:
    clean = rmtools("audit", "radiounet")
    assert clean.exit_code == 0
    assert "no leak found (not checked: ground, copies," in clean.stdout
    assert "next: rmtools audit DATASET radiounet" in clean.stderr
    leaky = rmtools("audit", "radiodiff-2025", "--json")
    assert leaky.exit_code == ExitCode.LEAK
    value = json.loads(leaky.stdout)
    assert value.pop("ok") is False
    jsonschema.validate(value, AuditReport.model_json_schema())
    assert [level["level"] for level in value["levels"] if level["verdict"] == "leak"] == [
        "scenes",
        "transmitters",
        "sequences",
        "selection",
        "windows",
    ]
    unknown = rmtools("audit", "radionet")
    assert unknown.exit_code != 0
    assert "no published split" in str(unknown.exception)


def test_a_published_split_against_a_part_of_the_tree(tmp_path: Path) -> None:
    """Maps 159 and 501 train, map 419 tests; 419 is a copy of 159."""
    root = make_seer_folder(tmp_path / "seer", maps=[159, 501, 419])
    buildings = root / "png" / "buildings_complete"
    result = rmtools("audit", root, "radiounet")
    assert result.exit_code == 0, result.stdout
    assert "697 scenes are not in the dataset" in result.stdout
    assert "3 of 700 scenes compared" in result.stdout
    with Image.open(buildings / "159.png") as image:
        city = np.asarray(image)
    Image.fromarray(np.rot90(np.roll(city, (7, -7), (0, 1))).copy()).save(buildings / "419.png")
    result = rmtools("audit", root, "radiounet", "--picture", tmp_path / "audit.png")
    assert result.exit_code == ExitCode.LEAK
    assert "159, 419: turned by 270 degrees" in result.stdout
    with Image.open(tmp_path / "audit.png") as image:
        assert image.size[0] == 1200


def test_a_dataset_with_its_own_split_and_as_a_layout(tmp_path: Path) -> None:
    store = make_store(tmp_path, n=48, scenes=3, traj=3, tx=2, frames=3, gap_m=300.0)
    manifest = split_store(store)
    write_manifest(tmp_path / SPLIT_NAME, manifest)
    own = rmtools("audit", tmp_path, "--json")
    assert own.exit_code == ExitCode.LEAK
    levels = {level["level"]: level for level in json.loads(own.stdout)["levels"]}
    assert levels["scenes"]["pairs"] == 3 * 2
    assert levels["scenes"]["declared"]
    assert levels["ground"]["smallest_m"] == 300.0
    write_layout(store, tmp_path / "elsewhere" / "motion")
    layout = rmtools("audit", tmp_path / "elsewhere" / "motion", tmp_path / SPLIT_NAME, "--json")
    there = {level["level"]: level for level in json.loads(layout.stdout)["levels"]}
    for name in ("scenes", "ground", "copies"):
        assert there[name] == levels[name]
    near = rmtools("audit", tmp_path, "--buffer-m", 301, "--json")
    levels = {level["level"]: level for level in json.loads(near.stdout)["levels"]}
    assert (levels["ground"]["verdict"], levels["ground"]["risk"]) == ("leak", "medium")


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    store = make_store(tmp_path, n=32, scenes=2, traj=1, tx=1, frames=1)
    for arguments, says in (
        ((tmp_path,), "no split of its own"),
        ((tmp_path / "none", tmp_path / "x.json"), "no such file"),
        ((tmp_path, tmp_path / "x.json"), "no such file"),
    ):
        result = rmtools("audit", *arguments)
        assert says in str(result.exception)
        assert result.stdout == ""
    write_manifest(tmp_path / SPLIT_NAME, split_store(store))
    for option in ("--windows", "--normalisation", "--masks"):
        result = rmtools("audit", tmp_path, option, tmp_path / "none")
        assert "no such file" in str(result.exception)


SMALL = [
    part
    for setting in (
        "grid.n=96",
        "city.tiles.count=3",
        "city.tiles.min_road_m=50",
        "traffic.trajectories=3",
        "traffic.frames=2",
        "traffic.vehicles=2",
        "transmitters.count=1",
        "transmitters.clear_of_roads=false",
        "layouts.motion=null",
    )
    for part in ("--set", setting)
]


def test_a_run_tells_of_leaks_that_the_split_declares(tmp_path: Path) -> None:
    result = rmtools("run", "demo", "--out", tmp_path, "-j", 1, *SMALL)
    assert result.exit_code == 0, result.exception
    assert "warning: the split radiomapmotion LEAKS as it declares" in result.stderr
    report = AuditReport.read(tmp_path / "audit.json")
    assert [level.level for level in report.leaks] == ["scenes", "transmitters"]
    assert report.undeclared == []
    page = (tmp_path / "report.html").read_text()
    assert "It leaks as it declares: scenes, transmitters." in page


def test_a_run_fails_over_leaks_that_the_split_does_not_declare(tmp_path: Path) -> None:
    """Tiles that overlap by a third, by the rule that does not look at the ground."""
    overlapping = ["--set", "city.tiles.stride_m=64", "--set", "transmitters.margin_m=0"]
    result = rmtools("run", "demo", "--out", tmp_path, "-j", 1, *SMALL, *overlapping)
    assert isinstance(result.exception, LeakError)
    assert "not declared by the split: ground" in str(result.exception)
    report = AuditReport.read(tmp_path / "audit.json")
    assert "ground" in {level.level for level in report.undeclared}
    assert "scenes" not in {level.level for level in report.undeclared}
    assert "It leaks and does not say so: ground" in (tmp_path / "report.html").read_text()


def test_a_manifest_of_sets_without_anything_in_common_passes(tmp_path: Path) -> None:
    store = make_store(tmp_path, n=32, scenes=2, traj=1, tx=1, frames=1, gap_m=10.0)
    manifest = make_manifest(
        {
            "train": SplitSet(scenes=[store.scene_names[0]], sequences=1),
            "test": SplitSet(scenes=["elsewhere"], sequences=1),
        },
        name="apart",
        method="geographic",
        description="for a test",
        dataset="x",
        leaky=False,
    )
    write_manifest(tmp_path / SPLIT_NAME, manifest)
    result = rmtools("audit", tmp_path)
    assert result.exit_code == 0
    assert "1 scenes are not in the dataset" in result.stdout
