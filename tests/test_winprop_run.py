"""The generated Linux script: every job once, no job lost, and our DPM behind the fake program."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fakes_winprop import (
    make_converter,
    make_dataset,
    make_quick_cli,
    make_template,
    make_winpropcli,
)

from rmtools.radio.dpm.solver import DominantPathSolver
from rmtools.radio.solver import Transmitter
from rmtools.winprop.export import Source, export_jobs, plan
from rmtools.winprop.manifest import read_jobs
from rmtools.winprop.plan import JobOptions
from rmtools.winprop.project import read_template

if TYPE_CHECKING:
    from rmtools.winprop.manifest import JobManifest

REPOSITORY = Path(__file__).resolve().parent.parent


def exported(root: Path, **sizes: Any) -> tuple[Source, JobManifest]:
    """A dataset and its jobs in ``root/out``."""
    make_dataset(root / "set", **{"n": 24, "scenes": 1, "traj": 1, "tx": 2, "frames": 4, **sizes})
    source = Source(root / "set", read_template(make_template(root / "template")))
    manifest = plan(source, JobOptions())
    export_jobs(source, root / "out with blanks", manifest)
    return source, manifest


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """Four jobs with a program that only pretends; returns the folder of the jobs."""
    exported(tmp_path)
    make_quick_cli(tmp_path / "bin")
    make_converter(tmp_path / "bin")
    return tmp_path / "out with blanks"


def environment(out: Path, **more: str) -> dict[str, str]:
    tools = out.parent / "bin"
    return {
        **os.environ,
        "WINPROPCLI": str(tools / "WinPropCLI"),
        "CONVERT": str(tools / "convert"),
        "FAKE_LOG": str(out.parent / "calls.txt"),
        "PYTHONPATH": str(REPOSITORY),
        **more,
    }


def start(out: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(out / "run.sh"), *arguments],
        env=environment(out, **more),
        text=True,
        capture_output=True,
        check=False,
        cwd="/",
    )


def calls(out: Path) -> list[str]:
    log = out.parent / "calls.txt"
    return log.read_text().splitlines() if log.is_file() else []


def done(out: Path) -> list[str]:
    return sorted(path.parent.name for path in out.glob("jobs/*/*/done"))


ALL = [f"t0_f{frame}" for frame in range(4)]


def test_every_job_is_solved_once(quick: Path) -> None:
    first = start(quick)
    assert first.returncode == 0, first.stderr
    assert done(quick) == ALL
    assert len(calls(quick)) == 4
    for name, call in zip(ALL, calls(quick), strict=True):
        job = quick / "jobs" / "s0" / name
        assert call == (
            f"-F {job}/project.net -P --results-pro {job}/results.partial "
            "--multi-threading 1 --disable-project-update"
        )
        assert sorted(path.name for path in (job / "results").iterdir()) == [
            "tx0 Path Loss.txt",
            "tx1 Path Loss.txt",
        ]
        assert "converted" in (job / "log.txt").read_text()
    again = start(quick)
    assert again.returncode == 0
    assert "0 solved, 4 were done before, 0 failed" in again.stdout
    assert len(calls(quick)) == 4


def test_shares_are_disjoint_and_complete(quick: Path) -> None:
    seen = []
    for share in ("1", "2", "3"):
        assert start(quick, share, "3").returncode == 0
        seen.append(done(quick))
    assert seen == [["t0_f0", "t0_f3"], ["t0_f0", "t0_f1", "t0_f3"], ALL]
    for bad in (("0", "2"), ("3", "2"), ("x", "2")):
        assert start(quick, *bad).returncode == 2


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"FAKE_STATUS": "3"}, "WinPropCLI failed"),
        ({"FAKE_SKIP": "tx1"}, "WinPropCLI wrote no tx1 Path Loss.txt"),
        ({"CONVERT": ""}, "buildings.odb is missing"),
        ({"WINPROPCLI": "/nowhere/WinPropCLI"}, "WinPropCLI failed"),
    ],
)
def test_failures_are_named_and_tried_again(
    quick: Path, settings: dict[str, str], says: str
) -> None:
    failed = start(quick, **settings)
    assert failed.returncode == 1
    assert failed.stderr.count("FAILED") == 4
    assert says in failed.stderr
    assert says in (quick / "jobs" / "s0" / "t0_f0" / "log.txt").read_text()
    assert done(quick) == []
    assert not list(quick.glob("jobs/*/*/results"))
    assert start(quick).returncode == 0
    assert done(quick) == ALL


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_killed_halfway_it_goes_on_from_there(quick: Path, how: signal.Signals) -> None:
    with subprocess.Popen(
        [str(quick / "run.sh")],
        env=environment(quick, FAKE_SLEEP="0.2"),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    ) as process:
        limit = time.monotonic() + 60
        while len(calls(quick)) < 2 and time.monotonic() < limit:
            time.sleep(0.01)
        os.killpg(process.pid, how)
    before = done(quick)
    assert before == ["t0_f0"]  # the second was being solved
    assert not (quick / "jobs" / "s0" / "t0_f1" / "results").exists()
    kept = (quick / "jobs" / "s0" / "t0_f0" / "results" / "tx0 Path Loss.txt").stat().st_mtime_ns
    assert start(quick).returncode == 0
    assert done(quick) == ALL
    projects = [call.split(" -P ")[0].split("/")[-2] for call in calls(quick)]
    assert projects == ["t0_f0", "t0_f1", "t0_f1", "t0_f2", "t0_f3"]
    again = (quick / "jobs" / "s0" / "t0_f0" / "results" / "tx0 Path Loss.txt").stat()
    assert again.st_mtime_ns == kept


def test_the_fake_winprop_solves_what_was_exported(tmp_path: Path) -> None:
    source, manifest = exported(tmp_path, traj=2, frames=1)
    out = tmp_path / "out with blanks"
    make_winpropcli(tmp_path / "bin")
    make_converter(tmp_path / "bin")
    broken = start(out, RMTOOLS_FAKE_DIE_AFTER="1")  # half a result, and an error
    assert broken.returncode == 1
    assert done(out) == []
    assert start(out).returncode == 0
    solver = DominantPathSolver("radiomapmotion")
    grid = manifest.grid.grid
    for each in read_jobs(out).expected():
        path = out / each.paths[0]
        lines = path.read_bytes().decode("ascii").split("\r\n")
        rows = [line.split() for line in lines[lines.index("BEGIN_DATA") + 1 : -2]]
        found = np.full(grid.shape, np.nan)
        for x, y, value in rows:
            found[grid.pixel(float(x), float(y))] = -float(value.replace("N.C.", "nan"))
        tx = each.transmitter
        scene = source.scene(each.job.scene)
        obstacles = source.obstacles(0, each.job.trajectory)(each.job)
        expected = solver.solve(solver.prepare(scene), Transmitter(tx.x, tx.y, tx.z_m), obstacles)
        assert np.array_equal(np.isnan(found), np.isnan(expected))
        assert np.nanmax(np.abs(found - expected)) <= 0.5e-4 + 1e-9
