"""The main job as a user runs it: from the extract to the report, killed, resumed, repeated."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray
from filelock import FileLock

from rmtools.data import helsinki_path
from rmtools.errors import ExitCode, RecipeError
from rmtools.files import sha256_tree, walk_files
from rmtools.run.holding import LOCK_NAME
from rmtools.run.recipe import Recipe, load_recipe
from rmtools.run.runner import run
from rmtools.store import Store

DEMO = Path(__file__).resolve().parent.parent / "pipelines" / "demo.yaml"
SMALL = [
    "name=small",
    "grid.n=96",
    "city.tiles.count=3",
    "city.tiles.min_road_m=50",
    "traffic.trajectories=3",
    "traffic.frames=4",
    "traffic.vehicles=5",
    "transmitters.count=2",
    "transmitters.clear_of_roads=false",
]


def small(*more: str) -> Recipe:
    return load_recipe(DEMO, [*SMALL, *more])


def digests(root: Path) -> dict[str, str]:
    return {name: sha256_tree(root / name) for name in ("store.zarr", "motion", "scenes")}


def command(root: Path, *more: str) -> list[str]:
    settings = [part for setting in [*SMALL, *more] for part in ("--set", setting)]
    return [sys.executable, "-m", "rmtools", "run", "demo", "--out", str(root), *settings]


def alone(root: Path) -> list[str]:
    """The same in one process; every worker takes seconds to start."""
    return [*command(root), "--workers", "1"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset made in one undisturbed run with one worker."""
    root = tmp_path_factory.mktemp("finished")
    run(root, small(), workers=1)
    return root


def test_everything_is_there_and_valid(finished: Path) -> None:
    for name in ("store.zarr", "motion/dataset.json", "split.json", "report.html", "recipe.yaml"):
        assert (finished / name).exists(), name
    validation = json.loads((finished / "validation.json").read_text())
    assert validation["errors"] == 0, validation["findings"]
    assert not [path for path in walk_files(finished) if path.name.endswith(".partial")]


def test_the_store_opens_with_xarray_and_holds_what_was_asked(finished: Path) -> None:
    with xarray.open_zarr(finished / "store.zarr") as dataset:
        sizes = {"scene": 3, "traj": 3, "tx": 2, "frame": 4, "y": 96, "x": 96}
        assert dict(dataset.pathloss.sizes) == sizes
        assert dataset.pathloss.attrs["units"] == "dB"
        missing = np.isnan(dataset.pathloss.values).all(axis=(1, 2, 3))
        assert (missing == dataset.buildings.values.astype(bool)).all()
        assert "OpenStreetMap" in dataset.attrs["attribution"][0]
        assert dataset.pathloss.attrs["solver"]["frequency_mhz"] == 3500


def test_a_second_run_finds_everything_up_to_date(finished: Path) -> None:
    before = digests(finished)
    summaries = run(finished, small(), workers=1)
    assert [summary.done_now for summary in summaries] == [0] * len(summaries)
    assert digests(finished) == before


def test_two_workers_give_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    run(tmp_path, small(), stages=["motion"], workers=2)
    assert digests(tmp_path) == digests(finished)


def test_step_by_step_gives_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    for stage in ("scenes", "transmitters", "tracks", "pathloss", "motion"):
        run(tmp_path, small(), stages=[stage])
    assert digests(tmp_path) == digests(finished)


def test_another_seed_gives_other_tracks_and_transmitters(finished: Path, tmp_path: Path) -> None:
    run(tmp_path, small("seed=2"), stages=["tracks", "transmitters"])
    one, two = Store.open(finished), Store.open(tmp_path)
    assert np.array_equal(one.buildings(0), two.buildings(0))
    assert not np.array_equal(one.transmitters(0), two.transmitters(0))
    assert not np.array_equal(one.tracks(0, 0).x, two.tracks(0, 0).x, equal_nan=True)


def test_a_changed_recipe_is_refused_and_overwrite_remakes_only_what_changed(
    finished: Path, tmp_path: Path
) -> None:
    run(tmp_path, small(), stages=["pathloss"])
    tracks = digests(tmp_path)["scenes"]
    changed = small("solver.preset=radiomapseer")
    before = digests_of_store(tmp_path)
    with pytest.raises(RecipeError, match=r"radio maps.*--overwrite"):
        run(tmp_path, changed, stages=["pathloss"])
    assert digests_of_store(tmp_path) == before
    summaries = run(tmp_path, changed, stages=["pathloss"], overwrite=True)
    assert {s.name: s.done_now for s in summaries} == {
        "scenes": 0,
        "tracks": 0,
        "transmitters": 0,
        "pathloss": 9,
    }
    assert sha256_tree(tmp_path / "scenes") == tracks
    run(tmp_path, small(), stages=["motion"], overwrite=True)
    assert digests(tmp_path) == digests(finished)


def digests_of_store(root: Path) -> str:
    return sha256_tree(root / "store.zarr")


def test_fewer_trajectories_leave_nothing_of_the_old_ones(tmp_path: Path) -> None:
    run(tmp_path / "a", small("traffic.frames=2"), stages=["motion"])
    run(tmp_path / "b", small("traffic.trajectories=1"), stages=["motion"])
    run(tmp_path / "a", small("traffic.trajectories=1"), stages=["motion"], overwrite=True)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


GOALS = (0, 0, 1, 3, 6, 10, 13, 17, 26, 33)
"""Finished units, of 42, after which a run is killed, so that every stage is met."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "goals"),
    [
        (1, GOALS[1::2]),
        (2, GOALS[::2]),
        pytest.param(1, GOALS, marks=pytest.mark.nightly),
        pytest.param(2, GOALS, marks=pytest.mark.nightly),
    ],
)
def test_killed_again_and_again_it_resumes_to_the_same_bytes(
    finished: Path, tmp_path: Path, workers: int, goals: tuple[int, ...]
) -> None:
    """SIGKILL at random moments of every stage, with one and with two workers."""
    moments = random.Random(workers)
    ledger = tmp_path / ".rmtools" / "ledger"
    kills = 0
    for goal in goals:
        process = subprocess.Popen(
            [*command(tmp_path), "--workers", str(workers)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while process.poll() is None and len(list(ledger.rglob("*.json"))) < goal:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 3 if goal == 0 else 0.2))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)  # the main process only: workers must notice
        process.wait()
        kills += 1
    assert kills >= len(goals) // 2
    subprocess.run([*command(tmp_path), "--workers", str(workers)], check=True, capture_output=True)
    assert digests(tmp_path) == digests(finished)
    assert not [path for path in walk_files(tmp_path) if path.name.endswith(".partial")]


def test_killed_before_the_numbers_of_the_frames_were_written(
    finished: Path, tmp_path: Path
) -> None:
    """An array that was made and not filled is filled by the next run."""
    run(tmp_path, small(), stages=["tracks"])
    shutil.rmtree(tmp_path / "store.zarr" / "frame" / "c")
    shutil.rmtree(tmp_path / ".rmtools" / "ledger" / "tracks")
    run(tmp_path, small(), stages=["motion"])
    assert digests(tmp_path) == digests(finished)


def test_workers_end_when_the_run_is_killed(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*command(tmp_path, "traffic.frames=15"), "--workers", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len(_group(process.pid)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(_group(process.pid)) >= 3
    process.kill()
    process.wait()
    while _group(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _group(process.pid)


def _group(leader: int) -> list[int]:
    """Living processes of a process group (Linux)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[2]) == leader and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def test_two_runs_in_one_folder_do_not_meet(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).parent.mkdir()
    with FileLock(tmp_path / LOCK_NAME):
        done = subprocess.run(alone(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.BUSY
    assert "another rmtools run" in done.stderr


def test_a_full_disk_is_explained_and_harms_nothing(finished: Path, tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    try:
        failed = subprocess.run(alone(tmp_path), capture_output=True, text=True, check=False)
        assert failed.returncode == ExitCode.STORAGE, failed.stderr
        message = failed.stderr.strip().splitlines()[-1]
        assert "the disk is full" in message
        assert "run the same command again" in message
        assert "Traceback" not in failed.stderr
        subprocess.run(["mount", "-o", "remount,size=200m", str(tmp_path)], check=True)
        subprocess.run(alone(tmp_path), check=True, capture_output=True)
        assert digests(tmp_path) == digests(finished)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_folder_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        root = Path("/proc/rmtools-test")
    else:
        tmp_path.chmod(0o500)
        root = tmp_path / "x"
    done = subprocess.run(alone(root), capture_output=True, text=True, check=False)
    assert done.returncode in (ExitCode.STORAGE, ExitCode.INPUT)
    assert done.stderr.startswith("error: ")
    assert str(root) in done.stderr


@pytest.mark.parametrize("setting", ["traffic.vehicles=0", "city.tiles.count=1", "grid.n=64"])
def test_odd_sizes_end_well(tmp_path: Path, setting: str) -> None:
    settings = ["traffic.trajectories=1", "traffic.frames=1", setting]
    run(tmp_path, small(*settings))
    assert json.loads((tmp_path / "validation.json").read_text())["errors"] == 0
    assert (tmp_path / "report.html").is_file()


def test_ctrl_c_is_one_line_and_leaves_no_worker(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*command(tmp_path, "traffic.frames=400"), "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len(_group(process.pid)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    # units that are running are finished, which takes long where the solver is compiled first
    try:
        _, said = process.communicate(timeout=400)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == ExitCode.INTERRUPTED
    assert said.strip().splitlines()[-1].startswith("error: stopped.")
    assert "Traceback" not in said
    deadline = time.monotonic() + 20
    while _group(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _group(process.pid)


def test_a_dataset_moved_away_from_its_source_can_still_be_worked_on(tmp_path: Path) -> None:
    extract = tmp_path / "city.osm.pbf"
    shutil.copy(helsinki_path(), extract)
    run(tmp_path / "here", small(f"city.source={extract}"), stages=["tracks"])
    (tmp_path / "here").rename(tmp_path / "there")
    extract.unlink()
    recipe = load_recipe(tmp_path / "there" / "recipe.yaml")
    summaries = run(tmp_path / "there", recipe, stages=["transmitters"])
    assert [(s.name, s.done_now) for s in summaries] == [("scenes", 0), ("transmitters", 3)]


def test_derived_files_are_remade_without_asking_and_costly_ones_are_not(
    finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "x")
    changed = small("split.kind=geographic", "city.tiles.count=3")
    summaries = run(tmp_path / "x", changed, stages=["split"])
    assert {s.name: s.done_now for s in summaries}["split"] == 1
    assert json.loads((tmp_path / "x" / "split.json").read_text())["name"] == "geographic"
    assert not (tmp_path / "x" / "report.html").exists()  # it showed the old split
    with pytest.raises(RecipeError, match=r"radio maps.*traffic\.vehicles: 5 -> 6"):
        run(tmp_path / "x", small("traffic.vehicles=6"), stages=["transmitters"])


def test_remaking_tracks_leaves_a_store_that_opens(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "x")
    changed = small("traffic.trajectories=2", "traffic.frames=3")
    run(tmp_path / "x", changed, stages=["tracks"], overwrite=True)
    with xarray.open_zarr(tmp_path / "x" / "store.zarr") as dataset:
        assert (dataset.sizes["traj"], dataset.sizes["frame"]) == (2, 3)
        assert "pathloss" not in dataset
    assert not (tmp_path / "x" / "motion").exists()
