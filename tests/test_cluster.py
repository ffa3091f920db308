"""Units of work on a Dask cluster whose workers die, hang and fail; its scheduler restarts."""

from __future__ import annotations

import importlib
import os
import random
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("distributed")

from chaos import DaskProcesses, digests
from cluster_work import work
from fakes_runs import small

from rmtools.errors import BusyError, InputError, MissingError, StorageError
from rmtools.run import cluster as cluster_module
from rmtools.run.cluster import Cluster
from rmtools.run.holding import working_in
from rmtools.run.ledger import Ledger
from rmtools.run.progress import Progress
from rmtools.run.runner import run
from rmtools.run.stages import stage_keys
from rmtools.run.unit import UnitWork
from rmtools.run.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    """A scheduler that gives a unit up after two dead workers, and two workers."""
    folder = tmp_path_factory.mktemp("dask")
    path = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
    environment = {
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
        "RMTOOLS_TEST_FOLDER": str(folder),
        "PYTHONPATH": os.pathsep.join([*path, os.environ.get("PYTHONPATH", "")]),
    }
    with DaskProcesses(2, folder, environment) as started:
        yield started


def test_units_that_kill_hang_or_fail_are_named_and_all_others_finish(
    processes: DaskProcesses,
) -> None:
    done: dict[str, str] = {}
    units = ["a", "b", "c", "d", "bad-1", "memory-1", "once-1", "hang-1", "die-1"]
    with (
        Cluster(processes.address, limit_s=3) as cluster,
        pytest.raises(InputError) as raised,  # the type of the first, so that its exit code is told
    ):
        cluster.run(work, units, done.__setitem__)
    assert done == {unit: unit * 2 for unit in ("a", "b", "c", "d", "once-1")}
    assert "4 of 9 units" in raised.value.what
    assert "bad-1: file.json: it is broken." in raised.value.what
    assert "memory-1: memory ran out" in raised.value.what
    assert "hang-1: it took longer than 3 s" in raised.value.what
    assert "die-1: 2 workers died over it" in raised.value.what


def test_a_bug_comes_back_as_it_is(processes: DaskProcesses) -> None:
    with Cluster(processes.address) as cluster, pytest.raises(ZeroDivisionError):
        cluster.run(work, ["a", "bug-1"], lambda *_: None)


def test_failures_in_a_row_end_the_run_at_once(processes: DaskProcesses) -> None:
    units = [f"bad-{k}" for k in range(3 * cluster_module.FAILURES_IN_A_ROW)]
    with Cluster(processes.address) as cluster, pytest.raises(InputError, match="10 of 30 units"):
        cluster.run(work, units, lambda *_: None)


class Killer(Progress):
    """Kills a worker after the first trajectories, and the scheduler after the first radio maps."""

    def __init__(self, processes: DaskProcesses) -> None:
        super().__init__(quiet=True)
        self.processes, self.killed, self.stage = processes, dict[str, bool](), ""

    def start(self, label: str, total: int, done: int) -> None:
        self.stage = label
        super().start(label, total, done)

    def advance(self) -> None:
        if self.stage in self.killed:
            return
        if self.stage == "trajectories":
            chooser = random.Random(3)  # some may be about to start
            self.killed[self.stage] = any(self.processes.kill_worker(chooser) for _ in range(50))
        elif self.stage == "radio maps":
            self.processes.kill_scheduler()
            self.processes.start_scheduler()
            self.killed[self.stage] = True


def test_a_dataset_is_the_same_though_workers_and_the_scheduler_are_killed(
    processes: DaskProcesses, tmp_path: Path
) -> None:
    """One of each; the benchmark chaos.py does more."""
    wanted = ["pathloss", "split"]
    run(tmp_path / "calm", small(), stages=wanted)
    root, killer, ended = tmp_path / "wild", Killer(processes), threading.Event()

    def keep_workers() -> None:
        while not ended.wait(0.05):
            processes.keep_workers()

    thread = threading.Thread(target=keep_workers)
    thread.start()
    try:
        said: list[str] = []
        cluster = Cluster(processes.address, say=said.append)
        summaries = run(root, small(), stages=wanted, executor=cluster, progress=killer)
    finally:
        ended.set()
        thread.join()
    assert killer.killed == {"trajectories": True, "radio maps": True}
    assert any("is gone; waiting" in text for text in said)
    assert digests(root) == digests(tmp_path / "calm")
    again = run(root, small(), stages=wanted)
    assert [summary.units for summary in again] == [summary.units for summary in summaries]
    assert {summary.done_now for summary in again} == {0}


def test_work_for_a_run_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    recipe = small()
    run(tmp_path, recipe, stages=["transmitters", "tracks"])
    key = stage_keys(Workspace(tmp_path, recipe))["tracks"]
    with working_in(tmp_path) as token:
        late = UnitWork(str(tmp_path), recipe, "tracks", key, token)
    run(tmp_path, small("seed=2"), stages=["tracks"], overwrite=True)
    before = digests(tmp_path)
    with working_in(tmp_path), pytest.raises(BusyError, match="a later run has taken this folder"):
        late("000")
    with pytest.raises(BusyError, match="has ended"):
        late("000")
    assert digests(tmp_path) == before
    assert not Ledger(tmp_path).is_done("tracks", "000", key)
    with pytest.raises(BusyError, match="its folder is not seen"):
        replace(late, root=str(tmp_path / "not mounted"))("000")
    with (
        working_in(tmp_path) as token,
        pytest.raises(MissingError, match=r"rmtools .* the run 0\.0"),
    ):
        replace(late, token=token, version="0.0")("000")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://x", "no-port", "tcp://h"])
def test_no_scheduler_there(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "_FIRST_PATIENCE_S", 0.0)
    with pytest.raises(MissingError, match="no Dask scheduler answers"), Cluster(address):
        pass


def test_dask_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingError, match=r"rmtools\[cluster\]"), Cluster("tcp://127.0.0.1:1"):
        pass


def test_the_scheduler_does_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "_PATIENCE_S", 0.0)
    with DaskProcesses(0, tmp_path) as alone:
        timer = threading.Timer(2.0, alone.kill_scheduler)
        with Cluster(alone.address) as cluster:
            timer.start()
            began = time.monotonic()
            with pytest.raises(MissingError, match="finished units are kept"):
                cluster.run(len, ["a", "b"], lambda *_: None)
            assert time.monotonic() > began


@pytest.mark.filterwarnings(  # jobqueue leaves the pipes of its local jobs to the collector
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_a_slurm_cluster_of_dask_jobqueue_in_its_local_mode() -> None:
    """As docs/scale.md has it, but the jobs are shell scripts that run here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("signal.signal", lambda *_: None)  # it takes Ctrl-C when it is imported
        jobqueue = pytest.importorskip("dask_jobqueue")
    local_mode = importlib.import_module("dask_jobqueue.local")
    options = {
        "cores": 1,
        "processes": 1,
        "memory": "1GiB",
        "scheduler_options": {"dashboard_address": ":0"},
    }
    with jobqueue.SLURMCluster(walltime="01:00:00", **options) as slurm:
        script = slurm.job_script()
        assert "#SBATCH --mem=1G" in script
        assert "distributed.cli.dask_worker" in script
    with local_mode.LocalCluster(**options) as local:
        local.scale(jobs=1)
        done: dict[str, str] = {}
        with Cluster(local.scheduler_address) as cluster:
            cluster.run(len, ["a", "bb"], done.__setitem__)
        assert done == {"a": 1, "bb": 2}


def test_memory_is_a_storage_error() -> None:
    error = cluster_module._explain({"u": MemoryError()}, 3)
    assert isinstance(error, StorageError)
    assert "1 of 3 units" in str(error)
