"""Results back into the dataset: equal to simulate, complete or with every gap named."""

from __future__ import annotations

import json
import os
import re
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fakes_ingest import DEMO, MAPS, SMALL, Case, assert_same_maps, export, make_datasets
from typer.testing import CliRunner

from rmtools.cli import app
from rmtools.errors import BusyError, ExitCode, InputError, MissingError, RecipeError
from rmtools.run.holding import working_in
from rmtools.run.ledger import Ledger
from rmtools.run.recipe import load_recipe
from rmtools.run.runner import run
from rmtools.run.workspace import RECIPE_NAME
from rmtools.store import Store
from rmtools.validation import validate
from rmtools.winprop.ingest import ingest
from rmtools.winprop.manifest import write_jobs
from rmtools.winprop.plan import JobOptions, plan_jobs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rmtools.winprop.manifest import Expected


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_datasets(tmp_path_factory.mktemp("made"))


@pytest.fixture
def case(made: Path, tmp_path: Path) -> Case:
    return export(made, tmp_path)


# -- all is good -----------------------------------------------------------------------------


def test_ingested_is_simulated_to_the_byte(case: Case, made: Path) -> None:
    """Four decimals are finer than the store's step, so even the files are the same."""
    case.put_all()
    report = case.ingest()
    assert report.complete
    assert (report.expected, report.taken) == (MAPS, MAPS)
    assert_same_maps(case.store(), case.simulated)
    ledger, other = Ledger(case.dataset), Ledger(made / "simulated")
    here, there = ([*book.entries("pathloss")] for book in (ledger, other))
    assert [(e.unit, e.files) for e in here] == [(e.unit, e.files) for e in there]
    assert {e.key for e in here}.isdisjoint(e.key for e in there)
    about = case.store().array_attributes("pathloss")
    simulated = case.simulated.array_attributes("pathloss")
    assert {k: v for k, v in about.items() if k not in ("solver", "inputs_sha256")} == {
        k: v for k, v in simulated.items() if k not in ("solver", "inputs_sha256")
    }
    solver = about["solver"]
    assert (solver["solver"], solver["frequency_mhz"]) == ("winprop", 3500.0)
    assert (solver["receiver_height_m"], solver["power_dbm"]) == (1.5, 23.0)
    assert json.loads((case.dataset / "ingest.json").read_text())["taken"] == MAPS


def test_the_next_stages_go_on_from_there(case: Case) -> None:
    case.put_all()
    case.ingest()
    recipe = load_recipe(case.dataset / RECIPE_NAME)
    summaries = {summary.name: summary for summary in run(case.dataset, recipe)}
    assert summaries["pathloss"].done_now == 0
    assert summaries["motion"].done_now > 0
    assert validate(case.dataset).ok
    told = CliRunner().invoke(app, ["info", str(case.dataset)])
    assert "winprop, preset jobs, 3.5 GHz" in told.stdout


def test_workers_change_nothing(case: Case, made: Path, tmp_path: Path) -> None:
    case.put_all()
    case.ingest(workers=2)
    assert_same_maps(case.store(), case.simulated)
    alone = export(made, tmp_path / "alone")
    alone.put_all()
    assert alone.ingest().model_dump() == case.ingest().model_dump()
    entries = (Ledger(root).entries("pathloss") for root in (case.dataset, alone.dataset))
    assert next(entries) == next(entries)


def test_files_may_have_their_second_name_or_a_folder_for_each_antenna(case: Case) -> None:
    first, second, *_ = case.put_all()
    (case.jobs / first.paths[0]).rename(case.jobs / first.paths[1])
    place = case.jobs / second.paths[0]
    (place.parent / "a folder").mkdir()
    place.rename(place.parent / "a folder" / place.name)
    assert case.ingest().complete


# -- some are not ----------------------------------------------------------------------------


def bad_results(case: Case) -> dict[str, tuple[Callable[[Expected], bytes | None], str]]:
    """Ways to be bad, and what must be said of each."""

    def changed(**changes: object) -> Callable[[Expected], bytes]:
        return lambda expected: case.area(expected, **changes).data()

    def edited(old: bytes, new: bytes) -> Callable[[Expected], bytes]:
        return lambda expected: case.area(expected).data().replace(old, new)

    empty = np.full((1, 32, 32), np.nan)
    return {
        "truncated": (lambda e: case.area(e).data()[:15_000], "cut off after"),
        "missing": (lambda _: None, "no such file"),
        "empty file": (lambda _: b"", "neither BEGIN_DATA"),
        "larger grid": (changed(values=np.full((1, 40, 40), -80.0)), "40 x 40 pixels .* --crop"),
        "smaller grid": (changed(values=np.full((1, 30, 30), -80.0)), "does not cover"),
        "other corner": (changed(corner=(0.5, 0.0)), "--resample"),
        "other resolution": (changed(resolution_m=2.0), "pixels of 2 m"),
        "other place": (changed(location=(3.0, 4.0, 1.5)), r"antenna at \(3, 4, 1.5\), not \("),
        "other name": (changed(name="tx7"), "antenna 'tx7', not 'tx"),
        "other pattern": (changed(antenna_type="SECTOR"), "'SECTOR', not 'ISO'"),
        "other frequency": (changed(frequency_mhz=5900.0), "frequency 5900 MHz, not 3500 MHz"),
        "other height": (changed(height_m=2.5), "height 2.5 m, not 1.5 m"),
        "other power": (changed(power="10 W Output"), "power 40 dBm, not 23 dBm"),
        "nothing computed": (changed(values=empty), "100.0% of the pixels off buildings"),
        "time steps": (changed(values=np.full((3, 32, 32), -80.0)), "3 time steps"),
        "broken row": (edited(b"7.50000 8.50000", b"7.50000 8.5x"), "line 2[0-9]+ "),
    }


def test_every_bad_result_is_named_and_the_good_ones_are_taken(case: Case) -> None:
    results = case.put_all()
    bad = list(bad_results(case).items())
    wrong = {}
    # two good results are left in the others, the last unit stays whole
    spoilt = [e for e in results if (e.job.scene, e.job.trajectory) != _unit(results[-1])]
    spoilt = spoilt[: len(bad)]
    for expected, (what, (make, message)) in zip(spoilt[1:], bad, strict=False):
        data = make(expected)
        if data is None:
            (case.jobs / expected.paths[0]).unlink()
        else:
            case.put(expected, data)
        wrong[expected.paths[0]] = (what, message)
    report = case.ingest()
    assert {problem.file for problem in report.problems} == set(wrong)
    assert (report.taken, report.expected) == (MAPS - len(wrong), MAPS)
    assert report.units_finished == 1
    for problem in report.problems:
        what, _ = wrong[problem.file]
        assert problem.kind == ("missing" if what == "missing" else "refused")
    store = case.store()
    for expected in results:
        scene = case.manifest.scene(expected.job.scene).index
        found = store.pathloss(scene, expected.job.trajectory or 0, expected.transmitter.index)
        values = found[expected.job.frame or 0]
        if expected.paths[0] in wrong:
            assert np.isnan(values).all()
        else:
            np.testing.assert_array_equal(values, case.truth(expected))
    # with the files repaired the same command completes the dataset
    case.put_all()
    again = case.ingest()
    assert [problem.kind for problem in again.problems] == ["changed"] * 4
    assert again.taken == MAPS
    assert_same_maps(store, case.simulated)


def _unit(expected: Expected) -> tuple[str, int | None]:
    return expected.job.scene, expected.job.trajectory


def test_each_way_to_be_bad_is_explained(case: Case) -> None:
    ways = bad_results(case)
    results = case.put_all()
    assert len(ways) == len(results)
    for expected, (make, _) in zip(results, ways.values(), strict=True):
        data = make(expected)
        if data is None:
            (case.jobs / expected.paths[0]).unlink()
        else:
            case.put(expected, data)
    problems = {problem.file: problem for problem in case.ingest().problems}
    for expected, (way, (_, message)) in zip(results, ways.items(), strict=True):
        problem = problems.pop(expected.paths[0])
        assert (problem.job, problem.transmitter) == (expected.job.id, expected.transmitter.name)
        assert re.search(message, problem.what), (way, problem.what)
    assert not problems


def test_results_on_a_larger_grid_are_cropped_when_told(case: Case) -> None:
    first, *_ = case.put_all()
    wide = np.full((1, 40, 44), -99.0)
    wide[0, 5:37, 10:42] = -case.truth(first)  # 10 columns west and 3 rows south of it
    case.put(first, case.area(first, values=wide, corner=(-10.0, -3.0)).data())
    assert not case.ingest().complete
    report = case.ingest("crop")
    assert report.complete
    assert report.notes["files brought onto the grid of the job: crop"] == 1
    assert_same_maps(case.store(), case.simulated)
    assert "crop" in str(case.store().attributes["ingest"])


def test_results_on_other_pixels_are_resampled_when_told(case: Case) -> None:
    first, *_ = case.put_all()
    fine = np.repeat(np.repeat(-case.truth(first), 2, axis=0), 2, axis=1)[None]
    case.put(first, case.area(first, values=fine, resolution_m=0.5).data())
    assert not case.ingest("crop").complete
    report = case.ingest("resample")
    assert report.complete
    assert report.notes["files brought onto the grid of the job: resample"] == 1
    assert_same_maps(case.store(), case.simulated)


def test_values_in_buildings_are_left_out_and_gaps_are_counted(case: Case) -> None:
    first, *_ = case.put_all()
    values = -case.truth(first)[None].copy()
    inside = np.isnan(values[0])
    values[0][inside] = -150.0
    row, col = np.argwhere(~inside)[0]
    values[0, row, col] = np.nan
    case.put(first, case.area(first, values=values).data())
    report = case.ingest()
    assert report.complete
    assert report.notes["pixels inside buildings with a value (left out)"] == inside.sum()
    assert report.notes["pixels off buildings that are not computed (NaN in the store)"] == 1
    maps = case.store().pathloss(0, 0, first.transmitter.index)[first.job.frame or 0]
    assert (np.isnan(maps) == np.isnan(case.truth(first))).sum() == maps.size - 1


# -- again, killed, changed ------------------------------------------------------------------


def test_finished_units_are_not_read_again(case: Case) -> None:
    results = case.put_all()
    case.ingest()
    for expected in results:
        (case.jobs / expected.paths[0]).unlink()
    assert case.ingest().complete


def test_a_killed_ingest_goes_on_and_ends_with_the_same_bytes(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.put_all()
    write, calls = Store.write_pathloss, []

    def dies(self: Store, *index: object) -> None:
        calls.append(index)
        if len(calls) == 3:
            raise KeyboardInterrupt
        write(self, *index)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "write_pathloss", dies)
    with pytest.raises(KeyboardInterrupt):
        case.ingest()
    assert len(Ledger(case.dataset).entries("pathloss")) == 2
    assert case.ingest().complete
    assert len(calls) == 5  # the third once more and the fourth, not the first two
    assert_same_maps(case.store(), case.simulated)


def test_a_result_that_was_written_again_is_noticed(case: Case) -> None:
    first, *_ = case.put_all()
    case.ingest()
    run(case.dataset, load_recipe(case.dataset / RECIPE_NAME), stages=["motion"])
    louder = case.area(first, values=-case.truth(first)[None] - 1)
    path = case.put(first, louder.data())
    later = path.stat().st_mtime + 100
    os.utime(path, (later, later))
    report = case.ingest()
    (problem,) = report.problems
    assert (problem.kind, problem.file) == ("changed", first.paths[0])
    assert_same_maps(case.store(), case.simulated)
    # os.utime dated it into the future, so it would be "changed" for ever
    os.utime(path)
    assert case.ingest(overwrite=True).complete
    maps = case.store().pathloss(0, 0, first.transmitter.index)
    np.testing.assert_array_equal(maps[first.job.frame or 0], case.truth(first) + 1)
    assert Ledger(case.dataset).entries("motion") == []


def test_simulated_maps_are_replaced_only_when_told(made: Path, case: Case) -> None:
    case.put_all()
    shutil.rmtree(case.dataset)
    shutil.copytree(made / "simulated", case.dataset)
    with pytest.raises(RecipeError, match="radio maps made by something else"):
        case.ingest()
    assert case.store().array_attributes("pathloss")["solver"]["solver"] == "dpm"
    assert case.ingest(overwrite=True).complete
    assert case.store().array_attributes("pathloss")["solver"]["solver"] == "winprop"


def test_simulate_does_not_fill_gaps_behind_the_users_back(case: Case) -> None:
    first, *_ = case.put_all()
    (case.jobs / first.paths[0]).unlink()
    case.ingest()
    recipe = load_recipe(case.dataset / RECIPE_NAME)
    with pytest.raises(MissingError, match="ingest-winprop"):
        run(case.dataset, recipe, stages=["pathloss"])


# -- the wrong dataset -----------------------------------------------------------------------


def test_jobs_of_another_dataset_are_refused(case: Case) -> None:
    manifest = case.manifest
    first, *more = manifest.scenes
    tx, *others = first.transmitters
    moved = first.model_copy(
        update={"transmitters": (tx.model_copy(update={"x": tx.x + 1}), *others)}
    )
    driven = first.model_copy(update={"tracks_sha256": "0" * 64})
    late = manifest.jobs[0].model_copy(update={"frame": 99})
    for changes, message in (
        ({"dataset_sha256": "0" * 64}, "other scenes or sizes"),
        ({"grid": manifest.grid.model_copy(update={"n": 64})}, "other pixels"),
        ({"scenes": (moved, *more)}, "other transmitters in scene"),
        ({"scenes": (driven, *more)}, "other vehicles in scene"),
        ({"jobs": (late, *manifest.jobs[1:])}, "other trajectories or frames"),
    ):
        write_jobs(case.jobs, manifest.model_copy(update=changes))
        with pytest.raises(InputError, match=message):
            case.ingest()
    assert not Ledger(case.dataset).entries("pathloss")
    with pytest.raises(RecipeError, match="Use `rmtools ingest-winprop`"):
        ingest(case.jobs, case.dataset, "neutral")


def test_a_busy_dataset_is_left_alone(case: Case) -> None:
    with working_in(case.dataset), pytest.raises(BusyError):
        case.ingest()


def test_jobs_without_vehicles_do_not_answer_for_frames_that_have_some(
    made: Path, tmp_path: Path
) -> None:
    case = export(made, tmp_path, static=True)
    case.put_all()
    report = case.ingest()
    assert report.taken == 0
    assert {problem.kind for problem in report.problems} == {"missing"}
    assert "no job for all maps" in report.problems[0].what


def test_jobs_without_vehicles_answer_for_a_dataset_without(tmp_path: Path) -> None:
    recipe = load_recipe(DEMO, [*SMALL, "city.tiles.count=1", "traffic.vehicles=0"])
    run(tmp_path / "dataset", recipe, stages=["tracks", "transmitters"])
    shutil.copytree(tmp_path / "dataset", tmp_path / "simulated")
    run(tmp_path / "simulated", recipe, stages=["pathloss"])
    manifest = plan_jobs(tmp_path / "dataset", "winprop", JobOptions(3500.0, 1.5, static=True))
    write_jobs(tmp_path / "jobs", manifest)
    simulated = Store.open(tmp_path / "simulated")
    case = Case(tmp_path / "dataset", tmp_path / "jobs", manifest, simulated)
    case.put_all()
    assert case.ingest().complete
    np.testing.assert_array_equal(case.store().pathloss_unit(0, 1), simulated.pathloss_unit(0, 1))


@pytest.mark.parametrize("trajectories", [0, 1])
def test_maps_without_vehicles_have_jobs_of_their_own(tmp_path: Path, trajectories: int) -> None:
    """As RadioMapSeer has them: alone, or beside the sequences."""
    more = ["city.tiles.count=1", f"traffic.trajectories={trajectories}", "layouts.motion=null"]
    recipe = load_recipe(DEMO, [*SMALL, *more, "solver.static_maps=true"])
    run(tmp_path / "dataset", recipe, stages=["tracks", "transmitters"])
    shutil.copytree(tmp_path / "dataset", tmp_path / "simulated")
    run(tmp_path / "simulated", recipe, stages=["pathloss"])
    manifest = plan_jobs(tmp_path / "dataset", "winprop", JobOptions(3500.0, 1.5))
    assert manifest.jobs[0].folder == "jobs/s0/static"
    assert len(manifest.jobs) == 1 + 2 * trajectories
    write_jobs(tmp_path / "jobs", manifest)
    simulated = Store.open(tmp_path / "simulated")
    case = Case(tmp_path / "dataset", tmp_path / "jobs", manifest, simulated)
    last = case.put_all()[1]
    good = (case.jobs / last.paths[0]).read_bytes()
    (case.jobs / last.paths[0]).write_bytes(good[:-9])
    report = case.ingest()
    assert (report.expected, report.taken) == (2 + 4 * trajectories, 1 + 4 * trajectories)
    assert not Ledger(case.dataset).entries("pathloss")
    case.put(last, good)
    assert case.ingest().complete
    for tx in range(2):
        np.testing.assert_array_equal(case.store().static_map(0, tx), simulated.static_map(0, tx))
    if trajectories:
        moving, wanted = (store.pathloss_unit(0, 0) for store in (case.store(), simulated))
        np.testing.assert_array_equal(moving, wanted)
    here, there = (Ledger(s).entries("pathloss") for s in (case.dataset, tmp_path / "simulated"))
    assert [(e.unit, e.files) for e in here] == [(e.unit, e.files) for e in there]


# -- the command line ------------------------------------------------------------------------


def test_the_verbs_tell_people_and_machines(case: Case) -> None:
    first, second, *_ = case.put_all()
    (case.jobs / first.paths[0]).unlink()
    command = ["ingest-winprop", str(case.jobs), str(case.dataset), "-j", "1"]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == ExitCode.MISSING
    assert f"missing  {first.job.id} {first.transmitter.name}: {first.paths[0]}" in told.stdout
    assert "15 of 16 radio maps taken" in told.stdout
    case.put(first, case.area(first).data())
    case.put(second, b"junk")
    unfinished = CliRunner().invoke(app, [*command, "--json"])
    assert unfinished.exit_code == ExitCode.INPUT
    value = json.loads(unfinished.stdout)
    assert not value["complete"]
    assert [problem["file"] for problem in value["problems"]] == [second.paths[0]]
    case.put(second, case.area(second).data())
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0
    assert "next: rmtools package" in done.stderr
