"""Validation in parts: whoever checks them, in whatever order, the report is the same."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from fakes_runs import small
from fakes_seer import make_seer_tree, save
from fakes_store import make_store
from fakes_validation import edit, make_dataset, put
from typer.testing import CliRunner

from rmtools.cli import app
from rmtools.errors import ExitCode, InputError, StorageError
from rmtools.findings import Report
from rmtools.images import read_grey_png
from rmtools.run.runner import run
from rmtools.run.workspace import CHECKS_FOLDER, VALIDATION_NAME
from rmtools.validation import validate
from rmtools.validation.checks import Checks
from rmtools.validation.parts import Partial, merge


def in_parts(path: Path) -> Report:
    """A validation whose parts are done in any order, each by a process that knows nothing."""
    names = Checks(path).parts
    written = {}
    for name in random.Random(0).sample(names, len(names)):
        written[name] = Checks(path).check(name).model_dump_json()
    return merge(path, [Partial.model_validate_json(written[name]) for name in names])


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faults in store and layout of both scenes, more of them than a report lists."""
    root = make_dataset(tmp_path_factory.mktemp("broken"))
    store = root / "store.zarr"
    for scene in range(2):
        edit(store, "tx_z", lambda array, scene=scene: put(array, (scene, 0), -1.0))
        edit(store, "pathloss", lambda array, scene=scene: put(array, (scene, 1, 1), 600.0))
        for folder in (root / "motion" / "png" / f"env_{scene:03d}").rglob("tx_*"):
            for k in range(30):
                (folder / f"stranger_{k:02d}.png").write_bytes(b"")
    for name in ("png/env_001/traj_00/tx_01/03.png", "npz/env_000/traj_01/tx_00/02.npz"):
        (root / "motion" / name).unlink()
    return root


def test_the_parts_of_a_dataset(broken: Path) -> None:
    assert Checks(broken).parts == [
        *("store", "store_000", "store_001"),
        *("motion", "motion_000", "motion_001", "split"),
    ]


def test_parts_in_any_order_give_the_report_of_the_whole(broken: Path) -> None:
    report = validate(broken)
    assert report.errors > 2 * 4 * 30 + 2 * 6
    assert len([f for f in report.findings if f.level == "error"]) == report.max_findings
    subjects = [not f.where.startswith("scene ") for f in report.findings]
    assert subjects == sorted(subjects)  # the store is listed before the layout
    of_store = [f.where.split(" ")[1] for f in report.findings if f.where.startswith("scene ")]
    assert of_store == sorted(of_store)
    assert set(of_store) == {"0", "1"}
    assert in_parts(broken).model_dump_json() == report.model_dump_json()


def test_processes_give_the_same_report(broken: Path) -> None:
    done = CliRunner().invoke(app, ["validate", str(broken), "--workers", "2", "--json"])
    assert done.exit_code == ExitCode.INVALID
    assert json.loads(done.stdout) == {"ok": False, **validate(broken).model_dump(mode="json")}


def test_blind_pixels_are_told_once_for_all_scenes(tmp_path: Path) -> None:
    root = tmp_path / "blind"
    make_store(root, n=32, scenes=2, traj=1, tx=1, frames=2)
    store, counted = root / "store.zarr", []

    def mark(array: np.ndarray) -> None:
        array.attrs["solver"] = {**array.attrs["solver"], "blind_db": 170.0}
        for scene, blind in ((0, 3), (1, 4)):
            loss = array[scene, 0, 0]
            outdoor = np.argwhere(~np.isnan(loss[0]))
            for row, col in outdoor[-blind:]:
                loss[:, row, col] = 170.0
            array[scene, 0, 0] = loss
            counted.append(2 * len(outdoor))

    edit(store, "pathloss", mark)
    (told,) = [f.what for f in validate(root).findings if " are blind" in f.what]
    assert told.startswith(f"14 of {sum(counted)} pixels off buildings ")
    assert in_parts(root) == validate(root)


def test_deviations_of_all_maps_are_told_once(tmp_path: Path) -> None:
    tree = make_seer_tree(tmp_path / "seer", (3, 17), transmitters=2)
    for map_id, pixels in ((3, 1), (17, 2)):
        path = tree / f"png/buildings_complete/{map_id}.png"
        levels = read_grey_png(path, (256, 256)).copy()
        levels[0, :pixels] = 255 - levels[0, :pixels]
        save(path, levels)
    report = validate(tree)
    assert Checks(tree).parts == ["seer", "seer_003", "seer_017"]
    (told,) = [
        f.what
        for f in report.findings
        if f.where == "png/buildings_complete" and "raster of the polygons" in f.what
    ]
    assert told.startswith("in 2 files 3 pixels ")
    assert "png/buildings_complete/17.png" in told
    assert in_parts(tree).model_dump_json() == report.model_dump_json()


# -- in a run --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unchecked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset that was not validated."""
    root = tmp_path_factory.mktemp("unchecked")
    run(root, small(), stages=["motion", "split"])
    return root


def findings_of_run(root: Path) -> Report:
    """What the run has written, which is what `validate` says, byte for byte."""
    text = (root / VALIDATION_NAME).read_text()
    assert json.loads(text) == validate(root).model_dump(mode="json")
    return Report.model_validate_json(text)


def test_a_run_goes_on_with_the_parts_that_are_missing(
    unchecked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(shutil.copytree(unchecked, tmp_path / "dataset"))
    check = Checks.check

    def broken_disk(checks: Checks, part: str) -> Partial:
        if part == "motion_001":
            raise StorageError("the disk does not work.")
        return check(checks, part)

    with monkeypatch.context() as patch:
        patch.setattr(Checks, "check", broken_disk)
        with pytest.raises(StorageError):
            run(root, small(), stages=["validation"])
    assert not (root / VALIDATION_NAME).exists()
    parts = Checks(root).parts
    before = parts.index("motion_001")
    summaries = {s.name: s for s in run(root, small(), stages=["validation"], workers=2)}
    assert (summaries["checks"].units, summaries["checks"].done_before) == (len(parts), before)
    assert findings_of_run(root).checked["sequences"] == 6
    again = run(root, small(), stages=["validation"])
    assert {summary.done_now for summary in again} == {0}


def test_what_a_worker_wrote_is_made_again_when_lost_and_refused_when_damaged(
    unchecked: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(unchecked, tmp_path / "dataset"))
    run(root, small(), stages=["validation"])
    part = root / CHECKS_FOLDER / "store_001.json"
    part.unlink()
    (root / VALIDATION_NAME).unlink()
    run(root, small(), stages=["validation"])
    assert findings_of_run(root).ok
    part.write_bytes(b" " * part.stat().st_size)
    (root / VALIDATION_NAME).unlink()
    with pytest.raises(InputError, match=r"store_001\.json"):
        run(root, small(), stages=["validation"])


def test_a_changed_recipe_leaves_no_part_of_the_earlier_one(
    unchecked: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(unchecked, tmp_path / "dataset"))
    run(root, small(), stages=["validation"])
    without = small("layouts.motion=null")
    run(root, without, stages=["validation"], overwrite=True)
    names = {path.stem for path in (root / CHECKS_FOLDER).iterdir()}
    assert names == {"store", "store_000", "store_001", "store_002", "split"}
    assert "images" not in findings_of_run(root).checked
